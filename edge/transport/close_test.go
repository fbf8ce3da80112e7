package transport

import (
	"net"
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
