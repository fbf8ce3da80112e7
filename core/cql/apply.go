package cql

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const (
	batchRows  = 64 // most rows in one batch, of one partition
	batchBytes = 256 << 10
	writesOnce = 64 // most writes of one Apply under way
)

// Apply implements core.History: the messages first, all partitions side by side, then the checkpoint. If it fails, some may be written; the
// caller applies the entries again, or their next owner does.
func (s *Store) Apply(ctx context.Context, entries []core.Applied) error {
	if len(entries) == 0 {
		return nil
	}
	p, err := newPlan(entries)
	if err != nil {
		return err
	}
	session, err := s.link.get()
	if err != nil {
		return fmt.Errorf("bucket %d: %w", p.reached.Bucket, err)
	}
	begun := time.Now()
	w := &writer{store: s, session: session, plan: p}
	if err := w.messages(ctx); err != nil {
		return fmt.Errorf("bucket %d: apply up to sequence %d: %w", p.reached.Bucket, p.reached.Sequence, err)
	}
	if err := w.checkpoint(ctx); err != nil {
		return fmt.Errorf("bucket %d: checkpoint %d: %w", p.reached.Bucket, p.reached.Sequence, err)
	}
	applySeconds.Observe(time.Since(begun).Seconds())
	return nil
}

// A writer carries out a plan.
type writer struct {
	store   *Store
	session *gocql.Session
	plan    *plan
	group   *errgroup.Group
	ctx     context.Context // of the group
}

// messages writes all but the checkpoint. Order does not matter among these: a reader who sees a message before its window is noted, or the
// other way round, asked before Apply returned.
func (w *writer) messages(ctx context.Context) error {
	w.group, w.ctx = errgroup.WithContext(ctx)
	w.group.SetLimit(writesOnce)
	for channel, sweep := range w.plan.deleted {
		w.store.noted.forget(channel)
		if err := w.sweep(channel, sweep); err != nil {
			_ = w.group.Wait()
			return err
		}
	}
	w.notes()
	w.rows()
	w.posts()
	if err := w.group.Wait(); err != nil {
		return err
	}
	for p, r := range w.plan.windows {
		if sweep, gone := w.plan.deleted[p.channel]; !gone || r.stamp > sweep.stamp {
			w.store.noted.add(p, r.id)
		}
	}
	return nil
}

// sweep lays a tombstone over every window that a deleted channel has had, those that nothing is known of included: a message that comes
// late must find one.
func (w *writer) sweep(channel proto.ID, d sweep) error {
	windows := map[int]bool{}
	for window := d.first; window <= d.last; window++ {
		windows[window] = true
	}
	for from, more := 0, true; more; {
		noted, err := w.store.windows(w.ctx, windowsAbove, channel, from, notesPage)
		if err != nil {
			return fmt.Errorf("channel %d: windows: %w", channel, err)
		}
		for _, window := range noted {
			windows[window], from = true, window+1
		}
		more = len(noted) == notesPage
	}
	for window := range windows {
		w.exec(statement{dropWindow, []any{d.stamp, int64(channel), window}})
		w.sweepPosts(channel, window, d.stamp)
	}
	w.exec(statement{dropNotes, []any{d.stamp, int64(channel)}})
	w.exec(statement{dropPins, []any{d.stamp, int64(channel)}})
	return nil
}

// notes writes which windows hold something and the newest id of their channel, except what this process has written before.
func (w *writer) notes() {
	channels := map[proto.ID][]statement{}
	newest := map[proto.ID]proto.ID{}
	for p, r := range w.plan.windows {
		last := w.store.noted.last(p)
		if last == 0 {
			channels[p.channel] = append(channels[p.channel], statement{noteWindow, []any{int64(p.channel), p.window, r.stamp}})
		}
		if r.id > last {
			newest[p.channel] = max(newest[p.channel], r.id)
		}
	}
	for channel, id := range newest {
		channels[channel] = append(channels[channel], statement{raiseLast, []any{int64(id), int64(id), int64(channel)}})
	}
	for _, statements := range channels {
		w.exec(statements...)
	}
}

// rows writes messages and tombstones, in batches of one partition.
func (w *writer) rows() {
	parts := map[partition][]statement{}
	sizes := map[partition]int{}
	for key, r := range w.plan.rows {
		p := key.partition
		if r.body == nil {
			parts[p] = append(parts[p], statement{dropMessage, []any{r.stamp, int64(p.channel), p.window, int64(key.id)}})
		} else {
			parts[p] = append(parts[p], statement{putMessage, []any{int64(p.channel), p.window, int64(key.id), r.body, r.stamp}})
		}
		if sizes[p] += len(r.body); len(parts[p]) == batchRows || sizes[p] >= batchBytes {
			w.exec(parts[p]...)
			delete(parts, p)
			delete(sizes, p)
		}
	}
	for _, statements := range parts {
		w.exec(statements...)
	}
}

// checkpoint comes last. Its stamp is that of the entry it speaks of, so the highest wins.
func (w *writer) checkpoint(ctx context.Context) error {
	c := w.plan.reached
	q := w.session.Query(putCheckpoint, c.Bucket, int64(c.Sequence), int64(c.Counter), int64(c.Epoch), int64(c.LastID),
		int64(c.Incarnation), int64(c.Epoch<<counterBits|c.Counter))
	return q.WithContext(ctx).Exec()
}

// A statement with its values.
type statement struct {
	text string
	args []any
}

// exec sends statements of one partition as one write; errors come out at the group's Wait.
func (w *writer) exec(statements ...statement) {
	w.group.Go(func() error {
		if len(statements) == 1 {
			return w.session.Query(statements[0].text, statements[0].args...).WithContext(w.ctx).Exec()
		}
		b := w.session.Batch(gocql.UnloggedBatch).WithContext(w.ctx)
		for _, s := range statements {
			b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: s.text, Args: s.args, Idempotent: true})
		}
		return b.Exec()
	})
}
