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
	lastsMost  = 32                   // subjects of one question: each may have a quarter of a megabyte
	lastsAsked = 4                    // questions under way: one whose answer is lost holds up nobody else
)

var errUnanswered = errors.New("the answer has not all that was asked for")

// lasts finds the last entries of buckets. Those that are asked for at about the same time are one question: an edge that takes in the sessions
// of one that died begins hundreds of buckets at once.
type lasts struct {
	r     *Reader
	asked chan struct{} // a place for each question under way

	mu      sync.Mutex
	waiting []*lastAsk
	running bool
}

// A lastAsk is one bucket of a question.
type lastAsk struct {
	bucket int
	then   func(stored, error)
	entry  stored
	err    error // errNone
}

// of gives the last entry of a bucket; errNone.
func (q *lasts) of(ctx context.Context, bucket int) (stored, error) {
	done := make(chan struct{})
	var got stored
	var err error
	q.ask(bucket, func(s stored, failed error) {
		got, err = s, failed
		close(done)
	})
	select {
	case <-done:
		return got, err
	case <-ctx.Done():
		return stored{}, ctx.Err()
	}
}

// ask has then be called with the last entry of a bucket, or an error. The caller is one of the reader's workers, or Run itself: its end waits for
// what is begun.
func (q *lasts) ask(bucket int, then func(stored, error)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, &lastAsk{bucket: bucket, then: then})
	if !q.running {
		q.running = true
		q.r.workers.Add(1)
		go q.work()
	}
}

// work asks until nobody waits. Those that come while all places are taken go together.
func (q *lasts) work() {
	defer q.r.workers.Done()
	for {
		select {
		case <-time.After(lastsPause):
		case <-q.r.ctx.Done():
		}
		q.asked <- struct{}{}
		now := q.next()
		if now == nil {
			<-q.asked
			return
		}
		q.r.workers.Add(1)
		go func() {
			defer q.r.workers.Done()
			q.read(now)
			<-q.asked
			for _, a := range now {
				a.then(a.entry, a.err)
			}
		}()
	}
}

// next takes a part of those that wait; nil, and work is over, where nobody does.
func (q *lasts) next() []*lastAsk {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running = false
		return nil
	}
	slices.SortFunc(q.waiting, func(a, b *lastAsk) int { return a.bucket - b.bucket })
	n := min(len(q.waiting), lastsMost)
	now := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return now
}

// read asks each stream for what it has of a question.
func (q *lasts) read(now []*lastAsk) {
	by := map[string][]*lastAsk{}
	for _, a := range now {
		stream, err := q.r.streamOf(q.r.ctx, a.bucket)
		if a.err = err; err == nil {
			by[stream] = append(by[stream], a)
		}
	}
	var wg sync.WaitGroup
	for stream, part := range by {
		wg.Go(func() { q.readFrom(stream, part) })
	}
	wg.Wait()
}

func (q *lasts) readFrom(stream string, part []*lastAsk) {
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
