package memory

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
)

const (
	limiterShards   = 64
	limiterShardMax = 16384 // keys of a shard before it is swept: some 100 MB over all, if it comes to that
)

// Limiter implements core.Limiter: per key just the time at which its budget is whole again (the theoretical arrival time).
type Limiter struct {
	now    func() time.Time
	seed   maphash.Seed
	most   int // keys of a shard
	shards [limiterShards]limiterShard
}

type limiterShard struct {
	mu    sync.Mutex
	whole map[string]int64 // Unix nanoseconds
}

// NewLimiter has counted nothing yet.
func NewLimiter(now func() time.Time) *Limiter {
	l := &Limiter{now: now, seed: maphash.MakeSeed(), most: limiterShardMax}
	for i := range l.shards {
		l.shards[i].whole = make(map[string]int64)
	}
	return l
}

// Take implements core.Limiter.
func (m *Limiter) Take(_ context.Context, key string, l core.Limit) (core.Verdict, error) {
	s := &m.shards[maphash.String(m.seed, key)%limiterShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now().UnixNano()
	step := int64(l.Per) / int64(l.Burst)
	whole := max(s.whole[key], now)
	after := whole + step
	if over := after - now - step*int64(l.Burst); over > 0 {
		return core.Verdict{ResetAfter: time.Duration(whole - now), RetryAfter: time.Duration(over)}, nil
	}
	if len(s.whole) >= m.most {
		s.sweepLocked(now, m.most*3/4)
	}
	s.whole[key] = after
	return core.Verdict{Allowed: true, Remaining: int((step*int64(l.Burst) - (after - now)) / step), ResetAfter: time.Duration(after - now)}, nil
}

// Peek implements core.Limiter.
func (m *Limiter) Peek(_ context.Context, key string, l core.Limit) (core.Verdict, error) {
	s := &m.shards[maphash.String(m.seed, key)%limiterShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now().UnixNano()
	step := int64(l.Per) / int64(l.Burst)
	whole := max(s.whole[key], now)
	left := step*int64(l.Burst) - (whole - now)
	v := core.Verdict{Allowed: left >= step, Remaining: int(max(left, 0) / step), ResetAfter: time.Duration(whole - now)}
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
