package client

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// An Event is one frame from the server.
type Event struct {
	Op     int
	S      int64  // of dispatches
	T      string // of dispatches
	D      json.RawMessage
	At     time.Time // when it was read
	Binary bool      // it came in a binary message
}

func (e Event) String() string { return fmt.Sprintf("op %d %s s=%d %.120s", e.Op, e.T, e.S, e.D) }

// Into decodes d.
func (e Event) Into(v any) error { return json.Unmarshal(e.D, v) }

// A Log keeps every frame of a session in order, over its sockets: a resumed connection goes on writing the log of the one before.
// It checks that s rises strictly from one dispatch to the next, resume included. Any goroutine may use it.
type Log struct {
	mu     sync.Mutex
	events []Event
	last   int64         // s of the last dispatch
	more   chan struct{} // closed and replaced when events grew
	tell   func(problem string)
}

// NewLog makes an empty log; tell hears of every break of the rules of the wire.
func NewLog(tell func(problem string)) *Log { return &Log{more: make(chan struct{}), tell: tell} }

// Add appends an event.
func (l *Log) Add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(e)
	l.events = append(l.events, e)
	close(l.more)
	l.more = make(chan struct{})
}

// note takes in an event that is not kept.
func (l *Log) note(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(e)
}

func (l *Log) noteLocked(e Event) {
	if e.Op != 0 {
		return
	}
	if e.T != "READY" && e.S <= l.last {
		l.tell(fmt.Sprintf("s does not rise: %d after %d: %v", e.S, l.last, e))
	}
	l.last = e.S
}

// S is the s of the last dispatch.
func (l *Log) S() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Mark is the position behind the last event so far.
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

// Since copies the events from a mark on.
func (l *Log) Since(mark int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Event(nil), l.events[min(mark, len(l.events)):]...)
}

// Await returns the first event from mark on that match accepts, waiting for it until ctx ends.
func (l *Log) Await(ctx context.Context, mark int, match func(Event) bool) (Event, error) {
	i := mark
	for {
		l.mu.Lock()
		for ; i < len(l.events); i++ {
			if e := l.events[i]; match(e) {
				l.mu.Unlock()
				return e, nil
			}
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// Count is how many events from mark on match accepts.
func (l *Log) Count(mark int, match func(Event) bool) int {
	n := 0
	for _, e := range l.Since(mark) {
		if match(e) {
			n++
		}
	}
	return n
}
