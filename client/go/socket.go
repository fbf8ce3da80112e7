package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	maxFragments = 1024 // of one message
)

// A closed error tells that the server ended the connection, and with which code.
type closed struct {
	code   proto.CloseCode
	reason string
}

func (c *closed) Error() string {
	if c.reason != "" {
		return fmt.Sprintf("closed with %d: %.120s", uint16(c.code), c.reason)
	}
	return fmt.Sprintf("closed with %d", uint16(c.code))
}

// A socket is one WebSocket connection. One goroutine reads, any may write.
type socket struct {
	conn net.Conn
	r    io.Reader

	writeMu sync.Mutex
	over    bool // a close frame is out
}

// dialSocket connects to a gateway URL as the server names it.
func dialSocket(ctx context.Context, gateway string, config *tls.Config) (*socket, error) {
	u, err := url.Parse(gateway)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return nil, fmt.Errorf("gateway URL %.100q: want ws or wss", gateway)
	}
	u.RawQuery = "v=10&encoding=json"
	conn, br, _, err := ws.Dialer{Timeout: dialTimeout, TLSConfig: config}.Dial(ctx, u.String())
	if err != nil {
		return nil, reason(err)
	}
	s := &socket{conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}
	if br != nil {
		s.r = br
	}
	return s, nil
}

// next reads the next whole text message and answers control frames meanwhile. The error is *closed where the server says why.
func (s *socket) next(by time.Time) ([]byte, error) {
	var message bytes.Buffer
	for fragments := 0; fragments < maxFragments; {
		s.conn.SetReadDeadline(by)
		h, err := ws.ReadHeader(s.r)
		if err != nil {
			return nil, reason(err)
		}
		if h.Masked || h.Rsv != 0 || h.Length > int64(maxMessage-message.Len()) || h.OpCode.IsControl() && h.Length > ws.MaxControlFramePayloadSize {
			return nil, fmt.Errorf("frame of %d bytes, opcode %d: not acceptable", h.Length, h.OpCode)
		}
		if h.OpCode.IsControl() {
			if err := s.control(h); err != nil {
				return nil, err
			}
			continue
		}
		fragments++
		if _, err := io.CopyN(&message, s.r, h.Length); err != nil { // grows with what arrives, not with what is promised
			return nil, reason(err)
		}
		if h.Fin {
			return message.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("message of more than %d fragments", maxFragments)
}

func (s *socket) control(h ws.Header) error {
	p := make([]byte, h.Length)
	if _, err := io.ReadFull(s.r, p); err != nil {
		return reason(err)
	}
	switch h.OpCode {
	case ws.OpPing:
		return s.write(ws.NewPongFrame(p))
	case ws.OpClose:
		code, why := ws.ParseCloseFrameData(p)
		s.write(ws.NewCloseFrame(p)) // at once: the server waits for it; it may be gone already
		return &closed{proto.CloseCode(code), why}
	}
	return nil
}

// send sends one text message.
func (s *socket) send(p []byte) error { return s.write(ws.NewTextFrame(p)) }

func (s *socket) write(f ws.Frame) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.over {
		return net.ErrClosed
	}
	s.over = f.Header.OpCode == ws.OpClose
	s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return ws.WriteFrame(s.conn, ws.MaskFrame(f))
}

// close says goodbye with a code and hangs up. Code 1000 ends the session at the server, others leave it to be resumed.
func (s *socket) close(code proto.CloseCode) {
	s.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), ""))) // if it still can
	s.conn.Close()
}
