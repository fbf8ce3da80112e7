package edge

import (
	"encoding/json"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
)

// compressions is how many there are: the size of tables by transport.Compression.
const compressions = 3

// An encoder turns payloads into framed bytes that any number of connections of one compression share. One goroutine at a time.
type encoder struct {
	deflate deflater
	zstd    zstdBlocks
}

// frame returns payload compressed and framed, in memory of its own. first is for the first frame of a connection.
func (e *encoder) frame(c transport.Compression, payload []byte, first bool) []byte {
	var head []byte
	piece := payload
	switch c {
	case transport.Plain:
		return transport.AppendText(make([]byte, 0, len(payload)+transport.HeaderRoom), payload)
	case transport.Zlib:
		head, piece = zlibHeader, e.deflate.piece(payload)
	case transport.Zstd:
		head, piece = zstdHeader, e.zstd.piece(payload)
	}
	if first {
		piece = append(append([]byte{}, head...), piece...)
	}
	return transport.AppendBinary(make([]byte, 0, len(piece)+transport.HeaderRoom), piece)
}

// constants are the frames that never change, by compression: made once, shared by all.
type constants struct {
	hello, ack, reconnect, invalid [compressions][]byte
}

func newConstants(interval int64) *constants {
	hello, err := json.Marshal(struct {
		T  *string      `json:"t"`
		S  *int64       `json:"s"`
		Op proto.Opcode `json:"op"`
		D  proto.Hello  `json:"d"`
	}{Op: proto.OpHello, D: proto.Hello{HeartbeatInterval: interval, Trace: []string{}}})
	if err != nil {
		panic(err) // integers and a list
	}
	e, k := &encoder{}, &constants{}
	for c := range transport.Compression(compressions) {
		k.hello[c] = e.frame(c, hello, true)
		k.ack[c] = e.frame(c, []byte(`{"t":null,"s":null,"op":11,"d":null}`), false)
		k.reconnect[c] = e.frame(c, []byte(`{"t":null,"s":null,"op":7,"d":null}`), false)
		k.invalid[c] = e.frame(c, []byte(`{"t":null,"s":null,"op":9,"d":false}`), false)
	}
	return k
}
