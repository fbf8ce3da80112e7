package bucket

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay"
)

const (
	queueCalls   = 4096    // commands that may wait for one bucket
	queueBytes   = 8 << 20 // and their bytes
	maxUnapplied = 10_000  // entries that a store may lag before writes are refused
	tickEvery    = 30 * time.Second
	retryTake    = 250 * time.Millisecond // between tries to take a bucket over
)

// Phases of a bucket, for the digest.
const (
	phaseIdle   int32 = iota // never used: no entry, no checkpoint
	phaseTaking              // being taken over
	phaseOwned
	phaseLost    // another owner has taken it, and this one hopes for its return
	phaseForeign // not this owner's to serve
)

// errLost ends the service of a bucket that another owner has taken.
var errLost = errors.New("bucket lost to another owner")

// A bucket is the unit of order. All but the queue belongs to its goroutine, which starts with the first command and then stays.
type bucket struct {
	// Fixed at construction.
	n   int
	o   *Owner
	log *slog.Logger

	// Any goroutine, under mu.
	mu      sync.Mutex
	queue   []*call
	bytes   int
	tasks   []func(context.Context) // run between groups
	running bool
	lease   *lease // nil: not this owner's
	gone    bool   // another owner serves it: commands are sent there
	meter   meter
	wake    chan struct{} // capacity 1

	// Any goroutine.
	phase  atomic.Int32
	at     atomic.Pointer[relay.Position] // of the last acknowledged entry while owned
	nheld  atomic.Int32
	stores atomic.Pointer[stores] // while in use
	taken  chan struct{}          // closed after the first take-over, or once it was let go
	once   sync.Once
	warmth atomic.Pointer[warmth]
	outbox outbox

	// The bucket's goroutine.
	writer    *relay.Writer
	issuer    *proto.Issuer
	state     *state
	recent    *recent
	dir       *applier
	hist      *applier
	overlay   *overlay
	held      []*call // wait until the directory has applied everything
	again     []*call // were held and go first
	owed      []owed  // answers that wait for the directory
	lastEntry core.Applied
	dirAt     core.Checkpoint // once the directory has applied what it was given
	histAt    core.Checkpoint
	replayed  uint64 // sequence up to which the history was given entries at take-over
	slow      bool   // the history did not keep up at the last group
	slowDir   bool   // likewise the directory
	due       bool   // entries owe effects that the outbox has not been told of
}

func newBucket(o *Owner, n int) *bucket {
	b := &bucket{n: n, o: o, log: o.log.With("bucket", n), wake: make(chan struct{}, 1), taken: make(chan struct{})}
	b.outbox.b = b
	b.phase.Store(phaseForeign)
	return b
}

// enqueue takes a command in, or refuses it at once.
func (b *bucket) enqueue(c *call) {
	second := b.o.cfg.Now().Unix()
	b.mu.Lock()
	b.meter.add(second)
	if b.gone {
		b.mu.Unlock()
		refusedTotal.WithLabelValues("moved").Inc()
		c.moved()
		return
	}
	if len(b.queue)+int(b.nheld.Load()) >= queueCalls || b.bytes+len(c.raw) > queueBytes {
		b.mu.Unlock()
		refusedTotal.WithLabelValues("queue").Inc()
		c.refuse()
		return
	}
	b.queue = append(b.queue, c)
	waitingCommands.Inc()
	b.bytes += len(c.raw)
	b.mu.Unlock()
	b.start()
	b.nudge()
}

// start makes sure that the goroutine runs, if the bucket is this owner's.
func (b *bucket) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease
	if b.running || l == nil {
		return
	}
	idle := make(chan struct{})
	if b.o.spawn(func() { defer close(idle); b.run(l.ctx) }) {
		b.running, l.idle = true, idle
	}
}

// nudge wakes the goroutine.
func (b *bucket) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// between has f run between two groups, with the goroutine's context; it does nothing on a bucket that is not in use.
func (b *bucket) between(f func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		return false
	}
	b.tasks = append(b.tasks, f)
	b.nudge()
	return true
}

// pop takes the next command: what was held first.
func (b *bucket) pop() *call {
	if len(b.again) > 0 {
		c := b.again[0]
		b.again = b.again[1:]
		b.nheld.Add(-1)
		heldCommands.Dec()
		return c
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil
	}
	c := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	b.bytes -= len(c.raw)
	waitingCommands.Dec()
	return c
}

