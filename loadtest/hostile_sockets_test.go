package loadtest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// halfOpen is how many sockets say nothing: 10,000, or as many as two processes may open here.
func halfOpen(t *testing.T) int {
	var r syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r))
	if r.Cur < r.Max {
		r.Cur = r.Max
		must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r))
	}
	n := int(min(r.Cur, 11_000)) - 1000
	t.Logf("%d half-open sockets", n)
	return n
}

// 10,000 sockets that say nothing, some that drip a header or a body byte by byte, some in the middle of a TLS handshake: an honest session
// and its calls go on, and after the handshake's time they are all closed.
func TestHalfOpenSockets(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 3*patience)
	bot, _ := w.bot("hope", true)
	honest := w.open(0, bot.Token, client.Options{}, nil)
	n := halfOpen(t)
	conns := make([]net.Conn, n)
	addrs := []string{w.m.Addr(0), w.m.TLSAddr(0)}
	drip := []string{"", "GET /gateway HTTP/1.1\r\nHost: a\r\nX: ", "POST /api/v10/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{", "\x16\x03\x01"}
	var wg sync.WaitGroup
	var next, failed atomic.Int64
	for range 16 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				what := 0
				if i%20 == 0 {
					what = 1 + i/20%3
				}
				c, err := net.DialTimeout("tcp", addrs[b2i(what == 3 || i%20 == 7)], patience)
				if err != nil {
					failed.Add(1)
					continue
				}
				conns[i] = c
				io.WriteString(c, drip[what])
			}
		})
	}
	wg.Wait()
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	if f := failed.Load(); f > int64(n/100) {
		t.Errorf("%d of %d sockets could not be opened", f, n)
	}
	// While they are there, everybody else goes on: those who drip get one more byte each second.
	late := 0
	for i := range 20 {
		began := time.Now()
		m := take[proto.Message](t)(w.owner.Say(ctx, w.general, fmt.Sprint("calm ", i)))
		w.await(honest.Gateway, 0, "message", says(m))
		if time.Since(began) > time.Second {
			late++
		}
		if i%5 == 0 {
			for k := 0; k < n; k += 20 {
				if conns[k] != nil {
					io.WriteString(conns[k], "a")
				}
			}
		}
	}
	if late > 2 {
		t.Errorf("%d of 20 honest messages took more than a second", late)
	}
	// Every one is closed by the server: 5 s for a header or a handshake, 9.5 s for a body.
	deadline := time.Now().Add(patience)
	open := 0
	buf := make([]byte, 4096)
	for _, c := range conns {
		if c == nil {
			continue
		}
		c.SetReadDeadline(deadline)
		for {
			if _, err := c.Read(buf); err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					open++
				}
				break
			}
		}
	}
	if open > 0 {
		t.Errorf("%d of %d sockets are still open after %v", open, n, patience)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// There is no HTTP/2 to reset streams of: TLS negotiates HTTP/1.1 alone, and the preface is no request.
func TestNoHTTP2(t *testing.T) {
	w := newTown(t, plain.get(t))
	conf := devTLS(t, w.m).Clone()
	conf.NextProtos = []string{"h2", "http/1.1"}
	c := take[*tls.Conn](t)(tls.Dial("tcp", w.m.TLSAddr(0), conf))
	defer c.Close()
	if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("negotiated %q, want http/1.1", got)
	}
	conf = conf.Clone()
	conf.NextProtos = []string{"h2"}
	if only, err := tls.Dial("tcp", w.m.TLSAddr(0), conf); err == nil {
		only.Close()
		t.Errorf("h2 alone: negotiated %q, want a refusal", only.ConnectionState().NegotiatedProtocol)
	}
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return // hung up: as good
	}
	defer resp.Body.Close()
	if resp.StatusCode < 400 || resp.StatusCode >= 500 && resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("the preface of HTTP/2: %s", resp.Status)
	}
}

// 400 logins at once cost argon2 each: some are answered, the rest are told 503 and when to come back, none waits for ever, and messages go on.
func TestArgonLoad(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 3*patience)
	anon := w.owner.As("")
	anon.HTTP = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 400}}
	t.Cleanup(anon.HTTP.CloseIdleConnections)
	const logins = 400
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for i := range logins {
		wg.Go(func() {
			a, err := anon.Raw(ctx, "POST", "/auth/login", map[string]any{"login": fmt.Sprint("nobody", i), "password": "wrong"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			got[a.Status]++
			if a.Status == 503 && a.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
	for range 5 {
		take[proto.Message](t)(w.owner.Say(ctx, w.general, "on we go"))
	}
	wg.Wait()
	t.Logf("answers: %v", got)
	refused := 0
	for status, n := range got {
		switch {
		case status == 503:
		case status >= 400 && status < 500:
			refused += n
		default:
			t.Errorf("%d answers %d", n, status)
		}
	}
	if refused == 0 || got[503] == 0 {
		t.Errorf("got %v, want some refused for what they are, and some 503", got)
	}
}
