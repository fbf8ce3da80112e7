package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

const (
	herdersName = "herders" // the hidden subcommand
	herdAtOnce  = 64        // that connect side by side at first
	herdBackoff = 2 * time.Second
	herdBeat    = 30 * time.Second
	herdTurns   = 1000            // that a round of heartbeats takes
	herdLimit   = 2 * time.Minute // for all to be live at first, and again
	herdStack   = 6               // kB that dialing takes of it
	herdMemory  = 1 << 30
)

func init() {
	proofs[herdersName] = func(ctx context.Context, r *report, _ []string) error { return runHerders(ctx, os.Stdin, r.out) }
}

// herdOrders say who the herd is, as a line of JSON.
type herdOrders struct {
	At     string   // gateway that all begin at
	Others []string // where they go on
	Tokens []string
	Each   int // sessions of each token
}

// herdOutcome is what came of it.
type herdOutcome struct {
	Sessions, Resumed, Anew, Tries int
	Times                          []time.Duration // from the end of a socket to RESUMED, or to READY of a new session; sorted
	Last                           time.Duration   // from the first end to the last RESUMED
}

// A herder is one session. Its goroutine owns it but for writes.
type herder struct {
	token   string
	from    net.IP // loopback: each is somebody elsewhere
	session string
	s       atomic.Int64
	mu      sync.Mutex // of writes, and conn
	conn    net.Conn
	r       *bufio.Reader
}

// runHerders reads orders, has all sessions live, says so, lets them come back wherever they lose their sockets, and writes the outcome once all
// of them have.
func runHerders(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := giveWay(); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o herdOrders
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // who wants them there is gone, or has seen enough
		io.Copy(io.Discard, r)
		stop()
	}()
	herd := make([]*herder, len(o.Tokens)*o.Each)
	err = each(len(herd), herdAtOnce, func(i int) error {
		h := &herder{token: o.Tokens[i%len(o.Tokens)], from: net.IPv4(127, 1, byte(i/250), byte(1+i%250))}
		herd[i] = h
		ctx, stop := context.WithTimeout(ctx, herdLimit)
		defer stop()
		if err := h.dial(ctx, o.At); err != nil {
			return err
		}
		if err := h.say(proto.OpIdentify, map[string]any{"token": h.token, "intents": intents, "properties": map[string]any{}}); err != nil {
			return err
		}
		_, err := h.until(`"GUILD_CREATE"`)
		return err
	})
	if err != nil {
		return fmt.Errorf("herd: %w", err)
	}
	runtime.GC()
	debug.SetGCPercent(-1) // from here on it takes as little as it can of processors that are not its own, and memory instead
	debug.SetMemoryLimit(herdMemory)
	fmt.Fprintln(out, "live")
	go beats(ctx, herd)
	var mu sync.Mutex
	got := herdOutcome{Sessions: len(herd)}
	var first, last time.Time
	var wg sync.WaitGroup
	for i, h := range herd {
		wg.Go(func() {
			grow(herdStack)
			h.until("nothing that is ever sent")
			ended := time.Now()
			h.close()
			resumed, tries := h.comeBack(ctx, o.Others, i)
			back := time.Now()
			mu.Lock()
			defer mu.Unlock()
			if first.IsZero() || ended.Before(first) {
				first = ended
			}
			if back.After(last) {
				last = back
			}
			got.Tries += tries
			got.Times = append(got.Times, back.Sub(ended))
			if resumed {
				got.Resumed++
			} else {
				got.Anew++
			}
			wg.Go(func() { h.until("nothing that is ever sent") }) // goes on reading
		})
	}
	done := make(chan struct{})
	go func() {
		for {
			mu.Lock()
			n := len(got.Times)
			mu.Unlock()
			if n == len(herd) || !sleep(ctx, 20*time.Millisecond) {
				close(done)
				return
			}
		}
	}()
	<-done
	mu.Lock()
	slices.Sort(got.Times)
	got.Last = last.Sub(first)
	b, err := json.Marshal(got)
	mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := out.Write(append(b, '\n')); err != nil {
		return err
	}
	<-ctx.Done()
	for _, h := range herd {
		h.close()
	}
	wg.Wait()
	return nil
}

