package cql

import (
	"context"
	"sync"
)

// sideBySide is how many equal reads run at once: with one, two readers of one thing would wait for each other by turns.
const sideBySide = 2

// Flights let equal reads that come at the same time share one: a hot channel costs the cluster two reads at a time, whoever asks. A reader
// never joins a read that has begun, but the one after it, so that it sees every write that was answered before it asked; that is why this
// is not golang.org/x/sync/singleflight. The zero value is ready.
type flights struct {
	mu  sync.Mutex
	now map[flightKey]*course // with at least one that runs
}

// A course is the equal reads of a moment.
type course struct {
	running int
	next    *flight // waits for one of them to land
}

// A flightKey says what is read. Arguments that a read does not have are 0.
type flightKey struct {
	read        string
	channel, id uint64
	n           int
}

type flight struct {
	read  func() (any, error)
	done  chan struct{}
	value any // once done
	err   error
}

// do returns what read gives, run by this caller or by another; shared values must not be changed. ctx bounds the wait, not the read.
func (f *flights) do(ctx context.Context, key flightKey, read func() (any, error)) (any, error) {
	own := f.join(key, read)
	select {
	case <-own.done:
		return own.value, own.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *flights) join(key flightKey, read func() (any, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		f.now = map[flightKey]*course{}
	}
	c := f.now[key]
	switch {
	case c == nil:
		c = &course{}
		f.now[key] = c
	case c.next != nil:
		joinedReads.Inc()
		return c.next
	}
	own := &flight{read: read, done: make(chan struct{})}
	if c.running == sideBySide {
		c.next = own
		return own
	}
	c.running++
	go f.run(key, c, own)
	return own
}

// run lands a flight and those that wait behind it.
func (f *flights) run(key flightKey, c *course, own *flight) {
	for own != nil {
		own.value, own.err = own.read()
		close(own.done)
		f.mu.Lock()
		own, c.next = c.next, nil
		if own == nil {
			if c.running--; c.running == 0 {
				delete(f.now, key)
			}
		}
		f.mu.Unlock()
	}
}
