package edge

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/starling-chat/starling/proto"
	records "github.com/starling-chat/starling/proto/journal"
)

// A slowJournal acknowledges when it is told to, or refuses.
type slowJournal struct {
	journalOf
	acked chan error
}

func (j *slowJournal) WaitAcked(context.Context, int64) error { return <-j.acked }

// What a client gets from READY on waits for the journal, and comes in order then; where the journal does not take it, nothing comes but the end.
func TestReadyWaitsForTheJournal(t *testing.T) {
	for name, outcome := range map[string]error{"acknowledged": nil, "not": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLoop(&Server{cfg: Config{QueueBytes: 100, Log: slog.New(slog.DiscardHandler)}}, t.Context())
				j := &slowJournal{acked: make(chan error)}
				l.journal = j
				j.Index, j.t = records.New(), t
				l.interest = newInterest(&gatedReader{})
				l.interest.held[proto.ID(1).Bucket()] = 1
				conn := &simConn{limit: 10}
				c := &client{loop: l, conn: conn}
				s := &session{client: c, user: 1, gen: l.gen}
				c.session = s
				l.user(s.user).sessions[s] = struct{}{}
				l.park(c, 0)
				l.out = append(l.out, outgoing{client: c, frame: []byte("READY")}, outgoing{client: c, frame: []byte("more")})
				l.flush()
				if len(conn.queue) != 0 {
					t.Fatalf("got %q before the journal had it", conn.queue)
				}
				j.acked <- outcome
				synctest.Wait()
				(<-l.inbox).apply(l)
				l.out = append(l.out, outgoing{client: c, frame: []byte("last")})
				l.flush()
				switch {
				case outcome == nil && (len(conn.queue) != 3 || string(conn.queue[0]) != "READY" || string(conn.queue[2]) != "last"):
					t.Errorf("got %q, want all in order", conn.queue)
				case outcome != nil && (len(conn.queue) != 0 || conn.code != proto.CloseRestart):
					t.Errorf("got %q and close %d, want the end alone", conn.queue, conn.code)
				}
			})
		})
	}
}
