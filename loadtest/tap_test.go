package loadtest

import (
	"bytes"
	"encoding/json"
	"net"
	"sync"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

// A tap counts the opcodes that a library sends over its sockets.
type tap struct {
	mu   sync.Mutex
	sent map[proto.Opcode]int
}

func (t *tap) dial(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	return tapped{c, t}, err
}

func (t *tap) count(op proto.Opcode) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent[op]
}

type tapped struct {
	net.Conn
	tap *tap
}

// Write takes one frame, as gorilla's WebSocket writes them; what is none is the handshake.
func (c tapped) Write(p []byte) (int, error) {
	var m struct{ Op *proto.Opcode }
	if f, err := ws.ReadFrame(bytes.NewReader(p)); err == nil && f.Header.OpCode == ws.OpText && json.Unmarshal(ws.UnmaskFrame(f).Payload, &m) == nil && m.Op != nil {
		c.tap.mu.Lock()
		c.tap.sent[*m.Op]++
		c.tap.mu.Unlock()
	}
	return c.Conn.Write(p)
}
