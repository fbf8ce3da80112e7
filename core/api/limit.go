package api

import (
	"context"
	"math"
	"time"

	"github.com/starling-chat/starling/core"
)

// unlimited lets everything pass and still has figures for the headers.
type unlimited struct{}

func (unlimited) Take(_ context.Context, _ string, l core.Limit) (core.Verdict, error) {
	return core.Verdict{Allowed: true, Remaining: l.Burst - 1, ResetAfter: l.Per / time.Duration(l.Burst)}, nil
}

func (unlimited) Peek(_ context.Context, _ string, l core.Limit) (core.Verdict, error) {
	return core.Verdict{Allowed: true, Remaining: l.Burst}, nil
}

// ceilSeconds rounds up: a client that waits the whole second is never early.
func ceilSeconds(s float64) int { return int(math.Ceil(s)) }
