package bucket

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/starling-chat/starling/relay"
)

// tailsAge is how old what is known of the log's ends may be where a store seems to be beyond them.
const tailsAge = time.Second

// tails remembers where the log of each bucket ended when it was last asked. One asks at a time; whoever waits for it may give up.
type tails struct {
	turn *semaphore.Weighted // of one
	at   time.Time
	last map[int]uint64
}

func newTails() *tails { return &tails{turn: semaphore.NewWeighted(1)} }

// read asks the log.
func (t *tails) read(ctx context.Context, log *relay.Log) (map[int]uint64, error) {
	if err := t.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer t.turn.Release(1)
	return t.readInTurn(ctx, log)
}

func (t *tails) readInTurn(ctx context.Context, log *relay.Log) (map[int]uint64, error) {
	last, err := log.Tails(ctx)
	if err != nil {
		return nil, err
	}
	t.at, t.last = time.Now(), last
	return last, nil
}

// of tells where a bucket's log ends: at least where it ended some time ago if that reaches to least, else not long ago.
func (t *tails) of(ctx context.Context, log *relay.Log, bucket int, least uint64) (uint64, error) {
	if err := t.turn.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	defer t.turn.Release(1)
	if t.last[bucket] < least && time.Since(t.at) > tailsAge {
		if _, err := t.readInTurn(ctx, log); err != nil {
			return 0, err
		}
	}
	return t.last[bucket], nil
}
