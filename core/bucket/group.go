package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	groupBytes = 128 << 10 // of events, after which a group takes no more commands
	entryBytes = 192 << 10 // of events in one entry; the relay's limit is 256 KiB
	groupCalls = 1024
	storeWait  = 250 * time.Millisecond // that an answer waits for a store
)

// A group is what one turn of the bucket executes: commands, the events they make, and the answers that wait for the log. Until the log
// has the events, the state that the commands left is pending, and nobody outside sees it.
type group struct {
	events    []*pb.Event
	size      int
	answers   []answer
	snapshots []*call
	commands  int // with events
}

// An answer waits for its group: made from the event of a memo, or given.
type answer struct {
	call      *call
	memo      *memo
	shown     []byte // body of the memo's answer, if it is known
	result    *pb.Result
	structure bool // it says that the directory has it
}

// owed is an answer that waits for the directory to apply a sequence.
type owed struct {
	sequence uint64
	call     *call
	result   *pb.Result
}

func (o owed) give()   { o.call.answer(o.result) }
func (o owed) refuse() { o.call.refuse() }

// group executes what waits, commits, and answers. It reports whether there was anything to do.
func (b *bucket) group(ctx context.Context) (bool, error) {
	g := &group{}
	now := b.o.cfg.Now()
	took := 0
	for took < groupCalls && g.size < groupBytes {
		c := b.pop()
		if c == nil {
			break
		}
		took++
		if !c.decode(b.n, now) {
			continue
		}
		switch {
		case snapshots[c.cmd.Kind]:
			g.snapshots = append(g.snapshots, c)
		default:
			b.execute(ctx, g, c, now)
		}
	}
	if took == 0 {
		return false, nil
	}
	if err := b.commit(g); err != nil {
		for _, a := range g.answers {
			a.call.refuse()
		}
		for _, c := range g.snapshots {
			c.refuse()
		}
		return true, err
	}
	b.answer(ctx, g)
	for _, c := range g.snapshots {
		b.snapshot(ctx, c)
	}
	return true, nil
}

// execute runs one command against the state. What it changes is in g afterwards, or nothing is.
func (b *bucket) execute(ctx context.Context, g *group, c *call, now time.Time) {
	if m := b.recent.command(c.cmd.Id); m != nil {
		repeatsTotal.WithLabelValues("command").Inc()
		g.answers = append(g.answers, answer{call: c, memo: m, structure: isStructure(m.event)})
		return
	}
	h, ok := handlers[c.cmd.Kind]
	if !ok {
		g.give(c, errorResult(proto.ErrNotFound))
		return
	}
	if h.writes && b.dir.backlog()+b.hist.backlog() >= maxUnapplied {
		refusedTotal.WithLabelValues("unapplied").Inc()
		g.give(c, errorResult(proto.ErrUnavailable))
		return
	}
	if !b.synced() && (h.structure || !b.state.loaded(proto.ID(c.cmd.Guild), proto.ID(c.cmd.Channel))) {
		b.hold(c)
		return
	}
	t := &turn{b: b, g: g, ctx: ctx, cmd: c.cmd, now: now}
	if err := h.run(t); err != nil {
		var told *proto.Error
		if !errors.As(err, &told) && !core.Away(err) { // a store that is away is told of once, by whoever applies to it
			b.log.Warn("command failed", "kind", c.cmd.Kind, "err", err)
		}
		g.give(c, errorResult(asError(err)))
		return
	}
	t.finish(c)
}

func (g *group) give(c *call, r *pb.Result) {
	g.answers = append(g.answers, answer{call: c, result: r})
}

// commit appends the group's events and hands them to the stores. On an error nothing is certain but the log: the state must be dropped.
func (b *bucket) commit(g *group) error {
	if len(g.events) == 0 {
		return nil
	}
	groupCommands.Observe(float64(g.commands))
	for rest := g.events; len(rest) > 0; {
		var events []*pb.Event
		events, rest = split(rest, entryBytes)
		begun := time.Now()
		if storesFirst.Load() {
			at := b.writer.Position()
			b.hand(core.Applied{Bucket: b.n, Sequence: at.Sequence + 1, Entry: &pb.Entry{Epoch: at.Epoch, Counter: at.Counter + 1, Events: events}})
		}
		e, seq, err := b.writer.Append(b.o.grace, events, b.issuer.Last())
		if err != nil {
			if errors.Is(err, relay.ErrSuperseded) {
				return errLost
			}
			return fmt.Errorf("bucket %d: append: %w", b.n, err)
		}
		appendSeconds.Observe(time.Since(begun).Seconds())
		b.publish()
		for _, ev := range events {
			if len(ev.Command) > 0 {
				b.recent.command(ev.Command).sequence = seq
			}
		}
		b.overlay.appended(events, seq)
		b.due = b.due || owesEffects(events)
		b.hand(core.Applied{Bucket: b.n, Sequence: seq, Entry: e})
	}
	return nil
}

// split cuts off as many events as fit an entry, at least one.
func split(events []*pb.Event, limit int) (head, rest []*pb.Event) {
	size := 0
	for i, ev := range events {
		size += eventSize(ev)
		if i > 0 && size > limit {
			return events[:i], events[i:]
		}
	}
	return events, nil
}

func eventSize(ev *pb.Event) int { return protobuf.Size(ev) + 8 }

// answer waits for the stores as long as it is worth, then answers on the log alone; structure waits for the directory.
func (b *bucket) answer(ctx context.Context, g *group) {
	if len(g.answers) == 0 {
		return
	}
	if len(g.events) > 0 {
		b.awaitStores(ctx)
	}
	done := b.dir.done()
	lagging := !b.synced()
	for _, a := range g.answers {
		r := a.result
		switch {
		case a.shown != nil:
			r = &pb.Result{Status: a.memo.event.Status, Body: a.shown, Sequence: a.memo.sequence}
		case a.memo != nil:
			r = b.resultOf(ctx, a.memo)
		}
		if a.structure && lagging && (a.memo == nil || a.memo.sequence > done) {
			b.owed = append(b.owed, owed{b.dirAt.Sequence, a.call, r})
			continue
		}
		a.call.answer(r)
	}
	b.overlay.applied(b.hist.done())
	b.whenSynced()
}

// awaitStores waits until both stores have what the group gave them, at most storeWait; not at all for one that was slow already. Answers
// that say that the directory has something wait for it elsewhere: sends need not.
func (b *bucket) awaitStores(ctx context.Context) {
	t := time.NewTimer(storeWait)
	defer t.Stop()
	for !b.synced() && !b.slowDir || b.hist.backlog() > 0 && !b.slow {
		if b.awaitChange(ctx, t.C) != nil {
			b.slow, b.slowDir = b.hist.backlog() > 0, !b.synced()
			return
		}
	}
}

// isStructure tells whether an event changes what the directory holds.
func isStructure(ev *pb.Event) bool {
	structure, _ := concerns([]*pb.Event{ev})
	return structure
}
