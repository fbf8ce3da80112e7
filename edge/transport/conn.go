// Package transport carries frames between the edge and its clients: WebSocket on gobwas/ws over plain TCP (loopback only) and TLS 1.3,
// with the REST handler of the edge on the same ports. It knows sockets, framing, limits and the closing handshake; it does not know what
// a frame says, who the client is, or who should hear what. An engine with another way to poll sockets replaces this package alone.
package transport

import (
	"time"

	"github.com/starling-chat/starling/proto"
)

// A Conn carries frames to one client. Any goroutine may call it; no call blocks.
type Conn interface {
	// Queue appends bytes that are already framed (AppendText, AppendBinary) and shared with other connections: nobody may change them
	// any more. It reports false once the Conn is closed or closing; it closes with CloseSlow, and reports false, when more than its
	// limit would wait.
	Queue(shared []byte) bool
	// Waiting is how many queued bytes the client has not yet taken.
	Waiting() int
	// Close sends what was queued, then a close frame, and hangs up when the client has answered it or after a short while.
	// The first code wins.
	Close(proto.CloseCode)
	// CloseRetry is Close that tells the client after how long to come again, if it reads such things.
	CloseRetry(code proto.CloseCode, after time.Duration)
}

// A Handler receives what the client sends, one call at a time per connection. frame is valid until the call returns.
type Handler interface {
	OnFrame(c Conn, frame []byte)
	// OnClose is the last call. code is the client's own if it closed first, ours if we did (its echo changes nothing), and
	// CloseAbnormal if the connection broke. We never close with 1000 or 1001: these two mean that the client ended its session.
	OnClose(c Conn, code proto.CloseCode)
}

// A Request is what the client asked for when it connected.
type Request struct {
	Version  int // of the gateway protocol: 9 or 10
	Compress Compression
	Remote   string // address, host only
}

// A Compression is what compress= of the URL asks for.
type Compression uint8

// Compressions. They hold from the first frame to the last.
const (
	Plain Compression = iota
	Zlib
	Zstd
)

func (c Compression) String() string { return [...]string{"none", "zlib-stream", "zstd-stream"}[c] }
