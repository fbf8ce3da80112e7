package cql

import (
	"context"
	"sync"
)

// Flights let equal reads that come at the same time share one: a hot channel costs the cluster one read at a time, whoever asks. A reader
// never joins a read that has begun, but the one after it, so that it sees every write that was answered before it asked; that is why this
// is not golang.org/x/sync/singleflight. The zero value is ready.
type flights struct {
	mu  sync.Mutex
	now map[flightKey]*flight // the one that runs
}

// A flightKey says what is read. Arguments that a read does not have are 0.
type flightKey struct {
	read        string
	channel, id uint64
	n           int
}

type flight struct {
	read  func() (any, error)
	next  *flight // waits for this one to land; under flights.mu
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
	if running := f.now[key]; running != nil {
		if running.next == nil {
			running.next = &flight{read: read, done: make(chan struct{})}
		} else {
			joinedReads.Inc()
		}
		return running.next
	}
	own := &flight{read: read, done: make(chan struct{})}
	if f.now == nil {
		f.now = map[flightKey]*flight{}
	}
	f.now[key] = own
	go f.run(key, own)
	return own
}

// run lands a flight and all that wait behind it.
func (f *flights) run(key flightKey, own *flight) {
	for own != nil {
		own.value, own.err = own.read()
		close(own.done)
		f.mu.Lock()
		own = own.next
		if own == nil {
			delete(f.now, key)
		} else {
			f.now[key] = own
		}
		f.mu.Unlock()
	}
}
