package faults

import (
	"context"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
)

// RedisKilled kills Redis and starts it again, empty.
func (l *Lab) RedisKilled(ctx context.Context, rate float64, outage time.Duration) (*Figures, error) {
	return l.story(ctx, rate, calm, func(*check.Run) error {
		if err := kill(l.Redis); err != nil {
			return err
		}
		return wait(ctx, outage)
	}, l.Redis.Again)
}
