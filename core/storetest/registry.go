package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
)

// Registry runs the suite of core.Registry. Two stores are two cores that share what is kept.
func Registry(t *testing.T, one, two core.Registry) {
	ctx := bounded(t)
	t.Run("moves", func(t *testing.T) {
		session := fmt.Sprintf("moves-%x", rand.Uint64())
		want := func(what string, n uint64, body string) {
			t.Helper()
			for i, r := range []core.Registry{one, two} {
				got, err := r.Registration(ctx, session)
				if n == 0 && !errors.Is(err, core.ErrNotFound) || n > 0 && (err != nil || got.N != n || string(got.Body) != body) {
					t.Fatalf("%s: core %d finds %d %q, %v, want %d %q", what, i, got.N, got.Body, err, n, body)
				}
			}
		}
		write := func(n, to uint64, body string) error {
			return one.Register(ctx, session, n, core.Registration{N: to, Body: []byte(body)}, time.Minute)
		}
		stale := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, core.ErrStale) {
				t.Fatalf("%s: got %v, want ErrStale", what, err)
			}
		}
		want("new", 0, "")
		stale("move of nothing", write(3, 4, "x"))
		stale("end of nothing", one.Forget(ctx, session, 1))
		ok(t, write(0, 1, "edge-1\x00\xff"))
		want("born", 1, "edge-1\x00\xff")
		stale("born twice", write(0, 1, "edge-2"))
		ok(t, write(0, 1, "edge-1\x00\xff")) // a repeat of what has been written
		ok(t, two.Register(ctx, session, 1, core.Registration{N: 5, Body: []byte("edge-2")}, time.Minute))
		want("moved", 5, "edge-2")
		stale("moved from where it is not", write(1, 2, "edge-3"))
		ok(t, write(5, 1<<63+7, ""))
		want("far", 1<<63+7, "")
		stale("end of an old one", two.Forget(ctx, session, 5))
		ok(t, two.Forget(ctx, session, 1<<63+7))
		want("over", 0, "")
		ok(t, write(0, 9, "again"))
		want("again", 9, "again")
	})
	t.Run("one of many wins", func(t *testing.T) {
		session := fmt.Sprintf("race-%x", rand.Uint64())
		for n := range uint64(10) {
			var won atomic.Int32
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					r := []core.Registry{one, two}[i%2]
					err := r.Register(ctx, session, n, core.Registration{N: n + 1, Body: fmt.Append(nil, i)}, time.Minute)
					if err == nil {
						won.Add(1)
					} else if !errors.Is(err, core.ErrStale) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("generation %d: %d of 8 won", n, won.Load())
			}
		}
	})
	t.Run("ends", func(t *testing.T) {
		session := fmt.Sprintf("ends-%x", rand.Uint64())
		ok(t, one.Register(ctx, session, 0, core.Registration{N: 1, Body: []byte("x")}, 20*time.Millisecond))
		until(t, ctx, "the record ends", func() bool {
			_, err := two.Registration(ctx, session)
			return errors.Is(err, core.ErrNotFound)
		})
		ok(t, one.Register(ctx, session, 0, core.Registration{N: 1, Body: []byte("y")}, time.Minute))
	})
}

// until waits for something that time brings.
func until(t *testing.T, ctx context.Context, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not yet: %s", what)
		}
	}
}
