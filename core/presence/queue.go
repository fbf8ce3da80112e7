package presence

import (
	"context"
	"sync"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// An announcement is a user whose presence others do not know as it is.
type announcement struct {
	user  proto.ID
	known core.Presence // what others were told last
	tries int
}

// announcements are the users who wait to be announced, first come first served, each once. Any goroutine may add; one takes.
type announcements struct {
	limit int
	more  chan struct{} // holds a token when there may be something to take, or close was called

	mu      sync.Mutex
	order   []*announcement
	waiting map[proto.ID]*announcement
	taken   int // under way
	closed  bool
}

func newAnnouncements(limit int) *announcements {
	return &announcements{limit: limit, more: make(chan struct{}, 1), waiting: map[proto.ID]*announcement{}}
}

// full tells that nothing new should be taken on. One call may go over the limit by what it brings.
func (q *announcements) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.order)+q.taken >= q.limit
}

// add notes that a user has changed. What others know is what was before the first change that they were not told of.
func (q *announcements) add(c core.PresenceChange) {
	user := c.After.User
	if user == 0 {
		user = c.Before.User
	}
	c.Before.User = user
	q.mu.Lock()
	if q.waiting[user] == nil {
		a := &announcement{user: user, known: c.Before}
		q.waiting[user] = a
		q.order = append(q.order, a)
	}
	q.noteLocked()
	q.mu.Unlock()
	q.wake()
}

// settle ends what take gave, of which some are to be tried again. A change that came meanwhile has its place, but knows less of what others know.
func (q *announcements) settle(taken int, again []*announcement) {
	q.mu.Lock()
	q.taken -= taken
	for _, a := range again {
		if w := q.waiting[a.user]; w != nil {
			w.known, w.tries = a.known, a.tries
			continue
		}
		q.waiting[a.user] = a
		q.order = append(q.order, a)
	}
	q.noteLocked()
	q.mu.Unlock()
	if len(again) > 0 {
		q.wake()
	}
}

func (q *announcements) noteLocked() { pending.Set(float64(len(q.order) + q.taken)) }

// take waits for up to n; none when ctx has ended, or the queue is closed and empty.
func (q *announcements) take(ctx context.Context, n int) []*announcement {
	for {
		q.mu.Lock()
		if n := min(n, len(q.order)); n > 0 {
			batch := append([]*announcement(nil), q.order[:n]...)
			clear(q.order[:n])
			if q.order = q.order[n:]; len(q.order) == 0 {
				q.order = nil
			}
			for _, a := range batch {
				delete(q.waiting, a.user)
			}
			q.taken += n
			q.mu.Unlock()
			return batch
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-q.more:
		case <-ctx.Done():
			return nil
		}
	}
}

// close lets take end once nothing is left.
func (q *announcements) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *announcements) wake() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}
