package client

import (
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

type flusher interface {
	Write([]byte) (int, error)
	Flush() error
}

// Each stream comes back as the payloads that went in, one per message, however much they refer to earlier ones.
func TestInflate(t *testing.T) {
	for _, compress := range []string{"zlib-stream", "zstd-stream"} {
		t.Run(compress, func(t *testing.T) {
			var out bytes.Buffer
			var w flusher = zlib.NewWriter(&out)
			if compress == "zstd-stream" {
				z, err := zstd.NewWriter(&out, zstd.WithWindowSize(1<<20))
				if err != nil {
					t.Fatal(err)
				}
				w = z
			}
			in := newInflater(compress)
			defer in.close()
			rnd := rand.New(rand.NewPCG(1, 1))
			for i := range 200 {
				want := fmt.Sprintf(`{"op":0,"n":%d,"d":"%s %d"}`, i, strings.Repeat("starling", rnd.IntN(2000)), rnd.Uint64())
				out.Reset()
				w.Write([]byte(want))
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				got, err := in.inflate(out.Bytes())
				if err != nil || string(got) != want {
					t.Fatalf("payload %d: got %.60s, %v; want %.60s", i, got, err, want)
				}
			}
		})
	}
}

// A stream that breaks the rules is noticed.
func TestInflateBroken(t *testing.T) {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write([]byte(`{"op":10}`))
	w.Flush()
	whole := bytes.Clone(out.Bytes())
	w.Close()
	for name, m := range map[string][]byte{
		"no sync flush": whole[:len(whole)-1],
		"no header":     whole[2:],
		"ended":         append(bytes.Clone(out.Bytes()), 0, 0, 0xff, 0xff),
	} {
		if got, err := (&zlibStream{}).inflate(m); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		}
	}
	var twice zlibStream
	if _, err := twice.inflate(whole); err != nil {
		t.Fatal(err)
	}
	if got, err := twice.inflate(whole); err == nil {
		t.Errorf("a second header: got %s, want an error", got)
	}
}

func TestLog(t *testing.T) {
	var told []string
	l := NewLog(func(p string) { told = append(told, p) })
	for _, s := range []int64{3, 4, 90, 90, 91} {
		l.Add(Event{S: s, T: "MESSAGE_CREATE"})
	}
	l.Add(Event{Op: 11})
	l.Add(Event{S: 1, T: "READY"}) // a new session counts anew
	if len(told) != 1 || l.S() != 1 {
		t.Errorf("told %q, s %d; want one break and 1", told, l.S())
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	go l.Add(Event{S: 2, T: "LATE"})
	if e, err := l.Await(ctx, l.Mark()-1, func(e Event) bool { return e.T == "LATE" }); err != nil || e.S != 2 {
		t.Errorf("got %v, %v", e, err)
	}
	stop()
	if _, err := l.Await(ctx, 0, func(Event) bool { return false }); err == nil {
		t.Error("Await outlived its context")
	}
}
