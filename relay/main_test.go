package relay_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is a context for what should take a moment.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func openLog(t testing.TB, bus *relay.Bus) *relay.Log {
	t.Helper()
	l, err := relay.OpenLog(soon(t), bus, 1)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func takeOver(t testing.TB, l *relay.Log, bucket int) *relay.Writer {
	t.Helper()
	w, err := l.TakeOver(soon(t), bucket, relay.Position{}, time.Time{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func says(text string) []*pb.Event {
	return []*pb.Event{{Type: "MESSAGE_CREATE", Guild: 1, Channel: 2, Body: []byte(text)}}
}

func mustAppend(t testing.TB, w *relay.Writer, text string) uint64 {
	t.Helper()
	_, seq, err := w.Append(soon(t), says(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// A listener is a running reader that notes what it is told.
type listener struct {
	*relay.Reader
	mu     sync.Mutex
	texts  map[int][]string
	last   map[int]uint64
	wrong  []string
	resets map[int]int
	typing int
	block  chan struct{} // OnEntry waits while it is open
}

func listen(t testing.TB, bus *relay.Bus) *listener {
	t.Helper()
	l := &listener{texts: map[int][]string{}, last: map[int]uint64{}, resets: map[int]int{}}
	l.Reader = relay.NewReader(bus, relay.ReaderConfig{
		OnEntry: l.onEntry,
		OnEphemeral: func(int, *pb.Event) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.typing++
		},
		OnReset: func(bucket int) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.resets[bucket]++
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, w := range l.wrong {
			t.Error(w)
		}
	})
	return l
}

func (l *listener) onEntry(bucket int, seq uint64, e *pb.Entry) {
	l.mu.Lock()
	block := l.block
	if seq <= l.last[bucket] {
		l.wrong = append(l.wrong, fmt.Sprintf("bucket %d: entry %d after %d", bucket, seq, l.last[bucket]))
	}
	l.last[bucket] = seq
	for _, ev := range e.Events {
		l.texts[bucket] = append(l.texts[bucket], string(ev.Body))
	}
	l.mu.Unlock()
	if block != nil {
		<-block
	}
}

func (l *listener) heard(bucket int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.texts[bucket]...)
}

func (l *listener) hears(t testing.TB, bucket, n int) {
	t.Helper()
	relaytest.Until(t, fmt.Sprintf("bucket %d: %d texts", bucket, n), func() bool { return len(l.heard(bucket)) >= n })
	for i, text := range l.heard(bucket) {
		if want := fmt.Sprint(i); text != want {
			t.Fatalf("bucket %d: text %d: got %q, want %q", bucket, i, text, want)
		}
	}
}

func (l *listener) follows(t testing.TB, buckets ...int) {
	t.Helper()
	for _, b := range buckets {
		if err := l.Follow(soon(t), b); err != nil {
			t.Fatal(err)
		}
	}
}

// digests runs the owner's digest of these writers.
func digests(t testing.TB, l *relay.Log, writers map[int]*relay.Writer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- l.RunDigest(ctx, "core", func() *pb.Digest {
			d := &pb.Digest{}
			for b, w := range writers {
				at := w.Position()
				d.Positions = append(d.Positions, &pb.Position{Bucket: uint32(b), Sequence: at.Sequence, Counter: at.Counter})
			}
			return d
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
