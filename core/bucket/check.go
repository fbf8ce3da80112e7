package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/starling-chat/starling/core"
)

// checkTimeout bounds a whole check.
const checkTimeout = 5 * time.Second

// Check compares the owner's tables with each other and, where nothing is in flight, with the directory. It asks every bucket in use.
func (o *Owner) Check() error {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	answers := make(chan error, len(o.buckets))
	asked := 0
	for _, b := range o.buckets {
		if b.between(func(context.Context) { answers <- b.check(ctx) }) {
			asked++
		}
	}
	var errs []error
	for range asked {
		select {
		case err := <-answers:
			errs = append(errs, err)
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("owner: some buckets did not answer within %s", checkTimeout))...)
		}
	}
	return errors.Join(errs...)
}

// check runs on the bucket's goroutine.
func (b *bucket) check(ctx context.Context) error {
	if b.writer == nil {
		return nil // between two take-overs
	}
	pos := b.writer.Position()
	switch {
	case b.issuer.Last() < pos.LastID:
		return fmt.Errorf("bucket %d: next id follows %d, the log holds %d", b.n, b.issuer.Last(), pos.LastID)
	case b.lastEntry.Sequence > pos.Sequence:
		return fmt.Errorf("bucket %d: last entry %d is beyond the log's %d", b.n, b.lastEntry.Sequence, pos.Sequence)
	case len(b.owed) > 0 && b.synced():
		return fmt.Errorf("bucket %d: %d answers wait for a directory that is synced", b.n, len(b.owed))
	case len(b.overlay.order) == 0 && len(b.overlay.messages) > 0:
		return fmt.Errorf("bucket %d: %d messages pending between groups", b.n, len(b.overlay.messages))
	case len(b.overlay.pending) > 0 || len(b.overlay.postOrder) == 0 && len(b.overlay.posts) > 0:
		return fmt.Errorf("bucket %d: %d reactions and pins pending between groups", b.n, len(b.overlay.posts))
	}
	if !b.synced() {
		return nil // the log is ahead, as it may be
	}
	if at, err := b.o.cfg.Directory.Checkpoint(ctx, b.n); err != nil || order(at, b.dirAt) < 0 {
		return errors.Join(err, fmt.Errorf("bucket %d: directory at %+v, should be at %+v", b.n, at, b.dirAt))
	}
	for id, g := range b.state.guilds {
		if g.gone {
			continue
		}
		info, err := b.o.cfg.Directory.Guild(ctx, id)
		if errors.Is(err, core.ErrNotFound) {
			return fmt.Errorf("guild %d: in memory but not in the directory", id)
		}
		if err != nil {
			return fmt.Errorf("guild %d: %w", id, err)
		}
		want := newGuild(info)
		if len(g.roles) != len(want.roles) || len(g.channels) != len(want.channels) ||
			g.info.MemberCount != want.info.MemberCount {
			return fmt.Errorf("guild %d: %d roles, %d channels, %d members in memory; %d, %d, %d in the directory", id,
				len(g.roles), len(g.channels), g.info.MemberCount, len(want.roles), len(want.channels), want.info.MemberCount)
		}
		for id, r := range want.roles {
			if have := g.roles[id]; have.Permissions != r.Permissions || have.Position != r.Position {
				return fmt.Errorf("role %d: differs from the directory", id)
			}
		}
	}
	return nil
}
