package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
	"github.com/starling-chat/starling/proto"
)

// healLimit is how long what a fault has broken may stay so after its end.
const healLimit = 20 * time.Second

// PostgresKilled kills Postgres and starts it again. Meanwhile a change of structure is refused for now, with 503, and afterwards it works.
// The refusal takes as long as a core's patience with an owner, and so does the outage.
func (l *Lab) PostgresKilled(ctx context.Context, rate float64) (*Figures, error) {
	var run *check.Run
	return l.story(ctx, rate, calm, func(r *check.Run) error {
		run = r
		if err := kill(l.Postgres); err != nil {
			return err
		}
		begun := time.Now()
		_, err := r.Owner().Channel(ctx, r.Guilds()[0], "built in the dark")
		var told *proto.Error
		if !errors.As(err, &told) || told.Status != http.StatusServiceUnavailable {
			return fmt.Errorf("a channel made without Postgres: %v after %v, want 503", err, time.Since(begun).Round(time.Millisecond))
		}
		l.Log("without Postgres a new channel is refused after %v", time.Since(begun).Round(time.Millisecond))
		return nil
	}, func() error {
		if err := l.Postgres.Again(); err != nil {
			return err
		}
		return l.builds(ctx, run)
	})
}

// PostgresStopped freezes Postgres for a while: it takes connections and answers nothing.
func (l *Lab) PostgresStopped(ctx context.Context, rate float64, outage time.Duration) (*Figures, error) {
	return l.story(ctx, rate, calm, func(*check.Run) error {
		if err := freeze(l.Postgres); err != nil {
			return err
		}
		return wait(ctx, outage)
	}, func() error { return thaw(l.Postgres) })
}

// builds waits until structure can be changed.
func (l *Lab) builds(ctx context.Context, run *check.Run) error {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	for begun := time.Now(); ; {
		_, err := run.Owner().Channel(ctx, run.Guilds()[0], "built in the light")
		if err == nil {
			l.Log("a channel is made %v after Postgres is back", time.Since(begun).Round(time.Millisecond))
			return nil
		}
		if wait(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("no channel can be made after Postgres is back: %w", err)
		}
	}
}
