package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

// A socket is one gateway session that looks at frames just enough to count messages. It belongs to the goroutine in run.
type socket struct {
	conn  net.Conn
	r     *bufio.Reader
	seen  []uint32     // numbers of messages in the order they came
	count atomic.Int64 // len(seen), for others
	err   error        // why run ended
}

// marker precedes a message's number in its content.
const marker = `"content":"proof `

// intents are guilds, messages and their content.
const intents = proto.IntentGuilds | proto.IntentGuildMessages | proto.IntentMessageContent

// connect identifies and returns after READY and the one guild.
func connect(ctx context.Context, url, token string, expect int) (*socket, error) {
	conn, br, _, err := ws.Dial(ctx, url+"?v=10&encoding=json")
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, r: bufio.NewReaderSize(conn, 32<<10), seen: make([]uint32, 0, expect)}
	if br != nil {
		s.r = bufio.NewReaderSize(io.MultiReader(br, conn), 32<<10)
	}
	if d, ok := ctx.Deadline(); ok {
		conn.SetReadDeadline(d)
	}
	id, _ := json.Marshal(map[string]any{"op": proto.OpIdentify, "d": map[string]any{"token": token, "intents": intents, "properties": map[string]any{}}})
	if err := s.send(id); err != nil {
		return nil, err
	}
	for {
		p, err := s.frame(nil)
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("before GUILD_CREATE: %w", err)
		}
		if bytes.Contains(p, []byte(`"GUILD_CREATE"`)) {
			conn.SetReadDeadline(time.Time{})
			return s, nil
		}
	}
}

func (s *socket) send(p []byte) error {
	s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	return ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewTextFrame(p)))
}

// beat sends a heartbeat; the only write once connect has returned, so it may come from another goroutine.
func (s *socket) beat() error { return s.send([]byte(`{"op":1,"d":null}`)) }

// frame reads one data frame into buf.
func (s *socket) frame(buf []byte) ([]byte, error) {
	for {
		h, err := ws.ReadHeader(s.r)
		if err != nil {
			return nil, err
		}
		if int64(cap(buf)) < h.Length {
			buf = make([]byte, h.Length)
		}
		buf = buf[:h.Length]
		if _, err := io.ReadFull(s.r, buf); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpText:
			return buf, nil
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(buf)
			return nil, fmt.Errorf("closed: %d %s", code, reason)
		}
	}
}

// run counts messages until the socket closes and calls heard for each.
func (s *socket) run(heard func(n uint32)) {
	buf := make([]byte, 0, 4096)
	for {
		p, err := s.frame(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.err = err
			}
			return
		}
		buf = p
		i := bytes.Index(p, []byte(marker))
		if i < 0 {
			continue
		}
		i += len(marker)
		j := i
		for j < len(p) && p[j] >= '0' && p[j] <= '9' {
			j++
		}
		n, err := strconv.ParseUint(string(p[i:j]), 10, 32)
		if err != nil {
			continue
		}
		heard(uint32(n))
		s.seen = append(s.seen, uint32(n))
		s.count.Add(1)
	}
}
