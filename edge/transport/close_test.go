package transport

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

// A slowConn is as long about its end as TLS whose last record nobody takes.
type slowConn struct {
	net.Conn
	closing func()
}

func (c *slowConn) Close() error {
	c.closing()
	return c.Conn.Close()
}

// Bob is gone, and his connection takes its time to end. The loop of the edge, which has something for him, goes on.
func TestQueueDoesNotWaitForAClose(t *testing.T) {
	near, bob := net.Pipe()
	begun, end := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c := newWebSocket(&slowConn{near, func() {
		once.Do(func() { close(begun) })
		<-end
	}}, 1000)
	e := &echo{codes: make(chan proto.CloseCode, 1)}
	go c.serve(nil, e)
	bob.Close()
	<-begun
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c.Queue([]byte("x")) {
			t.Error("a connection that ends takes frames")
		}
		c.Close(proto.CloseRestart)
		c.Waiting()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the loop waits for the end of TLS")
	}
	close(end)
	if code := <-e.codes; code != proto.CloseAbnormal {
		t.Errorf("OnClose %d", code)
	}
	<-done
}

// The server ends. Its connections do so side by side, and nobody waits for the lock meanwhile.
func TestServerClosesSideBySide(t *testing.T) {
	s := &Server{http: &http.Server{}, conns: map[*webSocket]struct{}{}}
	e := &echo{codes: make(chan proto.CloseCode, 100)}
	all := make(chan struct{})
	late, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	var mu sync.Mutex
	closing := map[net.Conn]bool{}
	for range 20 {
		near, far := net.Pipe()
		defer far.Close()
		c := newWebSocket(&slowConn{near, func() {
			mu.Lock()
			if closing[near] = true; len(closing) == 20 {
				select {
				case <-all:
				default:
					close(all)
				}
			}
			mu.Unlock()
			select {
			case <-all:
			case <-late.Done():
				t.Error("they end one after the other")
			}
		}}, 1000)
		s.add(c)
		go func() {
			defer s.remove(c)
			c.serve(nil, e)
		}()
	}
	s.shutdown()
	if len(e.codes) != 20 || len(s.conns) != 0 {
		t.Errorf("%d have ended, %d are left", len(e.codes), len(s.conns))
	}
}
