package relay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	lastsPause = 2 * time.Millisecond // for others that begin now
	lastsMost  = 32                   // subjects of one question: each may have a megabyte
)

var errUnanswered = errors.New("the answer has not all that was asked for")

// lasts finds the last entries of buckets. Those that are asked for at about the same time are one question: an edge that takes in the sessions
// of one that died begins hundreds of buckets at once.
type lasts struct {
	r       *Reader
	mu      sync.Mutex
	waiting []*lastAsk
	running bool
}

// A lastAsk is one bucket of a question.
type lastAsk struct {
	bucket int
	done   chan struct{} // closed once the rest is there
	entry  stored
	err    error // errNone
}

// of gives the last entry of a bucket; errNone.
func (q *lasts) of(ctx context.Context, bucket int) (stored, error) {
	a := &lastAsk{bucket: bucket, done: make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, a)
	if !q.running {
		q.running = true
		q.r.workers.Add(1) // who asks is counted too: nobody waits for all of them meanwhile
		go q.work()
	}
	q.mu.Unlock()
	select {
	case <-a.done:
		return a.entry, a.err
	case <-ctx.Done():
		return stored{}, ctx.Err()
	}
}

// work asks until nobody waits.
func (q *lasts) work() {
	defer q.r.workers.Done()
	for {
		select {
		case <-time.After(lastsPause):
		case <-q.r.ctx.Done():
		}
		q.mu.Lock()
		slices.SortFunc(q.waiting, func(a, b *lastAsk) int { return a.bucket - b.bucket })
		n := min(len(q.waiting), lastsMost)
		now := slices.Clone(q.waiting[:n])
		q.waiting = slices.Delete(q.waiting, 0, n)
		if n == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.ask(now)
		for _, a := range now {
			close(a.done)
		}
	}
}

// ask asks each stream for what it has of a question.
func (q *lasts) ask(now []*lastAsk) {
	by := map[string][]*lastAsk{}
	for _, a := range now {
		stream, err := q.r.streamOf(q.r.ctx, a.bucket)
		if a.err = err; err == nil {
			by[stream] = append(by[stream], a)
		}
	}
	var wg sync.WaitGroup
	for stream, part := range by {
		wg.Go(func() { q.askStream(stream, part) })
	}
	wg.Wait()
}

func (q *lasts) askStream(stream string, part []*lastAsk) {
	var req getRequest
	found := map[string]stored{}
	for _, a := range part {
		req.MultiLast = append(req.MultiLast, LogSubject(q.r.bus.region, a.bucket))
	}
	pending, _, err := q.r.bus.getBatch(q.r.ctx, stream, req, func(s stored) error {
		found[s.subject] = s
		return nil
	})
	for i, a := range part {
		s, ok := found[req.MultiLast[i]]
		switch {
		case ok:
			a.entry = s
		case err != nil:
			a.err = err
		case pending > 0:
			a.err = errUnanswered
		default:
			a.err = errNone
		}
	}
}
