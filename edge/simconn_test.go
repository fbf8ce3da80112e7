package edge

import (
	"time"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
)

// A simConn is a connection of the edge. What is queued the client reads later, or never.
type simConn struct {
	n       int // of all connections
	edge    *simEdge
	client  *simClient
	handler transport.Handler
	queue   [][]byte
	limit   int
	beat    time.Time
	code    proto.CloseCode // the edge closed it
	cut     bool            // the client's end is gone
	over    bool            // the edge was told of the end
}

// Queue implements transport.Conn.
func (c *simConn) Queue(shared []byte) bool {
	if c.code != 0 || c.over {
		return false
	}
	if len(c.queue) == c.limit {
		c.edge.w.stats.slow++
		c.code = proto.CloseSlow
		return false
	}
	c.queue = append(c.queue, shared)
	return true
}

// Waiting implements transport.Conn.
func (c *simConn) Waiting() int { return len(c.queue) }

// Close implements transport.Conn.
func (c *simConn) Close(code proto.CloseCode) {
	if c.code == 0 {
		c.code = code
	}
}

// CloseRetry implements transport.Conn.
func (c *simConn) CloseRetry(code proto.CloseCode, _ time.Duration) { c.Close(code) }

// end tells the edge that the connection is over, as the transport does.
func (c *simConn) end() {
	if c.over {
		return
	}
	c.over = true
	if c.edge.up {
		c.handler.OnClose(c, proto.CloseAbnormal)
	}
}
