package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
)

const (
	believeFor = 3 * time.Second
	lostFor    = 4 * time.Second // until the owner by the records has the buckets again: it takes a rival for dead after 3 s of silence
)

// TwoOwners has a second core believe that it owns what the busiest one owns, again and again: both execute every command, and the log takes
// the entries of one.
func TwoOwners(times int) Fault {
	return Fault{fmt.Sprintf("two owners, %d times", times), func(ctx context.Context, l *Lab, run *check.Run) error {
		owner, buckets, err := l.busiest(ctx, run)
		if err != nil {
			return err
		}
		other := map[string]string{"core-1": "core-2", "core-2": "core-3", "core-3": "core-1"}[owner]
		before, err := l.late(ctx, owner)
		if err != nil {
			return err
		}
		for range times {
			if err := l.believe(ctx, other, buckets, true); err != nil {
				return err
			}
			if err := wait(ctx, believeFor); err != nil {
				return err
			}
			if err := l.believe(ctx, other, buckets, false); err != nil {
				return err
			}
			if err := wait(ctx, lostFor); err != nil {
				return err
			}
		}
		after, err := l.late(ctx, owner)
		if err != nil {
			return err
		}
		l.Log("%s and %s both owned buckets %v; of %s: %v", owner, other, buckets, owner, after.less(before))
		if lost := int(after.superseded - before.superseded); lost < times*len(buckets) {
			return fmt.Errorf("%s was refused by the log %d times, want %d times %d buckets", owner, lost, times, len(buckets))
		}
		return nil
	}}
}

func (l *Lab) believe(ctx context.Context, core string, buckets []int, believes bool) error {
	r, err := l.Mesh.Role(core)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"buckets": buckets, "undo": !believes})
	if err != nil {
		return err
	}
	_, err = page(ctx, r, "POST", "/admin/v1/test/believe", string(body))
	return err
}
