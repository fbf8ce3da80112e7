package cql

import (
	"context"
	"errors"
	"fmt"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"
)

// statements is what the store says to the server in its keyspace.
var statements = []string{
	putMessage, dropMessage, dropWindow, oneMessage, messagesBelow, messagesAbove, messagesAmong,
	noteWindow, raiseLast, dropNotes, lastID, windowsBelow, windowsAbove,
	putCheckpoint, oneCheckpoint, allCheckpoints,
	putTallies, dropTallies, dropTallied, someTallies, putReactor, dropReactor, dropRound, dropReactors, someReacted, reactors,
	putPins, dropPins, channelPins,
}

const preparesOnce = 16 // under way side by side

// errPrepared ends a query that was only to be prepared.
var errPrepared = errors.New("prepared")

// prepare has each node that is up prepare all statements before a session is used, so that a cluster that stops answering later finds none
// that is not. What is first asked then is asked by many at once; they all wait for one PREPARE, and when it fails the driver hands them all
// one *gocql.QueryError, in which each then notes how its own query went (Conn.prepareStatement, queryExecutor.do, up to v1.17.0): a data race.
//
// A node that fails is prepared later, by what is asked of it; an error is of a cluster where no node prepared everything.
func prepare(ctx context.Context, s *gocql.Session) error {
	var wrong []error
	ready := 0
	for _, h := range s.GetHosts() {
		if !h.IsUp() {
			continue
		}
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(preparesOnce)
		for _, text := range statements {
			g.Go(func() error { return prepareOn(ctx, s, h, text) })
		}
		if err := g.Wait(); err != nil {
			wrong = append(wrong, err)
		} else {
			ready++
		}
	}
	if ready > 0 {
		return nil
	}
	return errors.Join(wrong...)
}

// prepareOn begins a query that ends where its values are asked for, which is once it is prepared: the driver has no other way to ask for that.
func prepareOn(ctx context.Context, s *gocql.Session, h *gocql.HostInfo, text string) error {
	q := s.Bind(text, func(*gocql.QueryInfo) ([]any, error) { return nil, errPrepared })
	err := q.WithContext(ctx).SetHostID(h.HostID()).RetryPolicy(once{}).Exec()
	if errors.Is(err, errPrepared) {
		return nil
	}
	return fmt.Errorf("prepare %q: %w", text, err)
}

// once is a gocql.RetryPolicy.
type once struct{}

func (once) Attempt(gocql.RetryableQuery) bool  { return false }
func (once) GetRetryType(error) gocql.RetryType { return gocql.Rethrow }
