package edge

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	records "github.com/starling-chat/starling/proto/journal"
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

// An edge has followed Alice's bucket since she was here before; nobody needed it when the journal last said where the edge stands. She comes back, and
// the edge dies before the journal has her READY: others have to know how far in her bucket she is at the least, or joins on the way there are lost.
func TestWhoBeginsHasAPositionAtHome(t *testing.T) {
	l, s := loadingLoop()
	home := s.user.Bucket()
	l.applied[home], l.started[home] = 20, true
	x := records.New()
	add := func(r *pb.JournalRecord) {
		if err := x.Add(r, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	add(&pb.JournalRecord{Boot: 1, Number: 1, Snapshot: &pb.JournalSnapshot{}})
	l.announce(&pending{user: s.user}, s.key)
	r := l.cursor.record
	r.Boot, r.Number, r.To = 1, 2, l.index
	add(r)
	got := x.At(l.index+1, s.key, nil) // READY's number, of which nothing came
	if got.Status != records.Beyond || len(got.Positions) != 1 || int(got.Positions[0].Bucket) != home || got.Positions[0].Sequence != 21 {
		t.Errorf("status %v, at %v; want beyond what is known, behind 20 of bucket %d", got.Status, got.Positions, home)
	}
	if len(got.Waiting) != 1 || got.Waiting[0].Place != 0 {
		t.Errorf("waiting are %v, want all", got.Waiting)
	}
}
