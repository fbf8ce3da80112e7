package main

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-chat/starling/loadtest/proof/inside"
)

const (
	presenceBound  = .05 // of a core of the machine, core and Redis together
	presenceEdges  = 20
	presenceRounds = 3
	edgeRefresh    = 25 * time.Second // the edges' default
)

// provePresence refreshes everybody's presence as edges do by way of a core, and counts what it costs on both sides of the connection.
func provePresence(ctx context.Context, r *report, s sizes) error {
	if !s.on("real") {
		return nil
	}
	r.note("starting Redis, %d users at %d edges", s.users, presenceEdges)
	real, err := startServers(ctx, "redis")
	if err != nil {
		return err
	}
	defer real.stop()
	pid, err := real.pid("redis")
	if err != nil {
		return err
	}
	p, err := inside.OpenPresences(ctx, real.redis, s.users, presenceEdges)
	if err != nil {
		return err
	}
	defer p.Close()
	before, err := usedCPU(pid)
	if err != nil {
		return err
	}
	changes := 0
	for range presenceRounds {
		n, err := p.Round(ctx)
		if err != nil {
			return err
		}
		changes += n
	}
	after, err := usedCPU(pid)
	if err != nil {
		return err
	}
	core, redis := (after.own-before.own).Seconds()/presenceRounds, (after.mesh-before.mesh).Seconds()/presenceRounds
	used := (core + redis) / time.Minute.Seconds()
	r.line(fmt.Sprintf("%d presences refreshed per minute in Redis: of one core of the machine", s.users), fmt.Sprintf("< %.0f %%", 100*presenceBound),
		fmt.Sprintf("%.1f %% (CPU seconds a round: core %.2f, Redis %.2f; every %v, as edges do: %.1f %%)", 100*used, core, redis, edgeRefresh,
			100*used*time.Minute.Seconds()/edgeRefresh.Seconds()), used < presenceBound)
	r.zero("presences that looked different after a refresh", changes)
	return nil
}
