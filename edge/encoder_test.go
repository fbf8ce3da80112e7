package edge

import (
	"bytes"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/starling-chat/starling/edge/transport"
)

// payloads of every size class and kind: empty-ish, text, runs, noise, and across the limits of literal headers and blocks.
func payloads(t *testing.T) [][]byte {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	text := strings.Repeat(`{"t":"MESSAGE_CREATE","s":12,"op":0,"d":{"id":"1234567890","content":"hello, wörld","mentions":[]}}`, 3000)
	out := [][]byte{[]byte("{}"), []byte(strings.Repeat("a", 5000)), []byte(strings.Repeat("b", 200_000))}
	for _, n := range []int{1, 62, 63, 64, 65, 300, 1022, 1023, 1024, 1025, 16383, 16384, 16385, 131071, 131072, 131073, 262144, len(text)} {
		out = append(out, []byte(text[:n]))
		noise := make([]byte, n)
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		few := make([]byte, n)
		for i := range few {
			few[i] = "ab"[r.IntN(100)/99]
		}
		out = append(out, noise, few)
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestDeflatePieces(t *testing.T) {
	d := &deflater{}
	// Connections that joined at different moments read the same pieces.
	for skip := range 3 {
		stream := bytes.NewBuffer(append([]byte{}, zlibHeader...))
		var want []byte
		for i, p := range payloads(t) {
			piece := d.piece(p)
			if !bytes.HasSuffix(piece, []byte{0, 0, 0xff, 0xff}) {
				t.Fatalf("piece of %d bytes ends in % x", len(p), piece[len(piece)-4:])
			}
			if i >= skip {
				stream.Write(piece)
				want = append(want, p...)
			}
		}
		r, err := zlib.NewReader(stream)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("inflated %d bytes: equal %v, err %v", len(got), bytes.Equal(got, want), err)
		}
	}
}

func TestZstdPieces(t *testing.T) {
	var z zstdBlocks
	for skip := range 3 {
		stream := bytes.NewBuffer(append([]byte{}, zstdHeader...))
		var want []byte
		for i, p := range payloads(t) {
			if piece := z.piece(p); i >= skip {
				stream.Write(piece)
				want = append(want, p...)
			}
		}
		r, err := zstd.NewReader(stream, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		_, err = io.ReadFull(r, got)
		r.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("decoded %d bytes: equal %v, err %v", len(got), bytes.Equal(got, want), err)
		}
	}
}

// Each piece is whole: what comes out before the next piece goes in is the payload, all of it.
func TestPiecesFlush(t *testing.T) {
	d := &deflater{}
	var z zstdBlocks
	pr, pw := io.Pipe()
	qr, qw := io.Pipe()
	go func() { pw.Write(zlibHeader) }()
	inflate, err := zlib.NewReader(pr)
	if err != nil {
		t.Fatal(err)
	}
	decode, err := zstd.NewReader(qr, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer decode.Close()
	first := zstdHeader
	for _, p := range payloads(t) {
		a, b := d.piece(p), append(append([]byte{}, first...), z.piece(p)...)
		first = nil
		wrote := make(chan struct{})
		go func() { pw.Write(a); qw.Write(b); close(wrote) }()
		got := make([]byte, len(p))
		if _, err := io.ReadFull(inflate, got); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("zlib, %d bytes: err %v", len(p), err)
		}
		if _, err := io.ReadFull(decode, got); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("zstd, %d bytes: err %v", len(p), err)
		}
		<-wrote
	}
	pw.Close()
	qw.Close()
}

func BenchmarkFrame(b *testing.B) {
	payload := []byte(strings.Repeat(`{"id":"1234567890","content":"hello"}`, 10))
	for c, name := range []string{"plain", "zlib", "zstd"} {
		b.Run(name, func(b *testing.B) {
			e := &encoder{}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = len(e.frame(transport.Compression(c), payload, false))
			}
			b.ReportMetric(float64(n)/float64(len(payload)), "ratio")
		})
	}
}