// run owns the bucket until its lease ends.
func (b *bucket) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := b.takeOver(ctx); err != nil {
			b.drop()
			if ctx.Err() != nil {
				break
			}
			b.log.Warn("take-over failed, will repeat", "err", err)
			sleep(ctx, retryTake)
			continue
		}
		b.once.Do(func() { close(b.taken) })
		err := b.serve(ctx)
		if ctx.Err() != nil {
			b.settleStores()
		}
		b.drop()
		if errors.Is(err, errLost) {
			b.phase.Store(phaseLost)
			supersededTotal.Inc()
			b.log.Warn("bucket lost to another owner")
			b.standBy(ctx)
		}
	}
	b.drop()
	for _, c := range b.again {
		c.refuse() // the API asks the next owner
	}
	b.nheld.Add(-int32(len(b.again)))
	heldCommands.Sub(float64(len(b.again)))
	b.again = nil
	var queue []*call
	b.mu.Lock()
	b.running = false // the next run has all but what is taken out now
	if b.o.ctx.Err() != nil {
		queue = b.takeQueueLocked()
	}
	b.mu.Unlock()
	for _, c := range queue {
		c.refuse()
	}
}

// takeQueueLocked takes out all commands that wait.
func (b *bucket) takeQueueLocked() []*call {
	queue := b.queue
	b.queue, b.bytes = nil, 0
	waitingCommands.Sub(float64(len(queue)))
	return queue
}

// serve executes groups until the writer is of no use any more.
func (b *bucket) serve(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		b.settle()
		for _, f := range b.takeTasks() {
			f(ctx)
		}
		select {
		case <-tick.C: // also when there is always something to do
			b.tidy()
		default:
		}
		worked, err := b.group(ctx)
		if err != nil {
			return err
		}
		if worked {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.wake:
		case <-tick.C:
			b.tidy()
		}
	}
}

func (b *bucket) takeTasks() []func(context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tasks
	b.tasks = nil
	return t
}

// settle looks at what the stores have applied since: it gives the answers owed and lets held commands in again.
func (b *bucket) settle() {
	done := b.dir.done()
	n := 0
	for n < len(b.owed) && b.owed[n].sequence <= done {
		b.owed[n].give()
		n++
	}
	b.owed = b.owed[n:]
	if b.hist.backlog() == 0 {
		b.slow = false
	}
	b.overlay.applied(b.hist.done())
	b.whenSynced()
	if len(b.held) > 0 && b.synced() {
		b.again = append(b.again, b.held...)
		b.held = nil
	}
}

// synced tells that the directory holds all structure that the log holds.
func (b *bucket) synced() bool { return b.dir.backlog() == 0 }

// whenSynced does what waits for the directory to hold everything.
func (b *bucket) whenSynced() {
	if !b.synced() {
		return
	}
	b.slowDir = false
	b.state.settled()
	if b.due {
		b.due = false
		b.outbox.kick()
	}
}

// hold puts a command aside until the directory is synced. Held commands take at most half of the queue: sends need the rest.
func (b *bucket) hold(c *call) {
	if len(b.held) >= queueCalls/2 {
		refusedTotal.WithLabelValues("held").Inc()
		c.refuse()
		return
	}
	b.held = append(b.held, c)
	b.nheld.Add(1)
	heldCommands.Inc()
}

// tidy forgets what is old: results, idle guilds; and it brings lagging checkpoints forward, so that a take-over reads little.
func (b *bucket) tidy() {
	now := b.o.cfg.Now()
	b.recent.forget(now)
	if !b.synced() {
		return
	}
	b.state.evict(now)
	if b.lastEntry.Entry == nil || b.hist.backlog() > 0 {
		return
	}
	b.touch()
}

// touch gives each store the last entry if it has not had it: nothing in it concerns the store, but the checkpoint moves.
func (b *bucket) touch() {
	if b.lastEntry.Entry == nil {
		return
	}
	if !b.dirAt.Covers(b.lastEntry) {
		b.dirAt = b.dirAt.Reach(b.lastEntry)
		b.dir.add(b.lastEntry)
	}
	if !b.histAt.Covers(b.lastEntry) {
		b.histAt = b.histAt.Reach(b.lastEntry)
		b.hist.add(b.lastEntry)
	}
}

// drop throws the state in memory away: the log knows better. Answers owed are refused, retryably: what the log holds, it still holds.
func (b *bucket) drop() {
	b.at.Store(nil)
	b.stores.Store(nil)
	if b.phase.Load() == phaseOwned {
		b.phase.Store(phaseTaking)
	}
	if b.dir != nil {
		b.dir.close()
		b.hist.close()
	}
	for _, w := range b.owed {
		w.refuse()
	}
	b.again = append(b.held, b.again...)
	b.writer, b.issuer, b.state, b.recent, b.dir, b.hist, b.overlay = nil, nil, nil, nil, nil, nil, nil
	b.held, b.owed, b.lastEntry, b.slow, b.slowDir, b.due = nil, nil, core.Applied{}, false, false, false
	b.dirAt, b.histAt = core.Checkpoint{}, core.Checkpoint{}
}
