package edge

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"
)

// zlibHeader opens a zlib stream: deflate, 32 KiB window, default level (RFC 1950 2.2). Each connection gets it once, before its first block.
var zlibHeader = []byte{0x78, 0x9c}

// A deflater makes pieces of zlib-stream that any connection can take at any point: each is compressed from a fresh state, so it refers to
// nothing earlier, and ends in a sync flush (00 00 FF FF), so that the next can follow.
type deflater struct {
	out bytes.Buffer
	w   *flate.Writer
}

func newDeflater() *deflater {
	w, err := flate.NewWriter(io.Discard, flate.DefaultCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &deflater{w: w}
}

// piece returns payload compressed; valid until the next call.
func (d *deflater) piece(payload []byte) []byte {
	d.out.Reset()
	d.w.Reset(&d.out)
	d.w.Write(payload) // a bytes.Buffer does not fail
	d.w.Flush()
	return d.out.Bytes()
}
