package bucket

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
)

const (
	applyBatch    = 512     // most entries per call of a store: what waits after an outage goes in few calls
	applyBytes    = 4 << 20 // and their events
	applyRetryMin = 10 * time.Millisecond
	applyRetryMax = time.Second
	applyTimeout  = 30 * time.Second // of one try
	stuckAfter    = time.Second      // without an entry applied
)

// An applier has one store apply one bucket's entries, in order and each until it succeeds. Its goroutine lives while there are entries.
type applier struct {
	// Fixed at construction.
	store   string
	outage  *outage
	log     *slog.Logger
	apply   func(context.Context, []core.Applied) error
	spawn   func(func()) bool
	changed func() // after every change of what is applied
	ctx     context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	queue   []timed // the front ones may be under way
	running bool
	applied uint64 // sequence
	reached core.Checkpoint
	moved   time.Time     // when entries were applied last, or the first that waits came
	idle    chan struct{} // closed when running turns false
}

type timed struct {
	core.Applied
	at time.Time
}

// newApplier makes one for a store that is at from.
func newApplier(ctx context.Context, o *outage, log *slog.Logger, from core.Checkpoint, apply func(context.Context, []core.Applied) error,
	spawn func(func()) bool, changed func()) *applier {
	a := &applier{store: o.store, outage: o, log: log, apply: apply, spawn: spawn, changed: changed, reached: from}
	a.ctx, a.stop = context.WithCancel(ctx)
	return a
}

// add hands over an entry that the log holds.
func (a *applier) add(e core.Applied) {
	unapplied.WithLabelValues(a.store).Inc()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if len(a.queue) == 0 {
		a.moved = now
	}
	a.queue = append(a.queue, timed{e, now})
	if a.running {
		return
	}
	idle := make(chan struct{})
	if a.spawn(func() { a.run(); close(idle) }) {
		a.running, a.idle = true, idle
	}
}

func (a *applier) run() {
	for {
		a.mu.Lock()
		batch := a.nextLocked()
		n := len(batch)
		if n == 0 || a.ctx.Err() != nil {
			a.running = false
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		if !a.try(batch) {
			continue // stopping
		}
		a.mu.Lock()
		for i := range n {
			applySeconds.WithLabelValues(a.store).Observe(time.Since(a.queue[i].at).Seconds())
			a.queue[i] = timed{}
		}
		a.queue = a.queue[n:]
		if len(a.queue) == 0 {
			a.queue = nil
		}
		a.applied, a.moved = batch[n-1].Sequence, time.Now()
		for _, e := range batch {
			a.reached = a.reached.Reach(e)
		}
		a.mu.Unlock()
		unapplied.WithLabelValues(a.store).Sub(float64(n))
		a.changed()
	}
}

// nextLocked gives the entries to apply next.
func (a *applier) nextLocked() []core.Applied {
	var batch []core.Applied
	size := 0
	for _, e := range a.queue[:min(len(a.queue), applyBatch)] {
		for _, ev := range e.Entry.Events {
			size += len(ev.Body) // most of what is written
		}
		if size > applyBytes && len(batch) > 0 {
			break
		}
		batch = append(batch, e.Applied)
	}
	return batch
}

// try applies batch until it succeeds; false means that the applier is stopping.
func (a *applier) try(batch []core.Applied) bool {
	wait := applyRetryMin
	for tries := 1; ; tries++ {
		ctx, cancel := context.WithTimeout(a.ctx, applyTimeout)
		err := a.apply(ctx, batch)
		cancel()
		if err == nil {
			return true
		}
		if a.ctx.Err() != nil {
			return false
		}
		applyErrors.WithLabelValues(a.store).Inc()
		a.outage.failed(a.log, tries == 1, batch[0].Sequence, err)
		if tries == 1 {
			defer a.outage.over(a.log)
		}
		if !sleep(a.ctx, wait) {
			return false
		}
		wait = min(2*wait, applyRetryMax)
	}
}

// backlog is how many entries wait.
func (a *applier) backlog() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue)
}

// done is the sequence up to which entries are applied.
func (a *applier) done() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.applied
}

// at is the store's checkpoint, as far as this applier knows.
func (a *applier) at() core.Checkpoint {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reached
}

// stuck tells whether entries wait and none was applied for some time.
func (a *applier) stuck() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue) > 0 && time.Since(a.moved) > stuckAfter
}

// close stops the applier, dropping what waits: the log still holds it. It returns when nothing runs any more.
func (a *applier) close() {
	a.stop()
	a.mu.Lock()
	idle := a.idle
	a.mu.Unlock()
	if idle != nil {
		<-idle
	}
	a.mu.Lock()
	unapplied.WithLabelValues(a.store).Sub(float64(len(a.queue)))
	a.queue = nil
	a.mu.Unlock()
}

// sleep waits for d; false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
