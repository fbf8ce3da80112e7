package storetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
)

// Cache runs the suite of core.Cache. Two stores are two cores that share what is kept.
func Cache(t *testing.T, one, two core.Cache) {
	ctx := bounded(t)
	group := func() string { return strconv.FormatUint(rand.Uint64(), 10) }
	want := func(t *testing.T, what, group, key, body string) {
		t.Helper()
		for i, c := range []core.Cache{one, two} {
			got, err := c.Cached(ctx, group, "no such key", key)
			if err != nil || len(got) != 2 || got[0] != nil || string(got[1]) != body || (got[1] == nil) != (body == "") {
				t.Fatalf("%s: core %d finds %q, %v, want %q", what, i, got, err, body)
			}
		}
	}
	t.Run("void", func(t *testing.T) {
		g, other := group(), group()
		want(t, "new", g, "guild", "")
		ok(t, one.Keep(ctx, g, "guild", 1, 9, []byte("nine"), time.Minute))
		ok(t, one.Keep(ctx, g, "bob", 1, 10, []byte("ten"), time.Minute))
		ok(t, one.Keep(ctx, other, "guild", 1, 2, []byte("other"), time.Minute))
		want(t, "kept", g, "guild", "nine")
		want(t, "kept", g, "bob", "ten")
		ok(t, two.Void(ctx, g, 1, 11))
		want(t, "void", g, "guild", "")
		want(t, "void", g, "bob", "")
		want(t, "another group", other, "guild", "other")
		ok(t, one.Keep(ctx, g, "guild", 1, 10, []byte("late"), time.Minute))
		want(t, "kept too late", g, "guild", "")
		ok(t, one.Keep(ctx, g, "guild", 1, 11, []byte("eleven"), time.Minute))
		want(t, "of the position itself", g, "guild", "eleven")
		ok(t, one.Void(ctx, g, 1, 11))
		ok(t, one.Void(ctx, g, 1, 3))
		want(t, "told again, and late", g, "guild", "eleven")
		ok(t, one.Void(ctx, g, 2, 1))
		want(t, "a higher epoch", g, "guild", "")
		ok(t, one.Keep(ctx, g, "guild", 1, 1<<60, []byte("late"), time.Minute))
		want(t, "of a lower epoch", g, "guild", "")
		ok(t, one.Keep(ctx, g, "guild", 2, 100, []byte("a\x00b"), time.Minute))
		ok(t, one.Keep(ctx, g, "guild", 2, 100, []byte("a\x00c"), time.Minute))
		want(t, "the last one counts", g, "guild", "a\x00c")
	})
	t.Run("ends", func(t *testing.T) {
		g := group()
		ok(t, one.Keep(ctx, g, "guild", 1, 1, []byte("x"), 20*time.Millisecond))
		until(t, ctx, "it ends", func() bool {
			return must[[][]byte](t)(two.Cached(ctx, g, "guild"))[0] == nil
		})
	})
	// An owner moves on, and readers keep what they read some time ago: whatever was void before somebody asks is not found.
	t.Run("readers are late", func(t *testing.T) {
		g := group()
		var at atomic.Uint64 // that Void has been told, and has answered
		done := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 4 {
			c := []core.Cache{one, two}[i%2]
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					read := at.Load()
					if n%3 > 0 && read > 0 {
						read-- // a reader that sleeps
					}
					if err := c.Keep(ctx, g, "guild", 1, read, fmt.Append(nil, read), time.Minute); err != nil {
						t.Error(err)
					}
					before := at.Load()
					b, err := c.Cached(ctx, g, "guild")
					if err == nil && b[0] == nil {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if got, err := strconv.ParseUint(string(b[0]), 10, 64); err != nil || got < before {
						t.Errorf("found %q, %v after position %d", b[0], err, before)
						return
					}
				}
			})
		}
		for n := range uint64(200) {
			ok(t, one.Void(ctx, g, 1, n+1))
			at.Store(n + 1)
		}
		close(done)
		wg.Wait()
	})
}
