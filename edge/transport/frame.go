package transport

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

// AppendText appends payload as one text message.
func AppendText(dst, payload []byte) []byte { return appendFrame(dst, ws.OpText, payload) }

// AppendBinary appends payload as one binary message.
func AppendBinary(dst, payload []byte) []byte { return appendFrame(dst, ws.OpBinary, payload) }

// HeaderRoom is how many bytes AppendText and AppendBinary add at most.
const HeaderRoom = 10

// appendFrame writes a final, unmasked frame (RFC 6455 5.2): servers never mask, which is what lets connections share bytes.
func appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	dst = append(dst, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}

// closeFrame is the frame that ends a connection; a code that must not travel becomes an empty one.
func closeFrame(code proto.CloseCode, reason string) []byte {
	if code == 0 || code == closeNoStatus || code == proto.CloseAbnormal {
		return appendFrame(nil, ws.OpClose, nil)
	}
	return appendFrame(nil, ws.OpClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

// Codes of RFC 6455 7.4.1 that only this package deals with.
const (
	closeNoStatus   proto.CloseCode = 1005 // a close frame without a code; never sent
	closeInvalidUTF proto.CloseCode = 1007
)
