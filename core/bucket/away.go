package bucket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const (
	awayPatience = 2 * time.Second // for the history's checkpoints, before a bucket is taken over without
	awayMemory   = 2 * time.Second // that a history that did not answer one bucket is not asked for another
	noteEvery    = 5 * time.Second // that the directory is told how far the history is
	noteTimeout  = 5 * time.Second
	notePause    = 500 * time.Millisecond // between tries to learn what the directory has

	// blindEpochs is how many owners may have died, each before the directory heard of it, in a log that is gone as well.
	blindEpochs = 1 << 12
)

// Away remembers when the history was last found not to answer. Any goroutine may call it.
type away struct {
	mu sync.Mutex
	at time.Time
}

// note tells whether this is news.
func (a *away) note() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	news := time.Since(a.at) >= awayMemory
	a.at = time.Now()
	return news
}

func (a *away) lately() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(a.at) < awayMemory
}

// errAway stands for a history that is known not to answer.
var errAway = errors.New("the history did not answer a moment ago")

// historyAt tells how far the history has applied a bucket's log. Where it does not answer, the bucket is taken over from what the directory
// was told last: the history was at least there, and what it is given again changes nothing in it. Without such a note all that the log
// retains is given again.
//
// The epochs that the history knows are below the log's last entry. Only where the log has none any more could an owner come that is below
// what the history holds, so that its writes would lose: blindEpochs are for that.
func (o *Owner) historyAt(ctx context.Context, n int) (at core.Checkpoint, noted bool, err error) {
	err = errAway
	if !o.away.lately() {
		asking, cancel := context.WithTimeout(ctx, awayPatience)
		at, err = o.cfg.History.Checkpoint(asking, n)
		cancel()
	}
	if err == nil || ctx.Err() != nil {
		return at, false, err
	}
	if !errors.Is(err, errAway) && o.away.note() {
		o.log.Warn("history away, taking over from notes", "bucket", n, "err", err)
	}
	at, noteErr := o.cfg.Directory.HistoryNote(ctx, n)
	if noteErr != nil {
		return at, true, fmt.Errorf("bucket %d: history: %w; its note: %w", n, err, noteErr)
	}
	return at, true, nil
}

// directoryCheckpoints waits for a directory that is away.
func (o *Owner) directoryCheckpoints(ctx context.Context) ([]core.Checkpoint, error) {
	for tries := 1; ; tries++ {
		all, err := o.cfg.Directory.Checkpoints(ctx)
		if err == nil {
			return all, nil
		}
		if tries == 1 {
			o.log.Warn("directory does not tell its checkpoints, will go on asking", "err", err)
		}
		if !sleep(ctx, notePause) {
			return nil, fmt.Errorf("checkpoints of the directory: %w", err)
		}
	}
}

// historyCheckpoints are none where the history is away: no bucket is in it that is neither in the log nor in the directory.
func (o *Owner) historyCheckpoints(ctx context.Context) ([]core.Checkpoint, error) {
	if o.away.lately() { // who claims what a dead core owned must not wait for it again and again
		return nil, nil
	}
	asking, cancel := context.WithTimeout(ctx, awayPatience)
	defer cancel()
	all, err := o.cfg.History.Checkpoints(asking)
	if err != nil && ctx.Err() == nil {
		if o.away.note() {
			o.log.Warn("history does not tell its checkpoints, going on without", "err", err)
		}
		return nil, nil
	}
	return all, err
}

// keepNotes tells the directory every few seconds how far the history is.
func (o *Owner) keepNotes(ctx context.Context) error {
	noted := map[int]core.Checkpoint{}
	for sleep(ctx, noteEvery) {
		o.noteHistory(ctx, noted)
	}
	return nil
}

// noteHistory tells what changed since noted. A directory that is away hears it another time.
func (o *Owner) noteHistory(ctx context.Context, noted map[int]core.Checkpoint) {
	var news []core.Checkpoint
	for n := range proto.Buckets {
		s := o.buckets[n].stores.Load()
		if s == nil {
			continue
		}
		if at := s.hist.at(); at.Sequence != 0 && at != noted[n] {
			at.Bucket = n
			news = append(news, at)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if err := o.cfg.Directory.NoteHistory(ctx, news); err != nil {
		return
	}
	for _, at := range news {
		noted[at.Bucket] = at
	}
}
