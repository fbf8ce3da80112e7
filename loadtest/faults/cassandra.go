package faults

import (
	"context"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
)

// calm is how long each story watches before the fault and after it.
const calm = 2 * time.Second

// CassandraStopped freezes Cassandra for a while: it takes connections and answers nothing.
func (l *Lab) CassandraStopped(ctx context.Context, rate float64, outage time.Duration) (*Figures, error) {
	return l.story(ctx, rate, calm, func(*check.Run) error {
		if err := freeze(l.Cassandra); err != nil {
			return err
		}
		return wait(ctx, outage)
	}, func() error { return thaw(l.Cassandra) })
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
