package edgetest

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/zstd"

	"github.com/starling-chat/starling/proto"
)

// patience is how long a client waits for anything.
const patience = 15 * time.Second

// A Frame is what a server sent, with the S of a dispatch, or how the connection ended.
type Frame struct {
	Op    proto.Opcode    `json:"op"`
	D     json.RawMessage `json:"d"`
	S     int64           `json:"s"`
	T     string          `json:"t"`
	Ended bool            `json:"-"`
	Code  proto.CloseCode `json:"-"` // if Ended; 1006 if there was no close frame
	Why   string          `json:"-"` // its text
}

// A Client speaks the gateway protocol as a test tells it, and keeps what it hears.
type Client struct {
	t      testing.TB
	conn   net.Conn
	frames chan Frame
	wmu    sync.Mutex
	wg     sync.WaitGroup

	Seq     int64 // of the last dispatch that Next returned
	Session string
}

// Dial connects to url, e.g. ws://127.0.0.1:1/gateway?v=10. It ends with the test.
func Dial(t testing.TB, url string) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, br, _, err := ws.Dial(ctx, url)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	c := &Client{t: t, conn: conn, frames: make(chan Frame, 1<<16)}
	var src io.Reader = conn
	if br != nil {
		early, _ := br.Peek(br.Buffered())
		src = io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)
	}
	c.wg.Go(func() { c.read(src, url) })
	t.Cleanup(c.Cut)
	return c
}

// read decodes messages until the connection ends.
func (c *Client) read(src io.Reader, url string) {
	compressed, feed := io.Pipe()
	var decoded sync.WaitGroup
	if strings.Contains(url, "compress=") {
		decoded.Go(func() {
			c.inflate(compressed, strings.Contains(url, "zstd"))
			compressed.CloseWithError(io.ErrClosedPipe)
		})
	}
	end := Frame{Ended: true, Code: proto.CloseAbnormal}
	for {
		f, err := ws.ReadFrame(src)
		if err != nil {
			break
		}
		switch f.Header.OpCode {
		case ws.OpText:
			var v Frame
			if err := json.Unmarshal(f.Payload, &v); err != nil {
				c.t.Errorf("frame %.200q: %v", f.Payload, err)
			}
			c.frames <- v
		case ws.OpBinary:
			feed.Write(f.Payload)
		case ws.OpClose:
			code, why := ws.ParseCloseFrameData(f.Payload)
			if end.Code == proto.CloseAbnormal {
				end.Code, end.Why = proto.CloseCode(code), why
			}
			c.write(ws.NewCloseFrame(f.Payload))
		}
	}
	feed.Close()
	decoded.Wait()
	c.frames <- end
	close(c.frames)
}

func (c *Client) inflate(src io.Reader, isZstd bool) {
	var plain io.Reader
	if isZstd {
		d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			c.t.Error(err)
			return
		}
		defer d.Close()
		plain = d
	} else {
		d, err := zlib.NewReader(src)
		if err != nil {
			c.t.Errorf("zlib: %v", err)
			return
		}
		plain = d
	}
	dec := json.NewDecoder(plain)
	for {
		var v Frame
		if err := dec.Decode(&v); err != nil {
			return // the stream is never ended, only cut
		}
		c.frames <- v
	}
}

func (c *Client) write(f ws.Frame) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	return ws.WriteFrame(c.conn, ws.MaskFrame(f))
}

// Send sends op with d.
func (c *Client) Send(op proto.Opcode, d any) {
	c.t.Helper()
	b, err := json.Marshal(map[string]any{"op": op, "d": d})
	if err != nil {
		c.t.Fatal(err)
	}
	c.SendText(string(b))
}

// SendText sends any text.
func (c *Client) SendText(s string) { c.write(ws.NewTextFrame([]byte(s))) }

// SendFrame sends any frame, masked.
func (c *Client) SendFrame(f ws.Frame) { c.write(f) }

// Close starts the closing handshake with a code.
func (c *Client) Close(code proto.CloseCode) {
	c.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), "")))
}

// Cut drops the TCP connection without a word.
func (c *Client) Cut() {
	c.conn.Close()
	c.wg.Wait()
}

// Next waits for the next frame, whatever it is. Dispatches must come with rising s.
func (c *Client) Next() Frame {
	c.t.Helper()
	select {
	case f, ok := <-c.frames:
		if !ok {
			c.t.Fatal("the connection has ended before")
		}
		if f.Op == proto.OpDispatch && !f.Ended {
			if f.S <= c.Seq || f.S >= 1<<31 {
				c.t.Fatalf("%s: s = %d after %d", f.T, f.S, c.Seq)
			}
			c.Seq = f.S
		}
		return f
	case <-time.After(patience):
		c.t.Fatal("nothing came")
		panic("unreachable")
	}
}

// Expect waits for the next frame, which must be the dispatch of an event, and decodes it into d unless that is nil.
func (c *Client) Expect(event string, d any) Frame {
	c.t.Helper()
	f := c.Next()
	if f.Ended || f.Op != proto.OpDispatch || f.T != event {
		c.t.Fatalf("got op %d %s %.300s (ended %v, %d), want %s", f.Op, f.T, f.D, f.Ended, f.Code, event)
	}
	if d != nil {
		if err := json.Unmarshal(f.D, d); err != nil {
			c.t.Fatalf("%s: %v", event, err)
		}
	}
	return f
}

// ExpectOp waits for the next frame, which must have an op.
func (c *Client) ExpectOp(op proto.Opcode) Frame {
	c.t.Helper()
	f := c.Next()
	if f.Ended || f.Op != op {
		c.t.Fatalf("got op %d %s %.300s (ended %v, %d), want op %d", f.Op, f.T, f.D, f.Ended, f.Code, op)
	}
	return f
}

// ExpectClose waits for the end, passing over other frames, checks its code, and gives its text.
func (c *Client) ExpectClose(code proto.CloseCode) (why string) {
	c.t.Helper()
	for {
		if f := c.Next(); f.Ended {
			if f.Code != code {
				c.t.Fatalf("closed with %d, want %d", f.Code, code)
			}
			return f.Why
		}
	}
}

// Identify says who it is after HELLO and waits for READY. extra keys are put into IDENTIFY.
func (c *Client) Identify(token string, extra map[string]any) proto.Ready {
	c.t.Helper()
	c.ExpectOp(proto.OpHello)
	return c.IdentifyAgain(token, extra)
}

// IdentifyAgain does so without HELLO.
func (c *Client) IdentifyAgain(token string, extra map[string]any) proto.Ready {
	c.t.Helper()
	d := map[string]any{"token": token, "properties": map[string]string{}, "compress": true, "presence": nil}
	for k, v := range extra {
		d[k] = v
	}
	c.Send(proto.OpIdentify, d)
	var r proto.Ready
	c.Expect(proto.EventReady, &r)
	c.Session = r.SessionID
	return r
}

// Resume goes on with the session of another client on this connection, after HELLO.
func (c *Client) Resume(token, session string, seq int64) {
	c.t.Helper()
	c.ExpectOp(proto.OpHello)
	c.Seq, c.Session = seq, session
	c.Send(proto.OpResume, proto.Resume{Token: token, SessionID: session, Seq: seq})
}
