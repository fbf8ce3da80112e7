package ownership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	warmTimeout = 10 * time.Second
	takeTimeout = 2 * time.Second
	moveRetry   = time.Second // after a move that came to nothing
)

// moveLocked begins to give a bucket to another core, if there is a place for one more move.
func (c *Claims) moveLocked(ctx context.Context, n int, to holder, pinned bool) (begun bool) {
	select {
	case c.moves <- struct{}{}:
	default:
		return false
	}
	e := &c.table[n]
	e.busy = true
	revision := e.revision
	c.tasks.Go(func() {
		begun := time.Now()
		err := c.move(ctx, n, to, revision, pinned)
		<-c.moves
		c.update(n, func(e *entry) {
			e.busy = false
			if err != nil {
				e.retry = time.Now().Add(moveRetry)
			}
		})
		switch {
		case err == nil:
			movesTotal.WithLabelValues("done").Inc()
			moveSeconds.Observe(time.Since(begun).Seconds())
		case ctx.Err() == nil:
			movesTotal.WithLabelValues("failed").Inc()
			c.log.Warn("bucket not handed over, will repeat", "bucket", n, "to", to.core, "err", err)
		}
		c.nudge()
	})
	return true
}

// move gives a bucket away so that nobody waits for long: the other core reads ahead; then this one ends its service, writes the record, has
// the other serve, and sends it whoever waits here.
func (c *Claims) move(ctx context.Context, n int, to holder, revision uint64, pinned bool) error {
	if c.owner.Used(n) {
		if err := c.ask(ctx, to, &pb.MoveCall{Bucket: uint32(n)}, warmTimeout); err != nil {
			return err // still served here
		}
	}
	used := c.owner.Release(n)
	rec := &pb.Owner{Core: to.core, Boot: to.boot, Pinned: pinned}
	at, err := c.put(ctx, n, rec, revision)
	for tries := 0; err != nil && !errors.Is(err, relay.ErrConflict) && ctx.Err() == nil && tries < 10; tries++ {
		at, err = c.put(ctx, n, rec, revision) // a conflict then may be with the first try: the record tells
	}
	if err != nil && !errors.Is(err, relay.ErrConflict) {
		c.owner.Claim(n, used) // the record names this core, as far as anybody can tell
		return err
	}
	if err == nil {
		c.update(n, func(e *entry) { e.by, e.pinned, e.revision = to, pinned, max(at, e.revision) })
		err = c.ask(ctx, to, &pb.MoveCall{Bucket: uint32(n), Take: true, Revision: at, Used: used, Pinned: pinned}, takeTimeout)
	}
	c.update(n, func(e *entry) { e.mine = false })
	c.owner.Dismiss(n)
	return err // the record names another: it will see that itself
}

// ask sends a MoveCall and waits for its answer.
func (c *Claims) ask(ctx context.Context, to holder, call *pb.MoveCall, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	call.Boot = to.boot
	body, err := gproto.Marshal(call)
	if err != nil {
		return err
	}
	raw, err := c.cfg.Bus.Request(ctx, relay.MoveSubject(c.cfg.Region, to.core), body)
	if err != nil {
		return fmt.Errorf("core %s: bucket %d: %w", to.core, call.Bucket, err)
	}
	var a pb.MoveAnswer
	if err := gproto.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("core %s: bucket %d: %w", to.core, call.Bucket, err)
	}
	if a.Error != "" {
		return fmt.Errorf("core %s: bucket %d: %s", to.core, call.Bucket, a.Error)
	}
	return nil
}

// onMove answers another core that gives a bucket to this one.
func (c *Claims) onMove(ctx context.Context, body []byte) []byte {
	var call pb.MoveCall
	err := gproto.Unmarshal(body, &call)
	if err == nil {
		err = c.take(ctx, &call)
	}
	a := &pb.MoveAnswer{}
	if err != nil {
		a.Error = err.Error()
	}
	out, err := gproto.Marshal(a)
	if err != nil {
		return nil // an error that is no UTF-8: the other waits in vain and tries again
	}
	return out
}

func (c *Claims) take(ctx context.Context, call *pb.MoveCall) error {
	n := int(call.Bucket)
	c.mu.Lock()
	leaving := !slices.Contains(c.candidatesLocked(), c.me)
	c.mu.Unlock()
	switch {
	case n >= proto.Buckets:
		return fmt.Errorf("no bucket %d", n)
	case call.Boot != c.me.boot:
		return errors.New("has started again")
	case leaving && !call.Take:
		return errors.New("is leaving")
	case !call.Take:
		ctx, cancel := context.WithTimeout(ctx, warmTimeout)
		defer cancel()
		return c.owner.Warm(ctx, n)
	}
	var late, begun bool
	c.update(n, func(e *entry) {
		late = call.Revision < e.revision
		begun = e.mine || e.busy // it saw the record first, or was not told that the bucket had gone: step sees to that
		switch {
		case late:
		case !begun:
			e.by, e.pinned, e.revision, e.mine, e.held = c.me, call.Pinned, call.Revision, true, call.Revision
			c.owner.Claim(n, call.Used)
		case !e.busy:
			e.by, e.pinned, e.revision = c.me, call.Pinned, call.Revision
		}
	})
	switch {
	case late:
		return errors.New("knows a later record")
	case begun:
		c.nudge()
		return nil
	}
	return c.owner.Serve(n)
}
