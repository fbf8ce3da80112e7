package cql_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
)

// The cluster freezes, and later goes away and comes back. Nothing hangs meanwhile, and everything heals by itself.
func TestClusterAway(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: starts a Cassandra of its own, twice")
	}
	server := servers.Start(t, "cassandra")
	s := newSender(t, server.Address)
	channel := 3000 * day
	send := func(day proto.ID) core.Applied {
		return s.next(proto.EventMessageCreate, message(channel, channel+day))
	}
	s.apply(send(1))

	pid := server.PID(t)
	signal := func(sig syscall.Signal) {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	frozen := send(2)
	applied := try(t, 300*time.Millisecond, func(ctx context.Context) error { return s.store.Apply(ctx, []core.Applied{frozen}) })
	read := try(t, 300*time.Millisecond, func(ctx context.Context) error { _, err := s.store.Before(ctx, channel, 0, 10); return err })
	signal(syscall.SIGCONT)
	for _, err := range []error{applied, read} {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the cluster was frozen: %v, want a deadline exceeded", err)
		}
	}
	s.heals("thawed", frozen)

	server.Stop(t)
	down := send(3)
	for range 3 {
		if err := try(t, 300*time.Millisecond, func(ctx context.Context) error { return s.store.Apply(ctx, []core.Applied{down}) }); err == nil {
			t.Error("a write was taken while the cluster was down")
		}
	}
	cfg := config(t, server.Address, t.Name())
	cfg.Patience = time.Millisecond
	late, err := cql.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { late.Close() })
	if _, err := late.Checkpoint(t.Context(), 0); !errors.Is(err, cql.ErrAway) {
		t.Errorf("opened while the cluster was down: %v, want %v", err, cql.ErrAway)
	}
	server.Start(t)
	s.heals("restarted", down)
	if got, _ := s.before(channel, 10); len(got) != 3 {
		t.Errorf("got %d messages, want 3", len(got))
	}
	last := send(4)
	(&sender{t: t, store: late}).heals("come up after us", last)
}

// heals waits until a write succeeds.
func (s *sender) heals(what string, a core.Applied) {
	s.t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.store.Apply(ctx, []core.Applied{a})
		if err == nil {
			s.t.Logf("cluster %s: healed after %v", what, time.Since(begun))
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("cluster %s: not healed: %v", what, err)
		}
	}
}

// try calls f with a bound, and complains where f does not keep it.
func try(t *testing.T, bound time.Duration, f func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	begun := time.Now()
	err := f(ctx)
	if took := time.Since(begun); took > bound+2*time.Second {
		t.Errorf("returned after %v, want %v: %v", took, bound, err)
	}
	return err
}
