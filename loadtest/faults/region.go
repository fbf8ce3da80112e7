package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
	"github.com/starling-chat/starling/loadtest/mesh"
)

const (
	regionGuilds = 6               // of the load: their buckets are of all cores
	awayFor      = 5 * time.Second // that a killed role stays away before it is started again
	shareLimit   = 60 * time.Second
	eve          = 250 * time.Millisecond
)

// OpenRegion starts servers and a mesh of three cores and three hubs.
func OpenRegion(ctx context.Context, bin string, log func(format string, args ...any)) (*Lab, error) {
	l := &Lab{Log: log}
	err := l.serve(&l.Redis, "redis")
	if err == nil {
		err = l.serve(&l.Cassandra, "cassandra")
	}
	if err == nil {
		err = l.build(bin)
	}
	if err == nil {
		err = l.startRegion(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Region starts a mesh of three cores and three hubs on servers of this lab, with a Postgres and a keyspace of its own. It is to be closed
// before the lab.
func (l *Lab) Region(ctx context.Context) (*Lab, error) {
	r := &Lab{Log: l.Log, bin: l.bin, Cassandra: l.Cassandra, Redis: l.Redis}
	if err := r.startRegion(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (l *Lab) startRegion(ctx context.Context) error {
	err := l.serve(&l.Postgres, "postgres")
	if err != nil {
		return err
	}
	if l.clocks, err = os.MkdirTemp("", "starling-clocks-"); err != nil {
		return err
	}
	l.closers = append(l.closers, func() error { return os.RemoveAll(l.clocks) })
	l.Mesh, err = mesh.New(mesh.Options{Bin: l.bin, Processes: true, Env: []string{"STARLING_TEST_SWITCHES=on", clockVariable + "=" + l.clocks},
		Args: []string{"--restart", "--restart-pause", awayFor.String(), "--log", "info", "--cores", "3", "--hubs", "3",
			"--postgres", l.Postgres.Address, "--cql", l.Cassandra.Address + "/region", "--redis", l.Redis.Address}})
	if err != nil {
		return err
	}
	l.closers = append(l.closers, l.Mesh.Close)
	if err := l.Mesh.Start(ctx); err != nil {
		return err
	}
	return l.shared(ctx)
}

// A Fault is done to a mesh that is under load. It returns when the mesh is whole again, and may begin phases of its own.
type Fault struct {
	Name string
	Do   func(ctx context.Context, l *Lab, run *check.Run) error
}

// Day does one thing after the other to one mesh under one load, which builds channels besides, and judges at the end. Phases bear the
// names of the faults.
func (l *Lab) Day(ctx context.Context, rate float64, faults ...Fault) (*Figures, error) {
	plan := l.plan(rate)
	plan.Guilds, plan.Channels = regionGuilds, 1
	run, err := check.Open(ctx, plan, "start")
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if err := run.Settled(ctx); err != nil {
		return nil, err
	}
	_, buckets, err := l.busiest(ctx, run)
	if err != nil {
		return nil, err
	}
	seed := uint64(time.Now().UnixNano())
	l.Log("seed of the editors %d, buckets %v", seed, buckets)
	e, err := startEditors(ctx, run, plan.Edges, seed, buckets)
	if err != nil {
		return nil, err
	}
	defer e.stop()
	b := startBuilder(run)
	defer b.stop()
	run.Phase("calm")
	if err := wait(ctx, calm); err != nil {
		return nil, err
	}
	run.Phase("eve") // what is under way when the first fault comes is none of the calm
	if err := wait(ctx, eve); err != nil {
		return nil, err
	}
	var errs []error
	for _, f := range faults {
		run.Phase(f.Name)
		if err := f.Do(ctx, l, run); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Name, err))
			break
		}
		run.Phase(f.Name + ", after")
		if err := wait(ctx, calm); err != nil {
			return nil, err
		}
	}
	f := &Figures{}
	if f.Caught, err = run.Caught(ctx); err != nil {
		errs = append(errs, err)
	}
	b.stop()
	e.stop()
	errs = append(errs, b.check(ctx), e.check(ctx))
	f.Built, f.Acts = len(b.built), len(e.acts)
	f.Figures, err = run.Finish(ctx)
	if f.Figures == nil {
		return nil, errors.Join(append(errs, err)...)
	}
	return f, errors.Join(append(errs, err)...)
}

// Stall is the longest that a write waited for its acknowledgement, from just before the first fault on.
func (f *Figures) Stall() (longest time.Duration) {
	for _, p := range f.Phases {
		if p.Name != "start" && p.Name != "calm" {
			longest = max(longest, p.Answers.Max())
		}
	}
	return longest
}
