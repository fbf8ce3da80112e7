package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/starling-chat/starling/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An echo answers frames with themselves and reports how connections end.
type echo struct {
	conns chan Conn
	codes chan proto.CloseCode
}

func (e *echo) OnFrame(c Conn, frame []byte)         { c.Queue(AppendText(nil, frame)) }
func (e *echo) OnClose(_ Conn, code proto.CloseCode) { e.codes <- code }
func (e *echo) accept(c Conn, _ Request) Handler     { e.conns <- c; return e }
func (*echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, r.Method+" "+r.RequestURI)
}

func serve(t *testing.T, alter func(*Config)) (*echo, string) {
	t.Helper()
	e := &echo{conns: make(chan Conn, 100), codes: make(chan proto.CloseCode, 100)}
	cfg := Config{Addr: "127.0.0.1:0", Accept: e.accept, REST: e, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if alter != nil {
		alter(&cfg)
	}
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return e, s.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, _, _, err := ws.Dial(ctx, "ws://"+addr+"/gateway")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(15 * time.Second))
	return c
}

func masked(op ws.OpCode, fin bool, p string) []byte {
	b, err := ws.CompileFrame(ws.MaskFrame(ws.NewFrame(op, fin, []byte(p))))
	if err != nil {
		panic(err)
	}
	return b
}

func expect(t *testing.T, c net.Conn, op ws.OpCode, payload string) {
	t.Helper()
	f, err := ws.ReadFrame(c)
	if err != nil || f.Header.OpCode != op || string(f.Payload) != payload {
		t.Fatalf("got op %d %.100q, err %v; want op %d %.100q", f.Header.OpCode, f.Payload, err, op, payload)
	}
}

// expectEnd wants a close frame with a code, then, once answered, the end of TCP well before any time-out.
func expectEnd(t *testing.T, c net.Conn, code proto.CloseCode) {
	t.Helper()
	for {
		f, err := ws.ReadFrame(c)
		if err != nil {
			t.Fatalf("no close frame: %v", err)
		}
		if f.Header.OpCode != ws.OpClose {
			continue
		}
		if got := proto.CloseCode(binary.BigEndian.Uint16(f.Payload)); got != code {
			t.Fatalf("closed with %d, want %d", got, code)
		}
		break
	}
	c.Write(masked(ws.OpClose, true, string(binary.BigEndian.AppendUint16(nil, uint16(code)))))
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
}

func TestFrames(t *testing.T) {
	e, addr := serve(t, nil)
	c := dial(t, addr)
	c.Write(slices.Concat(masked(ws.OpText, false, "frag"), masked(ws.OpPing, true, "p"), masked(ws.OpContinuation, false, ""),
		masked(ws.OpContinuation, true, "ments"), masked(ws.OpText, true, strings.Repeat("x", proto.MaxFrame))))
	expect(t, c, ws.OpPong, "p")
	expect(t, c, ws.OpText, "fragments")
	expect(t, c, ws.OpText, strings.Repeat("x", proto.MaxFrame))
	c.Write(masked(ws.OpClose, true, "\x03\xe8bye"))
	expect(t, c, ws.OpClose, "\x03\xe8")
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("after the close handshake: %v, want EOF", err)
	}
	if code := <-e.codes; code != 1000 {
		t.Fatalf("OnClose %d", code)
	}
}

