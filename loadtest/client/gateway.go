// Package client is a generic client of the public wire: a gateway connection with all forms of compression and every freedom that
// libraries take, and a REST client. Both compare all that the server sends with package shape. It is no bot library: it does nothing
// by itself but heartbeats.
package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/loadtest/shape"
	"github.com/starling-chat/starling/proto"
)

// Options of a connection.
type Options struct {
	Compress string               // "", "zlib-stream" or "zstd-stream"
	Query    string               // default "v=10&encoding=json" and the compression
	TLS      *tls.Config          // for wss
	Log      *Log                 // of the session that will be resumed; default a new one
	Each     func(Event)          // hears each frame instead of the log, from the goroutine that reads
	Tell     func(problem string) // nil: frames are not compared with their shapes, which costs more than reading them
}

// A Gateway is one WebSocket connection. Any goroutine may call its methods.
type Gateway struct {
	*Log
	conn  net.Conn
	shape bool // compare frames with their shapes

	writeMu sync.Mutex

	done chan struct{} // closed when reading has ended
	code proto.CloseCode
	err  error // why reading ended; valid after done, as code is
}

// Dial connects to a gateway URL (without a query) and starts reading. HELLO is the first event of the log.
func Dial(ctx context.Context, url string, o Options) (*Gateway, error) {
	compare := o.Tell != nil
	if !compare {
		o.Tell = func(string) {}
	}
	if o.Log == nil {
		o.Log = NewLog(o.Tell)
	}
	if o.Query == "" {
		o.Query = "v=10&encoding=json"
		if o.Compress != "" {
			o.Query += "&compress=" + o.Compress
		}
	}
	conn, br, _, err := ws.Dialer{TLSConfig: o.TLS}.Dial(ctx, url+"?"+o.Query)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	g := &Gateway{Log: o.Log, conn: conn, shape: compare, done: make(chan struct{})}
	var r io.Reader = bufio.NewReader(conn)
	if br != nil {
		r = br
	}
	go g.read(r, o)
	return g, nil
}

func (g *Gateway) read(r io.Reader, o Options) {
	in := newInflater(o.Compress)
	defer close(g.done)
	defer g.conn.Close()
	defer in.close()
	for {
		h, err := ws.ReadHeader(r)
		if err != nil {
			g.code, g.err = proto.CloseAbnormal, err
			return
		}
		if !h.Fin || h.Masked || h.Rsv != 0 || h.Length > 64<<20 {
			g.code, g.err = proto.CloseAbnormal, fmt.Errorf("frame header %+v: want one unmasked frame per message", h)
			o.Tell(g.err.Error())
			return
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(r, p); err != nil {
			g.code, g.err = proto.CloseAbnormal, err
			return
		}
		switch h.OpCode {
		case ws.OpPing:
			g.write(ws.NewPongFrame(p))
			continue
		case ws.OpPong:
			continue
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(p)
			g.code, g.err = proto.CloseCode(code), fmt.Errorf("closed by the server: %d %s", code, reason)
			g.write(ws.NewCloseFrame(p))
			return
		case ws.OpBinary:
			if p, err = in.inflate(p); err != nil {
				g.code, g.err = proto.CloseAbnormal, err
				o.Tell(err.Error())
				return
			}
		}
		if h.OpCode == ws.OpText && o.Compress != "" {
			o.Tell(fmt.Sprintf("%s: a text message: %.100s", o.Compress, p))
		}
		g.frame(p, h.OpCode == ws.OpBinary, o)
	}
}

func (g *Gateway) frame(p []byte, binary bool, o Options) {
	if g.shape {
		for _, problem := range shape.Frame(p) {
			o.Tell(problem)
		}
	}
	var f struct {
		Op int             `json:"op"`
		D  json.RawMessage `json:"d"`
		S  int64           `json:"s"`
		T  string          `json:"t"`
	}
	if err := json.Unmarshal(p, &f); err != nil {
		return // shape has told
	}
	e := Event{Op: f.Op, S: f.S, T: f.T, D: f.D, At: time.Now(), Binary: binary}
	if o.Each != nil {
		g.note(e)
		o.Each(e)
	} else {
		g.Add(e)
	}
	switch proto.Opcode(f.Op) {
	case proto.OpHello:
		var h proto.Hello
		if json.Unmarshal(f.D, &h) == nil && h.HeartbeatInterval > 0 {
			go g.beat(time.Duration(h.HeartbeatInterval) * time.Millisecond)
		}
	case proto.OpHeartbeat:
		g.Heartbeat()
	}
}

func (g *Gateway) beat(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-g.done:
			return
		case <-tick.C:
			g.Heartbeat()
		}
	}
}

