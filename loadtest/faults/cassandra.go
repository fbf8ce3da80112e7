package faults

import (
	"context"
	"sync"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
)

// calm is how long each story watches before the fault and after it.
const calm = 2 * time.Second

// CassandraStopped freezes Cassandra for a while: it takes connections and answers nothing.
func (l *Lab) CassandraStopped(ctx context.Context, rate float64, outage time.Duration) (*Figures, error) {
	return l.story(ctx, rate, calm, func(run *check.Run) error {
		if err := freeze(l.Cassandra); err != nil {
			return err
		}
		l.pester(ctx, run, outage)
		return ctx.Err()
	}, func() error { return thaw(l.Cassandra) })
}

// pester asks, for a while, for what only history knows: reactions to messages and pages of them. All of it may be refused, but sends must
// not wait for it.
func (l *Lab) pester(ctx context.Context, run *check.Run, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	known := run.Newest()
	for ctx.Err() == nil {
		for channel, id := range known {
			wg.Go(func() {
				_, _ = run.Owner().Raw(ctx, "PUT", "/channels/"+channel.String()+"/messages/"+id.String()+"/reactions/%F0%9F%91%8D/@me", nil)
			})
			wg.Go(func() { _, _ = run.Owner().Raw(ctx, "GET", "/channels/"+channel.String()+"/messages?limit=50", nil) })
		}
		_ = wait(ctx, 500*time.Millisecond)
	}
}

// CoreKilledWithoutCassandra freezes Cassandra and kills the core in the middle of it: the next one starts without history, and serves.
func (l *Lab) CoreKilledWithoutCassandra(ctx context.Context, rate float64, outage time.Duration) (*Figures, error) {
	return l.story(ctx, rate, calm, func(run *check.Run) error {
		if err := freeze(l.Cassandra); err != nil {
			return err
		}
		if err := wait(ctx, outage/3); err != nil {
			return err
		}
		run.Phase("core killed")
		if err := l.Mesh.KillRole("core", 0); err != nil {
			return err
		}
		return wait(ctx, outage-outage/3)
	}, func() error { return thaw(l.Cassandra) })
}
