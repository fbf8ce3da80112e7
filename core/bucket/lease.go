package bucket

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

const (
	warmLife  = 30 * time.Second       // that what was read ahead of a take-over is of use
	warmSlack = 5 * time.Second        // between the clocks of two owners
	lastApply = 250 * time.Millisecond // for the stores, before a bucket is let go
)

// A Claims decides which buckets are an owner's, while others own the rest. It calls Claim, Serve, Warm, Release and Dismiss; what it decides need
// not be right at each moment, since the log takes entries of one owner alone.
type Claims interface {
	// Run decides until ctx ends; it calls ready once, when the buckets that are the owner's now are claimed.
	Run(ctx context.Context, o *Owner, ready func()) error
}

// A lease is the time in which a bucket is this owner's, from Claim to Release.
type lease struct {
	ctx  context.Context
	end  context.CancelFunc
	idle chan struct{} // closed when the bucket's goroutine has ended; nil while none was started
}

// Past lists the buckets that have entries in the log or a checkpoint in a store.
func (o *Owner) Past(ctx context.Context) (map[int]bool, error) { return o.past(ctx) }

// Claim makes a bucket this owner's: used tells that it may have a past, and is then taken over at once. Commands come with Serve.
func (o *Owner) Claim(n int, used bool) {
	b := o.buckets[n]
	b.mu.Lock()
	if b.lease != nil {
		b.mu.Unlock()
		return
	}
	b.lease, b.gone = &lease{}, false
	b.lease.ctx, b.lease.end = context.WithCancel(o.ctx)
	waiting := len(b.queue) > 0
	b.phase.Store(phaseIdle)
	if used {
		b.phase.Store(phaseTaking)
	}
	b.mu.Unlock()
	if used || waiting {
		b.start()
	}
}

// Serve has the commands of buckets sent here.
func (o *Owner) Serve(buckets ...int) error { return o.commands.Add(buckets...) }

// Taken waits until a bucket that was claimed as used is taken over, or let go.
func (o *Owner) Taken(ctx context.Context, n int) error {
	select {
	case <-o.buckets[n].taken:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bucket %d: take over: %w", n, ctx.Err())
	}
}

// Used tells whether a bucket of this owner has a past.
func (o *Owner) Used(n int) bool { return o.buckets[n].phase.Load() != phaseIdle }

// Warm reads what a take-over of the bucket would have to read first, while another owner still serves it.
func (o *Owner) Warm(ctx context.Context, n int) error {
	w := &warmth{recent: newRecent(), at: o.cfg.Now()}
	err := o.cfg.Log.Since(ctx, n, w.at.Add(-memory), func(seq uint64, e *pb.Entry) error {
		for _, ev := range e.Events {
			w.recent.learn(ev, seq, time.UnixMilli(e.TimeMs))
		}
		return nil
	})
	if err != nil {
		return err
	}
	o.buckets[n].warmth.Store(w)
	return nil
}

// A warmth is what a future owner knows already.
type warmth struct {
	recent *recent
	at     time.Time // before it was read
}

// Release ends this owner's service of a bucket: what was begun is answered, what waits goes on waiting, for Dismiss or another Claim. It tells
// whether the bucket has a past.
func (o *Owner) Release(n int) (used bool) {
	b := o.buckets[n]
	b.mu.Lock()
	l := b.lease
	b.lease = nil
	b.mu.Unlock()
	if l == nil {
		return true
	}
	l.end()
	if l.idle != nil {
		<-l.idle
	}
	b.once.Do(func() { close(b.taken) }) // nobody need wait for it here
	used = b.phase.Load() != phaseIdle
	b.phase.Store(phaseForeign)
	return used
}

// Dismiss has commands of a bucket that was released sent to its new owner, those that wait and those to come.
func (o *Owner) Dismiss(n int) {
	o.commands.Remove(n)
	o.buckets[n].turnAway()
}

// turnAway tells whoever waits for a bucket of another owner to ask that one.
func (b *bucket) turnAway() {
	b.mu.Lock()
	if b.lease != nil {
		b.mu.Unlock()
		return
	}
	queue := b.takeQueueLocked()
	b.gone = true
	b.mu.Unlock()
	for _, c := range queue {
		refusedTotal.WithLabelValues("moved").Inc()
		c.moved()
	}
}

// settleStores gives the stores a moment to apply what the log has, so that the next owner finds little to replay.
func (b *bucket) settleStores() {
	if b.writer == nil || b.o.ctx.Err() != nil {
		return
	}
	b.touch()
	t := time.NewTimer(lastApply)
	defer t.Stop()
	for b.dir.backlog()+b.hist.backlog() > 0 {
		if b.awaitChange(b.o.ctx, t.C) != nil {
			return
		}
	}
	b.settle()
}
