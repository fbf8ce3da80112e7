package faults

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/loadtest/check"
)

// EverythingKilled kills all servers, the hub and the core at one moment and starts the servers again, all at once; the mesh starts its
// own. The edges alone live on, with their clients.
func (l *Lab) EverythingKilled(ctx context.Context, rate float64) (*Figures, error) {
	all := []*servers.Server{l.Postgres, l.Redis, l.Cassandra}
	return l.story(ctx, rate, calm, func(*check.Run) error {
		errs := []error{l.Mesh.KillRole("hub", 0), l.Mesh.KillRole("core", 0)}
		for _, s := range all {
			errs = append(errs, kill(s))
		}
		return errors.Join(append(errs, wait(ctx, time.Second))...)
	}, func() error {
		var g errgroup.Group
		for _, s := range all {
			g.Go(s.Again)
		}
		return g.Wait()
	})
}
