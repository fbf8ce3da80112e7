package api

import (
	"context"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Session start limits, per user. A start beyond the concurrency waits its turn as long as clients wait for READY; one beyond that, or
// beyond the day's total, is refused.
const (
	startTotal       = 1000
	startConcurrency = 16 // in startWindow
	startWindow      = 5 * time.Second
	startPatience    = 10 * time.Second
)

var (
	limitStarts = core.Limit{Burst: startTotal, Per: 24 * time.Hour}
	// limitStarting counts at the rate of the concurrency, with room for those who wait.
	limitStarting = core.Limit{Burst: int(startConcurrency * (startWindow + startPatience) / startWindow), Per: startWindow + startPatience}
)

// takeStart counts one session start of a user and tells how long READY has to wait. An error of the limiter lets it pass.
func (s *Server) takeStart(ctx context.Context, user proto.ID) (wait time.Duration, allowed bool) {
	id := user.String()
	if v, err := s.limiter.Peek(ctx, "starts//"+id, limitStarts); err == nil && !v.Allowed {
		limited.WithLabelValues("session_total").Inc()
		return 0, false
	}
	v, err := s.limiter.Take(ctx, "starting//"+id, limitStarting)
	if err == nil && !v.Allowed {
		limited.WithLabelValues("session_concurrency").Inc()
		return 0, false
	}
	if wait = v.ResetAfter - startWindow; wait > 0 {
		limited.WithLabelValues("session_delayed").Inc()
	}
	if _, err := s.limiter.Take(ctx, "starts//"+id, limitStarts); err != nil {
		s.warn("rate limiter does not answer", "identify", err)
	}
	return max(wait, 0), true
}

// startsLeft is what /gateway/bot tells of the total.
func (s *Server) startsLeft(ctx context.Context, user proto.ID) sessionLimit {
	out := sessionLimit{Total: startTotal, Remaining: startTotal, MaxConcurrency: startConcurrency}
	if v, err := s.limiter.Peek(ctx, "starts//"+user.String(), limitStarts); err == nil {
		out.Remaining, out.ResetAfter = v.Remaining, v.ResetAfter.Milliseconds()
	}
	return out
}
