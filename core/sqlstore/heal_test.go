package sqlstore_test

import (
	"context"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Postgres is stopped, and later killed, under a store that stays open. Nothing hangs meanwhile, what was applied is there after, and
// everything heals by itself; a store that is opened meanwhile waits.
func TestPostgresAway(t *testing.T) {
	server := servers.Start(t, "postgres")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := sqlstore.OpenPostgres(ctx, server.Address, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	counter := uint64(0)
	apply := func(ctx context.Context) error {
		e := &pb.Entry{Epoch: 1, Counter: counter + 1, Events: []*pb.Event{{Type: proto.EventInternalAnswer}}}
		err := s.Apply(ctx, []core.Applied{{Bucket: 7, Sequence: counter + 1, Entry: e}})
		if err == nil {
			counter++
		}
		return err
	}
	if err := apply(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		how string
		end func()
	}{
		{"stopped", func() { server.Stop(t) }},
		{"killed", func() {
			if err := syscall.Kill(server.PID(t), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		c.end()
		for range 3 {
			begun := time.Now()
			_, err := s.Checkpoint(ctx, 7)
			if applied := apply(ctx); c.how == "stopped" && (err == nil || applied == nil) {
				t.Errorf("%s: read %v, apply %v, want failures", c.how, err, applied)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("%s: took %v to fail", c.how, took)
			}
		}
		late := make(chan error, 1)
		go func() {
			s, err := sqlstore.OpenPostgres(ctx, server.Address, slog.New(slog.DiscardHandler))
			if err == nil {
				err = s.Close()
			}
			late <- err
		}()
		server.Start(t)
		begun := time.Now()
		heals(t, ctx, func() error { return apply(ctx) })
		t.Logf("%s: healed %v after the server was back", c.how, time.Since(begun))
		at, err := s.Checkpoint(ctx, 7)
		if err != nil || at.Counter != counter {
			t.Errorf("%s: checkpoint %+v, %v, want counter %d", c.how, at, err, counter)
		}
		if err := <-late; err != nil {
			t.Errorf("%s: opened meanwhile: %v", c.how, err)
		}
	}
}

func heals(t *testing.T, ctx context.Context, try func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not healed: %v", err)
		}
	}
}
