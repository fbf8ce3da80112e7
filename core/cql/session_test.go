package cql

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/starling-chat/starling/deploy/servers"
)

// A session that is dead for good is replaced by the watchdog.
func TestDeadSession(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Open(ctx, Config{Hosts: []string{servers.Address(t, "cassandra")}, Keyspace: "test_dead_session", Replication: 1,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	session := s.link.session.Load()
	session.Close()
	if _, err := s.Checkpoint(ctx, 1); err == nil {
		t.Fatal("a closed session answers")
	}
	begun := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.link.session.Load() == session {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the dead session is still in its place")
		}
	}
	t.Logf("replaced after %v", time.Since(begun))
	if _, err := s.Checkpoint(ctx, 1); err != nil {
		t.Errorf("new session: %v", err)
	}
	if err := s.link.session.Load().Query(`DROP KEYSPACE test_dead_session`).Exec(); err != nil {
		t.Error(err)
	}
}

// What the server refuses on its merits ends Open at once; what may pass keeps it waiting.
func TestOpenRefused(t *testing.T) {
	address := servers.Address(t, "cassandra")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cfg := Config{Hosts: []string{address}, Keyspace: "system", Replication: 1, Log: slog.New(slog.DiscardHandler)}
	if _, err := Open(ctx, cfg); err == nil || ctx.Err() != nil {
		t.Errorf("tables in keyspace system: %v", err)
	}
	if _, err := Open(ctx, Config{Keyspace: "a; DROP", Consistency: "SOME"}); err == nil {
		t.Error("a bad configuration was taken")
	} else {
		t.Log(err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	cfg.Hosts = []string{"127.0.0.1:1"}
	if _, err := Open(short, cfg); err == nil {
		t.Error("opened where nobody listens")
	} else {
		t.Log(err)
	}
}

// With one node up there is nobody else to ask.
func TestSpeculation(t *testing.T) {
	for _, c := range []struct {
		nodes int32
		delay time.Duration
		want  int
	}{{0, time.Millisecond, 0}, {1, time.Millisecond, 0}, {2, time.Millisecond, 1}, {9, time.Millisecond, 1}, {9, -1, 0}} {
		p := speculation{newLink(Config{Speculate: c.delay})}
		p.link.nodes.Store(c.nodes)
		if got := p.Attempts(); got != c.want {
			t.Errorf("%d nodes, delay %v: %d attempts, want %d", c.nodes, c.delay, got, c.want)
		}
	}
}
