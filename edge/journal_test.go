package edge

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// A fullJournal has no room: no hub has answered for long.
type fullJournal struct{}

func (fullJournal) Boot() uint64                                   { return 1 }
func (fullJournal) Write(context.Context, *pb.JournalRecord) error { return relay.ErrJournalFull }
func (fullJournal) WaitAcked(ctx context.Context, _ int64) error   { <-ctx.Done(); return ctx.Err() }
func (fullJournal) Oldest() time.Duration                          { return time.Minute }

// The hubs are silent and the journal is full: whoever waits for it, as Alice who identifies and the end of the edge do, hears that in time.
func TestNobodyWaitsForAFullJournalForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cfg := Config{Name: "edge", LeafURL: "x", HTTPAddr: "x", Log: slog.New(slog.DiscardHandler)}
		if err := cfg.check(); err != nil {
			t.Fatal(err)
		}
		l := newLoop(&Server{cfg: cfg}, ctx)
		l.journal = fullJournal{}
		done := make(chan error, 1)
		go func() { done <- l.run(ctx) }()
		patience, stop := context.WithTimeout(ctx, time.Hour)
		defer stop()
		for _, key := range []uint64{7, 0} {
			begun := time.Now()
			err := l.journaledSoon(patience, &pending{}, key)
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > ackTimeout {
				t.Errorf("key %d: %v after %v", key, err, took)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
