package memory

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
)

// clock is a hand that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestLimiterBurstThenRate(t *testing.T) {
	c := newClock()
	l := NewLimiter(c.now)
	limit := core.Limit{Burst: 5, Per: 5 * time.Second}
	for i := range 5 {
		v, err := l.Take(t.Context(), "alice", limit)
		if err != nil || !v.Allowed || v.Remaining != 4-i || v.ResetAfter != time.Duration(i+1)*time.Second {
			t.Fatalf("take %d: got %+v, %v", i, v, err)
		}
	}
	v, _ := l.Take(t.Context(), "alice", limit)
	if v.Allowed || v.RetryAfter != time.Second || v.Remaining != 0 || v.ResetAfter != 5*time.Second {
		t.Fatalf("the sixth: got %+v, want refusal for 1 s", v)
	}
	if v, _ := l.Take(t.Context(), "bob", limit); !v.Allowed {
		t.Error("Bob pays for Alice")
	}
	c.add(v.RetryAfter - time.Nanosecond)
	if v, _ := l.Take(t.Context(), "alice", limit); v.Allowed {
		t.Error("allowed before Retry-After")
	}
	c.add(time.Nanosecond)
	if v, _ := l.Take(t.Context(), "alice", limit); !v.Allowed {
		t.Errorf("refused at Retry-After: %+v", v)
	}
	c.add(time.Minute)
	if v, _ := l.Take(t.Context(), "alice", limit); v.Remaining != 4 {
		t.Errorf("after a pause: got %+v, want the whole budget", v)
	}
}

func TestLimiterMemoryIsBounded(t *testing.T) {
	c := newClock()
	l := NewLimiter(c.now)
	l.most = 64
	limit := core.Limit{Burst: 5, Per: 5 * time.Second}
	for i := range 2 * limiterShards * l.most {
		l.Take(t.Context(), fmt.Sprint(i), limit)
	}
	n := 0
	for i := range l.shards {
		n += len(l.shards[i].whole)
	}
	if n > limiterShards*l.most {
		t.Errorf("%d keys, want %d at most", n, limiterShards*l.most)
	}
}

func TestLimiterManyAtOnce(t *testing.T) {
	l := NewLimiter(newClock().now)
	var allowed sync.Map
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if v, _ := l.Take(t.Context(), "alice", core.Limit{Burst: 5, Per: 5 * time.Second}); v.Allowed {
				allowed.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	allowed.Range(func(any, any) bool { n++; return true })
	if n != 5 {
		t.Errorf("%d of 40 allowed, want 5", n)
	}
}
