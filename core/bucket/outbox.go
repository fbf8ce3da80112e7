package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	outboxPage     = 500
	outboxAtOnce   = 32
	outboxTimeout  = 5 * time.Second // of one try
	outboxRetryMin = 20 * time.Millisecond
	outboxRetryMax = 2 * time.Second
)

// An outbox sends what a bucket's entries owe to other buckets, each until it is done and what concerns one user in order. Its goroutine lives while there is
// something to send.
type outbox struct {
	b *bucket

	mu      sync.Mutex
	running bool
	again   bool // kicked while running
}

// owesEffects tells whether applying events puts something into the outbox, or leaves something to be swept.
func owesEffects(events []*pb.Event) bool {
	return slices.ContainsFunc(events, func(ev *pb.Event) bool {
		switch ev.Type {
		case proto.EventInternalGuildBorn, proto.EventGuildMemberAdd, proto.EventGuildMemberRemove, proto.EventGuildDelete, proto.EventGuildRoleDelete,
			proto.EventUserUpdate, proto.EventInternalGuildJoined, proto.EventInternalDirectShown, proto.EventInternalDirectHidden:
			return true
		}
		return false
	})
}

// kick has the outbox look at what is owed.
func (x *outbox) kick() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.b.mu.Lock()
	l := x.b.lease
	x.b.mu.Unlock()
	if x.running || l == nil {
		x.again = true
		return
	}
	x.running = x.b.o.spawn(func() { x.run(l.ctx) })
}

func (x *outbox) run(ctx context.Context) {
	wait := outboxRetryMin
	for {
		more, err := x.page(ctx)
		switch {
		case ctx.Err() != nil:
			x.leave()
			return // the next owner goes on
		case err != nil:
			if wait >= outboxRetryMax {
				x.b.log.Warn("effect not done, will repeat", "err", err)
			}
			if !sleep(ctx, wait) {
				x.leave()
				return
			}
			wait = min(2*wait, outboxRetryMax)
			continue
		}
		wait = outboxRetryMin
		if !more && x.rest() {
			return
		}
	}
}

// leave ends the goroutine whose lease has ended. A kick since it looked may be of the next lease, whose goroutine goes on.
func (x *outbox) leave() {
	x.mu.Lock()
	again := x.again
	x.running, x.again = false, false
	x.mu.Unlock()
	if again {
		x.kick()
	}
}

// rest ends the goroutine unless there was a kick since it looked.
func (x *outbox) rest() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.again {
		x.again = false
		return false
	}
	x.running = false
	return true
}

// page does some of what is owed, or of what is to be swept, and tells whether there may be more.
func (x *outbox) page(ctx context.Context) (more bool, err error) {
	if n, err := x.sendPage(ctx); err != nil || n == outboxPage {
		return true, err
	}
	return x.b.o.cfg.Directory.Sweep(ctx, x.b.n)
}

// sendPage does the oldest effects: those on one user one after the other, those on different users side by side.
func (x *outbox) sendPage(ctx context.Context) (int, error) {
	effects, err := x.b.o.cfg.Directory.Outbox(ctx, x.b.n, outboxPage)
	if err != nil {
		return 0, err
	}
	byTarget := map[uint64][]core.Effect{}
	for _, e := range effects {
		byTarget[e.Command.GetTarget()] = append(byTarget[e.Command.GetTarget()], e)
	}
	var mu sync.Mutex
	var done []core.Effect
	g := errgroup.Group{} // one that fails stops no other
	g.SetLimit(outboxAtOnce)
	for _, chain := range byTarget {
		g.Go(func() error {
			for _, e := range chain {
				if err := x.send(ctx, e); err != nil {
					return fmt.Errorf("%s for bucket %d: %w", e.Command.GetKind(), e.Command.GetBucket(), err)
				}
				mu.Lock()
				done = append(done, e)
				mu.Unlock()
			}
			return nil
		})
	}
	err = g.Wait()
	if len(done) > 0 {
		err = errors.Join(err, x.b.o.cfg.Directory.Done(ctx, done...))
	}
	return len(effects), err
}

// send asks the other bucket's owner. What it refuses on the merits is done as well: asking again would change nothing. That the bucket has
// another owner now is no such refusal.
func (x *outbox) send(ctx context.Context, e core.Effect) error {
	cfg := &x.b.o.cfg
	ctx, cancel := context.WithTimeout(ctx, outboxTimeout)
	defer cancel()
	cmd := protobuf.CloneOf(e.Command)
	cmd.DeadlineMs = cfg.Now().Add(outboxTimeout).UnixMilli()
	body, err := protobuf.Marshal(cmd)
	if err != nil {
		return err
	}
	answer, err := cfg.Bus.Request(ctx, relay.CommandSubject(cfg.Region, int(cmd.Bucket)), body)
	if err != nil {
		return err
	}
	var r pb.Result
	if err := protobuf.Unmarshal(answer, &r); err != nil {
		return err
	}
	switch {
	case r.Status >= 500 || r.Status == 429 || r.Status == core.StatusMoved:
		return fmt.Errorf("status %d", r.Status)
	case r.Status >= 400:
		x.b.log.Error("effect refused", "kind", cmd.Kind, "user", cmd.Target, "guild", cmd.Guild, "status", r.Status)
	}
	return nil
}
