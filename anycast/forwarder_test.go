package anycast_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/anycast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// town is an edge that answers every line with its name and can be made ill or killed.
type town struct {
	name   string
	ln     net.Listener
	health *httptest.Server
	well   atomic.Bool
	looks  atomic.Int64
	conns  chan net.Conn
	ended  chan struct{}
}

func startTown(t *testing.T, name string) *town {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tw := &town{name: name, ln: ln, conns: make(chan net.Conn, 100), ended: make(chan struct{})}
	tw.well.Store(true)
	tw.health = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tw.looks.Add(1)
		if !tw.well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	go func() {
		defer close(tw.ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			tw.conns <- c
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					io.WriteString(c, name+" heard "+s.Text()+"\n")
				}
			}()
		}
	}()
	t.Cleanup(tw.kill)
	return tw
}

// kill is kill -9: the listener and every connection of the edge end.
func (tw *town) kill() {
	tw.ln.Close()
	tw.health.Close()
	<-tw.ended
	for {
		select {
		case c := <-tw.conns:
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		default:
			return
		}
	}
}

func (tw *town) edge() anycast.Edge {
	return anycast.Edge{Addr: tw.ln.Addr().String(), Health: tw.health.URL}
}

func start(t *testing.T, cfg anycast.Config) *anycast.Forwarder {
	t.Helper()
	cfg.Addr, cfg.Every = "127.0.0.1:0", 5*time.Millisecond
	f, err := anycast.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 10 s until %s", what)
		}
	}
}

func call(t *testing.T, f *anycast.Forwarder) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr().String())
	if errors.Is(err, syscall.ECONNRESET) {
		return nil, "" // cut before the dialer had looked
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "alice\n")
	line, _ := bufio.NewReader(c).ReadString('\n')
	return c, line
}

func TestConnectionsGoToLiveEdgesOnly(t *testing.T) {
	oslo, rome := startTown(t, "oslo"), startTown(t, "rome")
	f := start(t, anycast.Config{Edges: []anycast.Edge{oslo.edge(), rome.edge()}})
	until(t, "both edges are live", func() bool { return f.Live() == 2 })

	oslo.well.Store(false)
	until(t, "oslo is withdrawn", func() bool { return f.Live() == 1 })
	for range 20 {
		if _, got := call(t, f); got != "rome heard alice\n" {
			t.Fatalf("got %q, want an answer of rome", got)
		}
	}
	oslo.well.Store(true)
	until(t, "oslo is back", func() bool { return f.Live() == 2 })
	until(t, "somebody reaches oslo again", func() bool { _, got := call(t, f); return got == "oslo heard alice\n" })
}

func TestDrainingEdgeKeepsItsConnections(t *testing.T) {
	oslo := startTown(t, "oslo")
	f := start(t, anycast.Config{Edges: []anycast.Edge{oslo.edge()}})
	until(t, "oslo is live", func() bool { return f.Live() == 1 })
	c, _ := call(t, f)
	oslo.well.Store(false)
	until(t, "oslo is withdrawn", func() bool { return f.Live() == 0 })
	io.WriteString(c, "still here\n")
	if got, err := bufio.NewReader(c).ReadString('\n'); got != "oslo heard still here\n" {
		t.Errorf("got %q, %v, want oslo's answer", got, err)
	}
}

func TestDeadEdgeCutsItsClientsAtOnce(t *testing.T) {
	oslo := startTown(t, "oslo")
	f := start(t, anycast.Config{Edges: []anycast.Edge{oslo.edge()}})
	until(t, "oslo is live", func() bool { return f.Live() == 1 })
	c, _ := call(t, f)
	began := time.Now()
	oslo.kill()
	if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("got %v after %v, want the connection to end at once", err, time.Since(began))
	}
}

func TestDeadEdgeNotYetNoticedIsPassedOver(t *testing.T) {
	oslo, rome := startTown(t, "oslo"), startTown(t, "rome")
	liar := anycast.Edge{Addr: oslo.edge().Addr, Health: rome.edge().Health} // its health lags behind its death
	f := start(t, anycast.Config{Edges: []anycast.Edge{liar, rome.edge()}})
	until(t, "both seem live", func() bool { return f.Live() == 2 })
	oslo.kill()
	for range 20 {
		if _, got := call(t, f); got != "rome heard alice\n" {
			t.Fatalf("got %q, want an answer of rome", got)
		}
	}
}

func TestBoundOnConnections(t *testing.T) {
	oslo := startTown(t, "oslo")
	f := start(t, anycast.Config{Edges: []anycast.Edge{oslo.edge()}, MaxConns: 2})
	until(t, "oslo is live", func() bool { return f.Live() == 1 })
	first, _ := call(t, f)
	call(t, f)
	if _, got := call(t, f); got != "" {
		t.Errorf("one past the limit got %q, want to be cut", got)
	}
	first.Close()
	until(t, "there is room again", func() bool { _, got := call(t, f); return got != "" })
}

func TestWithoutLiveEdgeClientsAreCut(t *testing.T) {
	f := start(t, anycast.Config{Edges: []anycast.Edge{{Addr: "127.0.0.1:1", Health: "http://127.0.0.1:1/readyz"}}})
	if _, got := call(t, f); got != "" {
		t.Errorf("got %q, want to be cut", got)
	}
}
