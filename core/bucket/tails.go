package bucket

import (
	"context"
	"sync"
	"time"

	"github.com/starling-chat/starling/relay"
)

// tailsAge is how old what is known of the log's ends may be where a store seems to be beyond them.
const tailsAge = time.Second

// tails remembers where the log of each bucket ended when it was last asked.
type tails struct {
	mu   sync.Mutex
	at   time.Time
	last map[int]uint64
}

// read asks the log.
func (t *tails) read(ctx context.Context, log *relay.Log) (map[int]uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.readLocked(ctx, log)
}

func (t *tails) readLocked(ctx context.Context, log *relay.Log) (map[int]uint64, error) {
	last, err := log.Tails(ctx)
	if err != nil {
		return nil, err
	}
	t.at, t.last = time.Now(), last
	return last, nil
}

// of tells where a bucket's log ends: at least where it ended some time ago if that reaches to least, else not long ago.
func (t *tails) of(ctx context.Context, log *relay.Log, bucket int, least uint64) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last[bucket] < least && time.Since(t.at) > tailsAge {
		if _, err := t.readLocked(ctx, log); err != nil {
			return 0, err
		}
	}
	return t.last[bucket], nil
}
