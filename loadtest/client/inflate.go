package client

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

// An inflater turns a binary message into the payload it holds.
type inflater interface {
	inflate(message []byte) ([]byte, error)
	close()
}

func newInflater(compress string) inflater {
	switch compress {
	case "zlib-stream":
		return &zlibStream{}
	case "zstd-stream":
		return newZstdStream()
	}
	return zlibPayload{}
}

// window is how far back deflate may refer.
const window = 32 << 10

// A zlibStream is one zlib context over a whole connection. Every message ends with a sync flush, so each can be inflated by itself with
// the last 32 KiB of output as dictionary: a message that did not end there would be noticed.
type zlibStream struct {
	begun bool
	past  []byte
}

func (z *zlibStream) inflate(m []byte) ([]byte, error) {
	if !bytes.HasSuffix(m, []byte{0, 0, 0xff, 0xff}) {
		return nil, fmt.Errorf("zlib-stream: message does not end with a sync flush: % x", m[max(0, len(m)-8):])
	}
	if !z.begun {
		if len(m) < 2 || m[0]&15 != 8 || (int(m[0])<<8|int(m[1]))%31 != 0 || m[1]&0x20 != 0 {
			return nil, fmt.Errorf("zlib-stream: no zlib header: % x", m[:min(4, len(m))])
		}
		z.begun, m = true, m[2:]
	}
	out, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(m), z.past))
	if !errors.Is(err, io.ErrUnexpectedEOF) { // nil: a final block, after which the stream would be over
		return nil, fmt.Errorf("zlib-stream: want an open stream after the message, got %v", err)
	}
	z.past = append(z.past, out...)
	if over := len(z.past) - window; over > 0 {
		z.past = append([]byte(nil), z.past[over:]...)
	}
	return out, nil
}

func (z *zlibStream) close() {}

// A zlibPayload inflates messages that are each a zlib stream of their own, as after IDENTIFY with compress:true.
type zlibPayload struct{}

func (zlibPayload) inflate(m []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(m))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func (zlibPayload) close() {}

// A zstdStream is one zstd frame over a whole connection, flushed per payload.
type zstdStream struct {
	feed *io.PipeWriter
	out  chan json.RawMessage
	err  chan error
}

func newZstdStream() *zstdStream {
	r, w := io.Pipe()
	z := &zstdStream{feed: w, out: make(chan json.RawMessage), err: make(chan error, 1)}
	go func() {
		err := z.run(r)
		r.CloseWithError(err)
		z.err <- err
	}()
	return z
}

func (z *zstdStream) run(r io.Reader) error {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return err
	}
	defer d.Close()
	payloads := json.NewDecoder(d)
	for {
		var p json.RawMessage
		if err := payloads.Decode(&p); err != nil {
			return fmt.Errorf("zstd-stream: %w", err)
		}
		z.out <- p
	}
}

func (z *zstdStream) inflate(m []byte) ([]byte, error) {
	if _, err := z.feed.Write(m); err != nil {
		return nil, err
	}
	select {
	case p := <-z.out:
		return p, nil
	case err := <-z.err:
		z.err <- err
		return nil, err
	case <-time.After(5 * time.Second):
		return nil, errors.New("zstd-stream: a message that holds no whole payload")
	}
}

func (z *zstdStream) close() {
	z.feed.CloseWithError(io.EOF)
	for {
		select {
		case <-z.out:
		case err := <-z.err:
			z.err <- err
			return
		}
	}
}
