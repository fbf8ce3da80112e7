package bucket

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	replayBacklog = 1024            // entries that replay may be ahead of a store
	replayTouch   = 256             // entries replayed from which a take-over brings lagging checkpoints forward
	replayHistory = 3 * time.Second // that a take-over waits for the history to catch up
)

// takeOver makes this owner the bucket's only writer: it learns how far the stores are, fences every earlier writer, replays what the
// stores lack, and remembers the answers of the last minutes. The directory is synced when it returns.
func (b *bucket) takeOver(ctx context.Context) error {
	if err := b.o.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.o.slots.Release(1)
	b.phase.Store(phaseTaking)

	dirAt, err := b.o.cfg.Directory.Checkpoint(ctx, b.n)
	if err != nil {
		return fmt.Errorf("bucket %d: directory: %w", b.n, err)
	}
	histAt, away, err := b.o.historyAt(ctx, b.n)
	if err != nil {
		return err
	}
	b.state = newState(gatedDirectory{b.o.cfg.Directory, &b.o.dirGate}, gatedHistory{b.o.cfg.History, &b.o.histGate})
	b.recent = newRecent()
	since := b.o.cfg.Now().Add(-memory)
	if w := b.warmth.Swap(nil); w != nil && b.o.cfg.Now().Sub(w.at) < warmLife {
		b.recent, since = w.recent, w.at.Add(-warmSlack)
	}
	b.overlay = newOverlay()
	b.dir = newApplier(b.o.ctx, &b.o.dirOutage, b.log, dirAt, b.o.cfg.Directory.Apply, b.o.spawn, b.nudge)
	b.hist = newApplier(b.o.ctx, &b.o.histOutage, b.log, histAt, b.o.cfg.History.Apply, b.o.spawn, b.nudge)
	b.dirAt, b.histAt = dirAt, histAt
	b.stores.Store(&stores{b.dir, b.hist})

	floor := max(dirAt.LastID, histAt.LastID)
	replayed := 0
	replay := func(seq uint64, e *pb.Entry) error {
		replayed++
		floor = max(floor, proto.ID(e.LastId))
		if at := time.UnixMilli(e.TimeMs); !at.Before(since) {
			for _, ev := range e.Events {
				b.recent.learn(ev, seq, at)
			}
		}
		b.hand(core.Applied{Bucket: b.n, Sequence: seq, Entry: e})
		return b.awaitBacklog(ctx)
	}
	tail, err := b.o.tails.of(ctx, b.o.cfg.Log, b.n, max(dirAt.Sequence, histAt.Sequence))
	if err != nil {
		return fmt.Errorf("bucket %d: %w", b.n, err)
	}
	from := position(dirAt, histAt, tail, b.o.cfg.Log.Incarnation())
	if away && tail == 0 && from.Epoch > 0 {
		from.Epoch += blindEpochs
	}
	w, err := b.o.cfg.Log.TakeOver(ctx, b.n, from, since, replay)
	if err != nil {
		return fmt.Errorf("bucket %d: take over: %w", b.n, err)
	}
	pos := w.Position()
	b.replayed = 0
	if b.hist.backlog() > 0 { // what it was given is of this stream; the checkpoint alone need not be
		b.replayed = b.histAt.Sequence
	}
	if replayed >= replayTouch {
		b.touch()
	}
	if err := b.awaitDirectory(ctx); err != nil {
		return err
	}
	if !away {
		b.awaitHistory(ctx, replayHistory)
	}
	b.slow = b.hist.backlog() > 0
	b.writer = w
	b.issuer = proto.NewIssuer(b.n, max(floor, pos.LastID))
	b.publish()
	b.phase.Store(phaseOwned)
	b.outbox.kick()
	return nil
}

// position is the lower of two checkpoints, with the highest epoch, counter and id that either knows. Its sequence is of use only in the
// log that the checkpoint was reached in. Where the log was made anew since, as its incarnation shows (or, of a checkpoint that names none,
// the log's end below it, or two checkpoints that disagree on what is later), everything that the log has is read: the stores know by epoch
// and counter what they have.
func position(x, y core.Checkpoint, tail, incarnation uint64) relay.Position {
	low, high := x, y
	if order(x, y) > 0 {
		low, high = y, x
	}
	from := relay.Position{Sequence: low.Sequence, Counter: high.Counter, Epoch: high.Epoch, LastID: max(x.LastID, y.LastID)}
	if low.Sequence > tail || low.Sequence > high.Sequence || low.Incarnation != 0 && low.Incarnation != incarnation {
		from.Sequence = 0
	}
	return from
}

// order compares two checkpoints of one bucket, by what also rises where the stream is made anew.
func order(x, y core.Checkpoint) int {
	return cmp.Or(cmp.Compare(x.Epoch, y.Epoch), cmp.Compare(x.Counter, y.Counter))
}

// publish tells the digest how far the bucket is.
func (b *bucket) publish() {
	pos := b.writer.Position()
	b.at.Store(&pos)
}

// hand gives an entry of the log to the stores that it concerns.
func (b *bucket) hand(a core.Applied) {
	structure, messages := concerns(a.Entry.Events)
	if structure && !b.dirAt.Covers(a) {
		b.dirAt = b.dirAt.Reach(a)
		b.dir.add(a)
	}
	if messages && !b.histAt.Covers(a) {
		b.histAt = b.histAt.Reach(a)
		b.hist.add(a)
	}
	if a.Sequence > b.lastEntry.Sequence {
		b.lastEntry = a
	}
}

// concerns tells which stores have something to apply in events: a deleted channel is both structure and messages.
func concerns(events []*pb.Event) (structure, messages bool) {
	for _, ev := range events {
		structure = structure || core.Structural(ev.Type)
		messages = messages || !core.Structural(ev.Type) || ev.Type == proto.EventChannelDelete
	}
	return structure, messages
}

// awaitBacklog waits until neither store lags much. For a history that is away nobody waits before it lags so much that writes would be
// refused.
func (b *bucket) awaitBacklog(ctx context.Context) error {
	for {
		lag := b.hist.backlog()
		if b.dir.backlog() < replayBacklog && (lag < replayBacklog || lag < maxUnapplied && b.hist.stuck()) {
			return nil
		}
		look := time.NewTimer(stuckAfter)
		err := b.awaitChange(ctx, look.C)
		look.Stop()
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
}

// awaitDirectory waits until the directory is synced, however long it takes.
func (b *bucket) awaitDirectory(ctx context.Context) error {
	for !b.synced() {
		if err := b.awaitChange(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// awaitHistory waits until the history has applied everything, or d has passed.
func (b *bucket) awaitHistory(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	for b.hist.backlog() > 0 {
		if b.awaitChange(ctx, t.C) != nil {
			return
		}
	}
}

// awaitChange waits for an applier to say something.
func (b *bucket) awaitChange(ctx context.Context, timeout <-chan time.Time) error {
	select {
	case <-b.wake: // also for commands: the loop looks at the queue before it waits
		return nil
	case <-timeout:
		return context.DeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}
