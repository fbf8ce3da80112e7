package redis

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/memory"
)

// slack is the error of redis_rate's floating seconds.
const slack = 10 * time.Microsecond

// Limiter implements core.Limiter by redis_rate. While Redis is away it counts in process, and never tells an error.
type Limiter struct {
	rate  *redis_rate.Limiter
	local *memory.Limiter
}

func newLimiter(c goredis.UniversalClient) *Limiter {
	return &Limiter{rate: redis_rate.NewLimiter(c), local: memory.NewLimiter(time.Now)}
}

// Take implements core.Limiter.
func (l *Limiter) Take(ctx context.Context, key string, limit core.Limit) (core.Verdict, error) {
	r, err := l.ask(ctx, key, limit, 1)
	if err != nil {
		fallbacks.Inc()
		return l.local.Take(ctx, key, limit)
	}
	v := verdict(limit, r)
	v.Allowed = r.Allowed > 0
	if v.Allowed {
		v.RetryAfter = 0
	}
	return v, nil
}

// Peek implements core.Limiter.
func (l *Limiter) Peek(ctx context.Context, key string, limit core.Limit) (core.Verdict, error) {
	r, err := l.ask(ctx, key, limit, 0)
	if err != nil {
		fallbacks.Inc()
		return l.local.Peek(ctx, key, limit)
	}
	return verdict(limit, r), nil
}

func (l *Limiter) ask(ctx context.Context, key string, limit core.Limit, n int) (*redis_rate.Result, error) {
	return l.rate.AllowN(ctx, key, redis_rate.Limit{Rate: limit.Burst, Burst: limit.Burst, Period: limit.Per}, n)
}

// verdict makes all figures of when the budget is whole again, which alone redis_rate tells exactly.
func verdict(limit core.Limit, r *redis_rate.Result) core.Verdict {
	step := limit.Per / time.Duration(limit.Burst)
	left := limit.Per - r.ResetAfter + slack
	v := core.Verdict{Allowed: left >= step, Remaining: int(max(left, 0) / step), ResetAfter: r.ResetAfter}
	if left < step {
		v.RetryAfter = step - left + slack
	}
	return v
}
