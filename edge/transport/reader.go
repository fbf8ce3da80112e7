package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

// maxFragments bounds how many frames one message may come in: empty fragments cost no bytes, so the size limit does not bound them.
const maxFragments = 64

// A reader takes the frames of one client apart: data messages whole, control frames as they come. It holds at most one message of limit
// bytes, and allocates only for bytes that have arrived or fit the limit.
type reader struct {
	src   io.Reader
	limit int

	head      [ws.MaxHeaderSize]byte
	control   [ws.MaxControlFramePayloadSize]byte
	message   []byte
	op        ws.OpCode // of the message under way; OpContinuation: none
	fragments int
	draining  bool // we are closing: data frames are skipped, whatever they are
}

// A violation is something that no client may send; it names the code to close with.
type violation struct {
	code   proto.CloseCode
	why    string
	inStep bool  // the next frame can still be found, after skip bytes
	skip   int64 // payload not yet read
}

func (v *violation) Error() string { return fmt.Sprintf("%d: %s", uint16(v.code), v.why) }

// next returns the next control frame or whole data message. The payload is valid until the next call. The error is io.EOF where the
// connection ended between frames, or a *violation.
func (r *reader) next() (ws.OpCode, []byte, error) {
	for {
		h, err := ws.ReadHeaderBuffer(r.src, r.head[:0])
		if errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
			return 0, nil, &violation{code: proto.CloseProtocol, why: err.Error()}
		}
		if err != nil {
			return 0, nil, err
		}
		if r.draining && h.OpCode.IsData() {
			if _, err := io.CopyN(io.Discard, r.src, h.Length); err != nil {
				return 0, nil, err
			}
			continue
		}
		state := ws.StateServerSide
		if r.fragments > 0 {
			state = state.Set(ws.StateFragmented)
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return 0, nil, &violation{code: proto.CloseProtocol, why: err.Error()}
		}
		if h.OpCode.IsControl() {
			p := r.control[:h.Length]
			if err := r.payload(h, p); err != nil {
				return 0, nil, err
			}
			return h.OpCode, p, nil
		}
		done, err := r.data(h)
		if err != nil {
			return 0, nil, err
		}
		if done {
			return r.op, r.message, nil
		}
	}
}

// data adds a data frame to the message under way and tells whether it completes it.
func (r *reader) data(h ws.Header) (bool, error) {
	if r.fragments == 0 {
		r.op, r.message = h.OpCode, r.message[:0]
	}
	r.fragments++
	have := len(r.message)
	if h.Length > int64(r.limit-have) || r.fragments > maxFragments {
		return false, &violation{code: proto.CloseDecode, why: "message too large", inStep: true, skip: h.Length}
	}
	want := have + int(h.Length)
	if cap(r.message) < want {
		r.message = append(make([]byte, 0, want), r.message...)
	}
	r.message = r.message[:want]
	if err := r.payload(h, r.message[have:]); err != nil {
		return false, err
	}
	if !h.Fin {
		return false, nil
	}
	r.fragments = 0
	if r.op == ws.OpText && !utf8.Valid(r.message) {
		return false, &violation{code: closeInvalidUTF, why: "text is not UTF-8", inStep: true}
	}
	return true, nil
}

func (r *reader) payload(h ws.Header, p []byte) error {
	if _, err := io.ReadFull(r.src, p); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // in the middle of a frame, whatever ReadFull says of its first byte
		}
		return err
	}
	ws.Cipher(p, h.Mask, 0)
	return nil
}

// drain reads on after a violation, so that our close frame and the client's answer can pass before TCP ends: frame by frame where that
// is still possible, else until the client or the close time-out hangs up.
func (r *reader) drain(v *violation) error {
	r.draining, r.message = true, nil
	if v.inStep {
		_, err := io.CopyN(io.Discard, r.src, v.skip)
		return err
	}
	if _, err := io.Copy(io.Discard, r.src); err != nil {
		return err
	}
	return io.EOF
}

// closeCode reads the payload of a close frame: the code that the client gave, or the violation in it.
func closeCode(p []byte) (proto.CloseCode, error) {
	switch {
	case len(p) == 0:
		return closeNoStatus, nil
	case len(p) == 1:
		return 0, &violation{code: proto.CloseProtocol, why: "close frame of one byte"}
	}
	code := ws.StatusCode(binary.BigEndian.Uint16(p))
	// 1012 to 1014 were registered after the RFC, and clients send 1012 before they resume.
	if code < 1012 || code > 1014 {
		if err := ws.CheckCloseFrameData(code, string(p[2:])); err != nil {
			return 0, &violation{code: proto.CloseProtocol, why: err.Error()}
		}
	}
	return proto.CloseCode(code), nil
}
