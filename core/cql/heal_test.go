package cql_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	t.Setenv("CASSANDRA_TOMBSTONES", "300")
	server := servers.Start(t, "cassandra")
	s := newSender(t, server.Address)
	s.pagesOverGraves()
	s.pagesOverScatteredGraves()
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

// pagesOverGraves has most of a window deleted, more than the server lets one read pass over, in the middle and then all of it.
func (s *sender) pagesOverGraves() {
	s.t.Helper()
	const many = 2000
	channel := 2000 * day
	first := channel + 3*day
	var bodies []any
	var all, middle []proto.ID
	for n := range proto.ID(many) {
		id := first + n*day/many // a day, within one window
		bodies, all = append(bodies, message(channel, id)), append(all, id)
		if n >= 20 && n < many-20 {
			middle = append(middle, id)
		}
	}
	last := channel + 30*day // in a later window
	s.apply(s.next(proto.EventMessageCreate, append(bodies, message(channel, last))...))
	s.apply(s.next(proto.EventMessageDeleteBulk, map[string]any{"channel_id": channel, "ids": middle}))
	want := append(slices.Clone(all[:20]), append(slices.Clone(all[many-20:]), last)...)
	for _, n := range []int{7, 25, 100} {
		got, slowest := s.before(channel, n)
		s.t.Logf("pages of %d back over %d deleted in a row: the slowest took %v", n, len(middle), slowest)
		slices.Reverse(got)
		if !slices.Equal(got, want) {
			s.t.Fatalf("pages of %d: got %d messages, want %d", n, len(got), len(want))
		}
	}
	page, err := s.store.After(s.t.Context(), channel, all[10], 50)
	if got := ids(page); err != nil || !slices.Equal(got, want[11:]) {
		s.t.Errorf("after message 10: got %d messages, %v, want %d", len(got), err, len(want)-11)
	}
	if halved(s.t) == 0 {
		s.t.Error("no read was halved: the server let them pass over everything")
	}
	s.apply(s.next(proto.EventMessageDeleteBulk, map[string]any{"channel_id": channel, "ids": all}))
	if got, _ := s.before(channel, 50); !slices.Equal(got, []proto.ID{last}) {
		s.t.Errorf("with a whole window deleted: got %v, want the one of a later window", got)
	}
}

// pagesOverScatteredGraves has a message left in each of many windows, beside more deleted ones than a read passes over.
func (s *sender) pagesOverScatteredGraves() {
	s.t.Helper()
	const windows, many = 12, 400
	channel := 1000 * day
	var kept []proto.ID
	for w := range proto.ID(windows) {
		var bodies []any
		var gone []proto.ID
		for n := range proto.ID(many) {
			id := channel + 10*day*w + n*day/many // a day, within one window
			bodies, gone = append(bodies, message(channel, id)), append(gone, id)
		}
		s.apply(s.next(proto.EventMessageCreate, bodies...))
		kept, gone = append(kept, gone[w]), slices.Delete(gone, int(w), int(w)+1)
		s.apply(s.next(proto.EventMessageDeleteBulk, map[string]any{"channel_id": channel, "ids": gone}))
	}
	slices.Reverse(kept)
	for _, n := range []int{5, 50} {
		if got, _ := s.before(channel, n); !slices.Equal(got, kept) {
			s.t.Errorf("pages of %d over graves in many windows: got %v, want %v", n, got, kept)
		}
	}
}

// halved tells how many reads were tried again in halves.
func halved(t testing.TB) float64 {
	t.Helper()
	all, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == "starling_cql_halved_reads_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no such metric")
	return 0
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