func TestViolations(t *testing.T) {
	e, addr := serve(t, nil)
	unmasked := ws.MustCompileFrame(ws.NewTextFrame([]byte("x")))
	rsv := masked(ws.OpText, true, "x")
	rsv[0] |= 0x40
	huge := append([]byte{0x81, 0xff}, bytes.Repeat([]byte{0x7f}, 8+4)...)
	msb := append([]byte{0x81, 0xff}, bytes.Repeat([]byte{0xff}, 8+4)...)
	bomb := masked(ws.OpText, false, "")
	for range maxFragments {
		bomb = append(bomb, masked(ws.OpContinuation, false, "")...)
	}
	for name, try := range map[string]struct {
		bytes []byte
		code  proto.CloseCode
	}{
		"one byte too many":       {masked(ws.OpText, true, strings.Repeat("x", proto.MaxFrame+1)), proto.CloseDecode},
		"too many over fragments": {append(masked(ws.OpText, false, strings.Repeat("x", proto.MaxFrame)), masked(ws.OpContinuation, true, "x")...), proto.CloseDecode},
		"empty fragments":         {bomb, proto.CloseDecode},
		"declared huge":           {huge, proto.CloseDecode},
		"length with sign":        {msb, proto.CloseProtocol},
		"not masked":              {unmasked, proto.CloseProtocol},
		"reserved bit":            {rsv, proto.CloseProtocol},
		"reserved opcode":         {masked(3, true, "x"), proto.CloseProtocol},
		"continuation of nothing": {masked(ws.OpContinuation, true, "x"), proto.CloseProtocol},
		"text in text":            {append(masked(ws.OpText, false, "x"), masked(ws.OpText, true, "x")...), proto.CloseProtocol},
		"fragmented ping":         {masked(ws.OpPing, false, "x"), proto.CloseProtocol},
		"long ping":               {masked(ws.OpPing, true, strings.Repeat("x", 126)), proto.CloseProtocol},
		"not UTF-8":               {masked(ws.OpText, true, "\xff"), closeInvalidUTF},
		"close of one byte":       {masked(ws.OpClose, true, "x"), proto.CloseProtocol},
		"close 1005":              {masked(ws.OpClose, true, "\x03\xed"), proto.CloseProtocol},
		"pings without end":       {bytes.Repeat(masked(ws.OpPing, true, ""), maxControls+1), proto.CloseRateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			go c.Write(try.bytes)
			f, err := ws.ReadFrame(c)
			for err == nil && f.Header.OpCode == ws.OpPong {
				f, err = ws.ReadFrame(c)
			}
			if err != nil || f.Header.OpCode != ws.OpClose || proto.CloseCode(binary.BigEndian.Uint16(f.Payload)) != try.code {
				t.Fatalf("got %+v, err %v; want close %d", f, err, try.code)
			}
			c.Close()
			if code := <-e.codes; code != try.code {
				t.Fatalf("OnClose %d, want %d", code, try.code)
			}
		})
	}
}

func TestOurCloseIsAnsweredAtOnce(t *testing.T) {
	e, addr := serve(t, nil)
	c := dial(t, addr)
	conn := <-e.conns
	conn.Queue(AppendText(nil, []byte("last words")))
	conn.Close(proto.CloseRestart)
	conn.Close(proto.CloseAuthFailed) // the first code wins
	if conn.Queue(AppendText(nil, []byte("too late"))) {
		t.Error("a closed Conn takes frames")
	}
	expect(t, c, ws.OpText, "last words")
	start := time.Now()
	expectEnd(t, c, proto.CloseRestart)
	if d := time.Since(start); d > closeTimeout/2 {
		t.Errorf("TCP ended after %v", d)
	}
	if code := <-e.codes; code != proto.CloseRestart {
		t.Fatalf("OnClose %d", code)
	}
	// A client that just goes.
	d := dial(t, addr)
	<-e.conns
	d.Close()
	if code := <-e.codes; code != proto.CloseAbnormal {
		t.Fatalf("OnClose %d, want 1006", code)
	}
}

