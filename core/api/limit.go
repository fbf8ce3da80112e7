package api

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// A Limit allows Burst requests at once and Burst per Per in the long run.
type Limit struct {
	Burst int
	Per   time.Duration
}

// A Verdict on one request.
type Verdict struct {
	Allowed    bool
	Remaining  int           // requests that would be allowed now
	ResetAfter time.Duration // until Remaining is Burst again
	RetryAfter time.Duration // until one is allowed, if this one is not
}

// A Limiter counts requests by key. In process for now; several cores share one in Redis. Any goroutine may call it.
type Limiter interface {
	// Take counts one request if it is allowed. An error means that nobody knows: the caller lets the request pass.
	Take(ctx context.Context, key string, l Limit) (Verdict, error)
	// Peek tells what Take would allow, and counts nothing: Remaining and ResetAfter are those of now.
	Peek(ctx context.Context, key string, l Limit) (Verdict, error)
}

const (
	limiterShards   = 64
	limiterShardMax = 16384 // keys of a shard before it is swept: some 100 MB over all, if it comes to that
)

// memoryLimiter is GCRA: per key just the time at which its budget is whole again (the theoretical arrival time).
type memoryLimiter struct {
	now    func() time.Time
	seed   maphash.Seed
	most   int // keys of a shard
	shards [limiterShards]limiterShard
}

type limiterShard struct {
	mu    sync.Mutex
	whole map[string]int64 // Unix nanoseconds
}

// NewLimiter counts in process.
func NewLimiter(now func() time.Time) Limiter {
	l := &memoryLimiter{now: now, seed: maphash.MakeSeed(), most: limiterShardMax}
	for i := range l.shards {
		l.shards[i].whole = make(map[string]int64)
	}
	return l
}

func (m *memoryLimiter) Take(_ context.Context, key string, l Limit) (Verdict, error) {
	s := &m.shards[maphash.String(m.seed, key)%limiterShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now().UnixNano()
	step := int64(l.Per) / int64(l.Burst)
	whole := max(s.whole[key], now)
	after := whole + step
	if over := after - now - step*int64(l.Burst); over > 0 {
		return Verdict{ResetAfter: time.Duration(whole - now), RetryAfter: time.Duration(over)}, nil
	}
	if len(s.whole) >= m.most {
		s.sweepLocked(now, m.most*3/4)
	}
	s.whole[key] = after
	return Verdict{Allowed: true, Remaining: int((step*int64(l.Burst) - (after - now)) / step), ResetAfter: time.Duration(after - now)}, nil
}

func (m *memoryLimiter) Peek(_ context.Context, key string, l Limit) (Verdict, error) {
	s := &m.shards[maphash.String(m.seed, key)%limiterShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now().UnixNano()
	step := int64(l.Per) / int64(l.Burst)
	whole := max(s.whole[key], now)
	left := step*int64(l.Burst) - (whole - now)
	v := Verdict{Allowed: left >= step, Remaining: int(max(left, 0) / step), ResetAfter: time.Duration(whole - now)}
	if !v.Allowed {
		v.RetryAfter = time.Duration(step - left)
	}
	return v, nil
}

// sweepLocked drops keys with a whole budget, and if nobody has one, some others: memory is bounded, limits become generous.
func (s *limiterShard) sweepLocked(now int64, most int) {
	for k, whole := range s.whole {
		if whole <= now {
			delete(s.whole, k)
		}
	}
	for k := range s.whole {
		if len(s.whole) < most {
			return
		}
		delete(s.whole, k)
	}
}

// unlimited lets everything pass and still has figures for the headers.
type unlimited struct{}

func (unlimited) Take(_ context.Context, _ string, l Limit) (Verdict, error) {
	return Verdict{Allowed: true, Remaining: l.Burst - 1, ResetAfter: l.Per / time.Duration(l.Burst)}, nil
}

func (unlimited) Peek(_ context.Context, _ string, l Limit) (Verdict, error) {
	return Verdict{Allowed: true, Remaining: l.Burst}, nil
}

// ceilSeconds rounds up: a client that waits the whole second is never early.
func ceilSeconds(s float64) int { return int(math.Ceil(s)) }
