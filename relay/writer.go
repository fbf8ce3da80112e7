package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// ErrSuperseded says that somebody with a higher epoch owns the bucket: whoever sees it steps down and forgets what was not acknowledged.
var ErrSuperseded = errors.New("superseded by a higher epoch")

// A Writer appends to one bucket's log as its owner. One goroutine may append; any may ask for the position.
type Writer struct {
	log    *Log
	bucket int

	mu     sync.Mutex
	at     Position
	broken error // why nothing more can be appended; set once
}

// Position of the last entry that is certainly stored.
func (w *Writer) Position() Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// Append stores one entry of these events, of lastID the highest id issued so far, and returns it with its sequence. It blocks until
// the outcome is certain, however long that takes. After ErrSuperseded or ErrRemade, or when ctx ended with the outcome unknown, the
// writer is of no more use: the bucket must be taken over again. ErrTooLarge changes nothing.
func (w *Writer) Append(ctx context.Context, events []*pb.Event, lastID chat.ID) (*pb.Entry, uint64, error) {
	w.mu.Lock()
	at, broken := w.at, w.broken
	w.mu.Unlock()
	if broken != nil {
		return nil, 0, broken
	}
	e := &pb.Entry{
		Incarnation: w.log.incarnation,
		Epoch:       at.Epoch,
		Counter:     at.Counter + 1,
		LastId:      uint64(max(lastID, at.LastID)),
		AppendId:    randomNumber(),
		TimeMs:      time.Now().UnixMilli(),
		Events:      events,
	}
	body, err := proto.Marshal(e)
	if err != nil {
		return nil, 0, fmt.Errorf("bucket %d: append: %w", w.bucket, err)
	}
	if len(body) > EntryLimit {
		return nil, 0, fmt.Errorf("bucket %d: append %d bytes: %w", w.bucket, len(body), ErrTooLarge)
	}
	start := time.Now()
	seq, err := w.log.store(ctx, w.bucket, at.Sequence, e, body)
	var c *conflict
	if errors.As(err, &c) {
		err = fmt.Errorf("%w: epoch %d, ours is %d", ErrSuperseded, c.entry.Epoch, at.Epoch)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.broken = fmt.Errorf("bucket %d: append: %w", w.bucket, err)
		return nil, 0, w.broken
	}
	appendSeconds.Observe(time.Since(start).Seconds())
	appends.Inc()
	w.at = Position{Sequence: seq, Counter: e.Counter, Epoch: e.Epoch, LastID: chat.ID(e.LastId)}
	return e, seq, nil
}