// grow has the goroutine's stack grow now by frames of 1 kB, and not when all of the herd dial.
//
//go:noinline
func grow(frames int) byte {
	var frame [1 << 10]byte
	if frames > 1 {
		frame[frames] = grow(frames - 1)
	}
	return frame[frames]
}

// comeBack resumes the session as libraries do: after up to two seconds, at whichever edge there is, again and again.
func (h *herder) comeBack(ctx context.Context, others []string, i int) (resumed bool, tries int) {
	for ; sleep(ctx, time.Duration(rand.Int64N(int64(herdBackoff)))); tries++ {
		ctx, stop := context.WithTimeout(ctx, 20*time.Second)
		err := h.dial(ctx, others[(i+tries)%len(others)])
		if err == nil {
			err = h.say(proto.OpResume, proto.Resume{Token: h.token, SessionID: h.session, Seq: h.s.Load()})
		}
		if err == nil {
			var p []byte
			if p, err = h.until(`"RESUMED"`, `"op":9`); err == nil {
				stop()
				return bytes.Contains(p, []byte(`"RESUMED"`)), tries + 1
			}
		}
		stop()
		h.close()
	}
	return false, tries
}

func (h *herder) dial(ctx context.Context, url string) error {
	d := ws.Dialer{ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, NetDial: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: h.from}}).DialContext}
	conn, br, _, err := d.Dial(ctx, url+"?v=10&encoding=json")
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.conn = conn
	h.mu.Unlock()
	var r io.Reader = conn
	if br != nil {
		r = io.MultiReader(br, conn)
	}
	if h.r == nil {
		h.r = bufio.NewReaderSize(r, 4<<10)
	} else {
		h.r.Reset(r)
	}
	return nil
}

func (h *herder) say(op proto.Opcode, d any) error {
	b, err := json.Marshal(map[string]any{"op": op, "d": d})
	if err != nil {
		return err
	}
	return h.write(b)
}

func (h *herder) write(b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	return ws.WriteFrame(h.conn, ws.MaskFrame(ws.NewTextFrame(b)))
}

func (h *herder) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.conn.Close()
	}
}

// until reads up to the frame that has one of these, and keeps session_id and s.
func (h *herder) until(what ...string) ([]byte, error) {
	for {
		head, err := ws.ReadHeader(h.r)
		if err != nil {
			return nil, err
		}
		p := make([]byte, head.Length)
		if _, err := io.ReadFull(h.r, p); err != nil {
			return nil, err
		}
		if head.OpCode != ws.OpText {
			if head.OpCode == ws.OpClose {
				return nil, io.EOF
			}
			continue
		}
		if n, ok := numberAfter(p, `"s":`); ok {
			h.s.Store(n)
		}
		if i := bytes.Index(p, []byte(`"session_id":"`)); i >= 0 {
			rest := p[i+len(`"session_id":"`):]
			h.session = string(rest[:max(0, bytes.IndexByte(rest, '"'))])
		}
		if slices.ContainsFunc(what, func(w string) bool { return bytes.Contains(p, []byte(w)) }) {
			return p, nil
		}
	}
}

// numberAfter finds the number behind a key near to the beginning or the end of a frame.
func numberAfter(p []byte, key string) (int64, bool) {
	i := bytes.Index(p[:min(len(p), 128)], []byte(key))
	if i < 0 {
		if i = bytes.LastIndex(p, []byte(key)); i < 0 {
			return 0, false
		}
	}
	j := i + len(key)
	k := j
	for k < len(p) && p[k] >= '0' && p[k] <= '9' {
		k++
	}
	n, err := strconv.ParseInt(string(p[j:k]), 10, 64)
	return n, err == nil
}

// beats keeps the sessions alive, each in its turn: clients wait a random part of the interval before their first heartbeat, so that a second has as
// many as the next.
func beats(ctx context.Context, herd []*herder) {
	for turn := 0; sleep(ctx, herdBeat/herdTurns); turn = (turn + 1) % herdTurns {
		for i := turn; i < len(herd); i += herdTurns {
			herd[i].write([]byte(`{"op":1,"d":null}`))
		}
	}
}

// sleep reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
