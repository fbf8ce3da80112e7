package relay

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrSilent says that no try of a question has been answered so far.
var ErrSilent = errors.New("no answer yet")

// Tries ask one question again and again, because whoever had it in hand may have died with it and nobody says so. The answer to any of them
// counts, however late it comes: if a try ended where the next begins, servers that are all slower than that, as after a stop, would answer
// everything and be heard by nobody, and have each question several times as work. A question so repeated has to be one that can be.
type Tries struct {
	ctx      context.Context
	cancel   context.CancelFunc
	outcomes chan outcome
	asked    int
	asking   sync.WaitGroup
}

type outcome struct {
	try    int
	answer []byte
	err    error
}

// NewTries asks nothing yet. Next and Close are for one goroutine.
func NewTries(ctx context.Context) *Tries {
	t := &Tries{outcomes: make(chan outcome)}
	t.ctx, t.cancel = context.WithCancel(ctx)
	return t
}

// Next asks once more and waits for an answer to this or an earlier try, or this one's error; ErrSilent after limit, or the context's error.
// ask runs in a goroutine of its own, and may do so until Close; it must end with its context.
func (t *Tries) Next(limit time.Duration, ask func(context.Context) ([]byte, error)) ([]byte, error) {
	for more := t.asked > 0; more; { // what came since
		select {
		case o := <-t.outcomes:
			if o.err == nil {
				return o.answer, nil
			}
		default:
			more = false
		}
	}
	t.asked++
	try := t.asked
	t.asking.Go(func() {
		answer, err := ask(t.ctx)
		select {
		case t.outcomes <- outcome{try, answer, err}:
		case <-t.ctx.Done():
		}
	})
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		select {
		case o := <-t.outcomes:
			if o.err == nil || o.try == try { // that an earlier one failed says nothing of this
				return o.answer, o.err
			}
		case <-late.C:
			return nil, ErrSilent
		case <-t.ctx.Done():
			return nil, t.ctx.Err()
		}
	}
}

// Close gives up all tries.
func (t *Tries) Close() {
	t.cancel()
	t.asking.Wait()
}