// Bob stops reading. Carol, who gets the same bytes, does not wait for him, and he is closed when too much waits.
func TestSlowClientHurtsOnlyItself(t *testing.T) {
	const limit = 1 << 20
	e, addr := serve(t, func(c *Config) { c.QueueBytes = limit })
	dial(t, addr)
	slow := <-e.conns
	carol := dial(t, addr)
	fast := <-e.conns
	shared := AppendText(nil, bytes.Repeat([]byte("x"), 64<<10))
	closed := false
	for i := 0; i < 1000 && !closed; i++ {
		closed = !slow.Queue(shared)
		if !fast.Queue(shared) {
			t.Fatal("carol is closed")
		}
		expect(t, carol, ws.OpText, string(shared[HeaderRoom:]))
	}
	if !closed {
		t.Fatal("64 MB wait for bob")
	}
	if code := <-e.codes; code != proto.CloseSlow {
		t.Fatalf("OnClose %d, want %d", code, proto.CloseSlow)
	}
}

func TestQueueAtLimitAndOnePast(t *testing.T) {
	a, b := net.Pipe() // takes nothing unless read
	defer b.Close()
	c := newWebSocket(a, 1000)
	if !c.Queue(make([]byte, 600)) || !c.Queue(make([]byte, 400)) {
		t.Fatal("refused within the limit")
	}
	if c.Queue(make([]byte, 1)) {
		t.Fatal("took one byte past the limit")
	}
	a.Close()
	c.started.Wait()
	c.giveUp.Stop()
	if c.waiting != 0 {
		t.Errorf("%d bytes still counted", c.waiting)
	}
}

func TestHTTPBesideTheGateway(t *testing.T) {
	_, addr := serve(t, func(c *Config) { c.Origins = []string{"https://chat.example"} })
	for path, want := range map[string]string{"/gateway": "GET /gateway", "//api//v10/": "GET //api//v10/", "/a/../b?x=1": "GET /a/../b?x=1"} {
		r, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if string(b) != want {
			t.Errorf("%s: got %q, want %q", path, b, want)
		}
	}
	for origin, ok := range map[string]bool{"": true, "https://chat.example": true, "https://evil.example": false} {
		d := ws.Dialer{Timeout: 5 * time.Second}
		if origin != "" {
			d.Header = ws.HandshakeHeaderHTTP{"Origin": {origin}}
		}
		c, _, _, err := d.Dial(context.Background(), "ws://"+addr+"/gateway/?encoding=json&v=10")
		if (err == nil) != ok {
			t.Errorf("origin %q: err %v", origin, err)
		}
		if c != nil {
			c.Close()
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	e, addr := serve(t, func(c *Config) { c.MaxConns = 1 })
	c := dial(t, addr)
	<-e.conns
	if _, _, _, err := ws.Dial(context.Background(), "ws://"+addr+"/gateway"); err == nil {
		t.Fatal("a second connection got in")
	}
	c.Close()
	<-e.codes
}

func TestSlowHandshakeIsCut(t *testing.T) {
	_, addr := serve(t, func(c *Config) { c.Handshake = 100 * time.Millisecond })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /gateway HTTP/1.1\r\nHost: x\r\n")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatalf("half a header is waited for: %v", err)
	}
	d, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	go io.WriteString(d, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	d.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(d, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Fatalf("a header of 64 KiB: %q, err %v", answer, err)
	}
}

func TestPlainTextOnlyOnLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, "localhost:0": true, ":0": false, "0.0.0.0:0": false,
		"192.0.2.1:80": false, "example.com:80": false, "[::]:80": false} {
		if err := loopbackOnly(addr); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(masked(ws.OpText, true, `{"op":1}`))
	f.Add(append(masked(ws.OpText, false, "a"), masked(ws.OpContinuation, true, "b")...))
	f.Add(masked(ws.OpClose, true, "\x03\xe8"))
	f.Add([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0x10, 0x01, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &reader{src: bytes.NewReader(b), limit: proto.MaxFrame}
		for {
			op, p, err := r.next()
			if err != nil {
				return
			}
			if len(p) > proto.MaxFrame || cap(r.message) > proto.MaxFrame*2 {
				t.Fatalf("message of %d bytes, buffer of %d", len(p), cap(r.message))
			}
			if op == ws.OpClose {
				closeCode(p)
			}
		}
	})
}
