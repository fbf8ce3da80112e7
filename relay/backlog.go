package relay

import (
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
)

// A backlog is the requests that wait for a worker. As long as no more wait than there are workers, who came first goes first. When more do,
// who came last does: every sender has a time-out, and where each has to wait nearly so long, all are begun when it is too late and nobody is
// answered, for as long as that many come. Those who came first are then given up; they are the next to be, anyhow. Any goroutine may call it.
type backlog struct {
	workers int
	ready   chan struct{} // holds a token for each that waits; its capacity is how many may

	mu      sync.Mutex
	waiting []*nats.Msg // oldest first
}

func newBacklog(workers, room int) *backlog {
	return &backlog{workers: workers, ready: make(chan struct{}, room)}
}

// put adds a request, and gives the one that has to go for it, nil for none.
func (l *backlog) put(m *nats.Msg) (gone *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, m)
	if len(l.waiting) > cap(l.ready) {
		return l.oldestLocked()
	}
	l.ready <- struct{}{} // tokens are never more than requests, so there is room
	return nil
}

// take gives the next request to whoever has a token.
func (l *backlog) take() *nats.Msg {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) <= l.workers {
		return l.oldestLocked()
	}
	last := len(l.waiting) - 1
	m := l.waiting[last]
	l.waiting = slices.Delete(l.waiting, last, last+1)
	return m
}

func (l *backlog) oldestLocked() *nats.Msg {
	m := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	return m
}

// serve calls f with each request until quit, and then with those that wait.
func (l *backlog) serve(quit <-chan struct{}, f func(*nats.Msg)) {
	work(l.ready, quit, func(struct{}) { f(l.take()) })
}
