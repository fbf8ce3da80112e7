package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
)

// Limiter runs the suite of core.Limiter, in real time. Two stores are two cores that share what is counted.
func Limiter(t *testing.T, one, two core.Limiter) {
	ctx := bounded(t)
	key := func() string { return fmt.Sprintf("messages.send/1/%x", rand.Uint64()) }
	both := []core.Limiter{one, two}
	t.Run("a burst, and no more", func(t *testing.T) {
		slow, alice := core.Limit{Burst: 5, Per: 5 * time.Hour}, key()
		v := must[core.Verdict](t)(one.Peek(ctx, alice, slow))
		if !v.Allowed || v.Remaining != 5 || v.ResetAfter != 0 || v.RetryAfter != 0 {
			t.Fatalf("before: got %+v", v)
		}
		for i := range 5 {
			v := must[core.Verdict](t)(both[i%2].Take(ctx, alice, slow))
			if !v.Allowed || v.Remaining != 4-i || v.RetryAfter != 0 || !about(v.ResetAfter, time.Duration(i+1)*time.Hour) {
				t.Fatalf("take %d: got %+v", i, v)
			}
			v = must[core.Verdict](t)(both[(i+1)%2].Peek(ctx, alice, slow))
			if v.Allowed != (i < 4) || v.Remaining != 4-i || !about(v.ResetAfter, time.Duration(i+1)*time.Hour) {
				t.Fatalf("peek %d: got %+v", i, v)
			}
		}
		for i := range 4 { // what is refused does not count
			v := must[core.Verdict](t)(both[i%2].Take(ctx, alice, slow))
			if v.Allowed || v.Remaining != 0 || !about(v.RetryAfter, time.Hour) || !about(v.ResetAfter, 5*time.Hour) {
				t.Fatalf("beyond: got %+v", v)
			}
			v = must[core.Verdict](t)(both[i%2].Peek(ctx, alice, slow))
			if v.Allowed || v.Remaining != 0 || !about(v.RetryAfter, time.Hour) || !about(v.ResetAfter, 5*time.Hour) {
				t.Fatalf("peek beyond: got %+v", v)
			}
		}
		if v := must[core.Verdict](t)(one.Take(ctx, key(), slow)); !v.Allowed {
			t.Error("Bob pays for Alice")
		}
	})
	t.Run("budget comes back", func(t *testing.T) {
		quick, alice := core.Limit{Burst: 2, Per: 200 * time.Millisecond}, key()
		begun, allowed := time.Now(), 0
		until(t, ctx, "ten were allowed", func() bool {
			if must[core.Verdict](t)(one.Take(ctx, alice, quick)).Allowed {
				allowed++
			}
			return allowed == 10
		})
		if took := time.Since(begun); took < 790*time.Millisecond { // two at once and then one each 100 ms
			t.Errorf("ten were allowed within %v", took)
		}
		until(t, ctx, "the whole budget", func() bool { return must[core.Verdict](t)(two.Peek(ctx, alice, quick)).Remaining == 2 })
	})
	t.Run("many at once", func(t *testing.T) {
		slow, alice := core.Limit{Burst: 50, Per: 50 * time.Hour}, key()
		var allowed atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					v, err := both[i%2].Take(ctx, alice, slow)
					if err != nil {
						t.Error(err)
					}
					if v.Allowed {
						allowed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 50 {
			t.Errorf("%d of 80 allowed, want 50", allowed.Load())
		}
	})
}

// about allows for the time that a test takes.
func about(got, want time.Duration) bool { return got <= want+time.Second && got > want-2*time.Minute }