func (g *Gateway) write(f ws.Frame) error {
	g.writeMu.Lock()
	defer g.writeMu.Unlock()
	g.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return ws.WriteFrame(g.conn, ws.MaskFrame(f))
}

// SendRaw sends one text message as it is.
func (g *Gateway) SendRaw(p string) error { return g.write(ws.NewTextFrame([]byte(p))) }

// Send sends one payload.
func (g *Gateway) Send(op proto.Opcode, d any) error {
	b, err := json.Marshal(map[string]any{"op": op, "d": d})
	if err != nil {
		return err
	}
	return g.SendRaw(string(b))
}

// Heartbeat sends op 1 with the last s, or null before the first.
func (g *Gateway) Heartbeat() error {
	if s := g.S(); s > 0 {
		return g.Send(proto.OpHeartbeat, s)
	}
	return g.Send(proto.OpHeartbeat, nil)
}

// Identify sends op 2. more adds keys or replaces those that are always there.
func (g *Gateway) Identify(token string, more map[string]any) error {
	d := map[string]any{"token": token, "intents": DefaultIntents, "properties": map[string]any{"os": "linux", "browser": "", "$device": ""}}
	for k, v := range more {
		if v == Drop {
			delete(d, k)
			continue
		}
		d[k] = v
	}
	return g.Send(proto.OpIdentify, d)
}

// Drop as a value of Identify's more leaves the key out.
const Drop = dropped("drop")

type dropped string

// DefaultIntents is all that Starling has events for.
const DefaultIntents = proto.IntentGuilds | proto.IntentGuildMembers | proto.IntentGuildInvites | proto.IntentGuildMessages |
	proto.IntentGuildTyping | proto.IntentMessageContent | proto.IntentDirectMessages | proto.IntentDirectTyping

// Resume sends op 6.
func (g *Gateway) Resume(token, session string, seq int64) error {
	return g.Send(proto.OpResume, proto.Resume{Token: token, SessionID: session, Seq: seq})
}

// Cut breaks the TCP connection without a close frame.
func (g *Gateway) Cut() {
	if t, ok := g.conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	g.conn.Close()
	<-g.done
}

// Close sends a close frame and waits for the server's answer.
func (g *Gateway) Close(code proto.CloseCode) error {
	if err := g.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), ""))); err != nil {
		g.conn.Close()
	}
	select {
	case <-g.done:
		return nil
	case <-time.After(5 * time.Second):
		g.conn.Close()
		<-g.done
		return errors.New("the server did not answer the close frame within 5 s")
	}
}

// Closed waits until the connection has ended and tells the close code, CloseAbnormal when there was none.
func (g *Gateway) Closed(ctx context.Context) (proto.CloseCode, error) {
	select {
	case <-g.done:
		return g.code, g.err
	case <-ctx.Done():
		return 0, fmt.Errorf("still open: %w", ctx.Err())
	}
}

// Await is Log.Await that also ends when the connection does.
func (g *Gateway) Await(ctx context.Context, mark int, match func(Event) bool) (Event, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-g.done:
			stop(g.err)
		case <-ctx.Done():
		}
	}()
	e, err := g.Log.Await(ctx, mark, match)
	if err != nil {
		// What was read last may have been appended together with the end.
		for _, e := range g.Since(mark) {
			if match(e) {
				return e, nil
			}
		}
		return e, fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return e, nil
}
