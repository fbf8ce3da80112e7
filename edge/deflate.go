package edge

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// zlibHeader opens a zlib stream: deflate, 32 KiB window, default level (RFC 1950 2.2). Each connection gets it once, before its first block.
var zlibHeader = []byte{0x78, 0x9c}

// A deflater makes pieces of zlib-stream that any connection can take at any point: each is compressed from a fresh state, so it refers to
// nothing earlier, and ends in a sync flush (00 00 FF FF), so that the next can follow.
type deflater struct{ out bytes.Buffer }

// flateWriters are a megabyte each, and a piece needs one for as long as it is made.
var flateWriters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.DefaultCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// piece returns payload compressed; valid until the next call.
func (d *deflater) piece(payload []byte) []byte {
	w := flateWriters.Get().(*flate.Writer)
	defer flateWriters.Put(w)
	d.out.Reset()
	w.Reset(&d.out)
	w.Write(payload) // a bytes.Buffer does not fail
	w.Flush()
	return d.out.Bytes()
}
