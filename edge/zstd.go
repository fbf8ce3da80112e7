package edge

import (
	"encoding/binary"

	"github.com/klauspost/compress/huff0"
)

// zstdHeader opens a zstd frame (RFC 8878 3.1.1): magic number; no content size, checksum or dictionary; window of 128 KiB, which is also
// the largest block. Each connection gets it once, before its first block; the frame is never ended.
var zstdHeader = []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38}

const (
	zstdBlock    = 128 << 10
	zstdSmall    = 64   // below, a Huffman table costs more than it saves
	zstdStreams  = 1024 // from here on literals go in four streams, which decode faster; a single one is limited to 1023
	blockRaw     = 0
	blockRLE     = 1
	blockHuffman = 2 // "compressed"
)

// A zstdBlocks makes pieces of zstd-stream that any connection can take at any point. A block of literals with its own Huffman table and
// zero sequences refers to nothing earlier, and leaves nothing behind that a later block could refer to: no table is repeated, the window
// is never read, and repeat offsets, which only sequences touch, stay as the frame began. Cost: matches are not used, about half of the gain.
type zstdBlocks struct {
	out     []byte
	scratch huff0.Scratch
}

// piece returns payload as whole blocks; valid until the next call.
func (z *zstdBlocks) piece(payload []byte) []byte {
	z.out = z.out[:0]
	for len(payload) > zstdBlock {
		z.block(payload[:zstdBlock])
		payload = payload[zstdBlock:]
	}
	if len(payload) > 0 {
		z.block(payload)
	}
	return z.out
}

func (z *zstdBlocks) block(b []byte) {
	if len(b) >= zstdSmall {
		z.scratch.Reuse = huff0.ReusePolicyNone // a repeated table would be state
		var lits []byte
		var err error
		single := len(b) < zstdStreams
		if single {
			lits, _, err = huff0.Compress1X(b, &z.scratch)
		} else {
			lits, _, err = huff0.Compress4X(b, &z.scratch)
		}
		switch {
		case err == huff0.ErrUseRLE:
			z.header(blockRLE, len(b))
			z.out = append(z.out, b[0])
			return
		case err == nil && len(lits)+6 < len(b):
			z.huffman(lits, len(b), single)
			return
		}
	}
	z.header(blockRaw, len(b))
	z.out = append(z.out, b...)
}

// huffman appends a compressed block: literals section header (RFC 8878 3.1.1.3.1.1), table and streams, then "no sequences".
func (z *zstdBlocks) huffman(lits []byte, size int, single bool) {
	const compressedLiterals = 2
	head, bits, format := 3, 10, uint64(1)
	switch {
	case single:
		format = 0
	case size >= 1<<14:
		head, bits, format = 5, 18, 3
	case size >= 1<<10:
		head, bits, format = 4, 14, 2
	}
	z.header(blockHuffman, head+len(lits)+1)
	var h [8]byte
	binary.LittleEndian.PutUint64(h[:], compressedLiterals|format<<2|uint64(size)<<4|uint64(len(lits))<<(4+bits))
	z.out = append(z.out, h[:head]...)
	z.out = append(z.out, lits...)
	z.out = append(z.out, 0)
}

// header appends a block header: not the last block, type, size (of the content; of a run for RLE).
func (z *zstdBlocks) header(kind, size int) {
	v := uint32(kind)<<1 | uint32(size)<<3
	z.out = append(z.out, byte(v), byte(v>>8), byte(v>>16))
}
