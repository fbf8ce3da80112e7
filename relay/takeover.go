package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// ErrLogBehind says that a store is much further than the log, so the two do not belong together.
var ErrLogBehind = errors.New("the log ends long before the store's checkpoint")

// behindLimit is how many sequences a log may have lost and still be continued: some seconds' worth.
const behindLimit = 1 << 17

// TakeOver makes the caller the bucket's owner: it appends a take-over entry whose epoch is above any seen and above from's; from then on
// no earlier owner can append anything. It hands every entry with events to replay, in order and once each, that is above from.Sequence
// (the store's checkpoint) or not older than since (zero: no matter); the caller tells by the sequence which of them the store has. An error
// of replay ends it, and so does ErrRemade: the log has to be opened again.
func (l *Log) TakeOver(ctx context.Context, bucket int, from Position, since time.Time,
	replay func(seq uint64, e *pb.Entry) error) (*Writer, error) {
	if bucket < 0 || bucket >= chat.Buckets {
		return nil, fmt.Errorf("take over bucket %d: no such bucket", bucket)
	}
	at, before, err := l.appendTakeOver(ctx, bucket, from)
	if err != nil {
		return nil, fmt.Errorf("take over bucket %d: %w", bucket, err)
	}
	if at, err = l.passStore(ctx, bucket, at, from.Sequence); err != nil {
		return nil, fmt.Errorf("take over bucket %d: %w", bucket, err)
	}
	first := from.Sequence + 1
	if !since.IsZero() && !before.at.Before(since) {
		if first, err = l.firstSince(ctx, bucket, first, since, forEver); err != nil {
			return nil, fmt.Errorf("take over bucket %d: %w", bucket, err)
		}
	}
	if first <= before.sequence {
		// Up to our own entry, whose sight proves that a replica shows all before it.
		err = l.read(ctx, bucket, first, at.Sequence, forEver, func(seq uint64, e *pb.Entry) error {
			if len(e.Events) == 0 || replay == nil {
				return nil
			}
			return replay(seq, e)
		})
		if err != nil {
			return nil, fmt.Errorf("take over bucket %d: replay: %w", bucket, err)
		}
	}
	takeOvers.Inc()
	return &Writer{log: l, bucket: bucket, at: at}, nil
}

// passStore appends entries without events until their sequence is above the store's. It is needed only where the log lost its tail, as after
// power loss without SyncAlways: the store would take what comes next for known.
func (l *Log) passStore(ctx context.Context, bucket int, at Position, store uint64) (Position, error) {
	if at.Sequence > store {
		return at, nil
	}
	if store-at.Sequence > behindLimit {
		return at, fmt.Errorf("log at %d, store at %d: %w", at.Sequence, store, ErrLogBehind)
	}
	l.bus.log.Warn("the log lost its tail, passing the store", "bucket", bucket, "log", at.Sequence, "store", store)
	w := &Writer{log: l, bucket: bucket, at: at}
	for w.at.Sequence <= store {
		if _, _, err := w.Append(ctx, nil, 0); err != nil {
			return at, err
		}
	}
	return w.at, nil
}

// appendTakeOver fences off earlier owners. It returns its own position and what was last before.
func (l *Log) appendTakeOver(ctx context.Context, bucket int, from Position) (Position, stored, error) {
	var least uint64 // sequence that a read should reach: an append was refused because of it
	behind := 0      // reads that did not
	high := &pb.Entry{Epoch: from.Epoch, Counter: from.Counter, LastId: uint64(from.LastID)}
	for try := 0; ; try++ {
		if try > 0 {
			if err := l.pause(ctx, try-1); err != nil {
				return Position{}, stored{}, err
			}
		}
		before, tail, err := l.lastEntry(ctx, bucket)
		if err != nil && !errors.Is(err, errNone) {
			if ctx.Err() != nil {
				return Position{}, stored{}, ctx.Err()
			}
			if errors.Is(err, errUnreadable) || errors.Is(err, errClosed) {
				return Position{}, stored{}, err
			}
			continue // the hub is away or not ready
		}
		if before.sequence < least {
			// A stale replica; or retention took meanwhile what there was. The log knows: what does not follow it is refused.
			if behind++; behind < readTries {
				continue
			}
		}
		if tail == nil || tail.Incarnation != l.incarnation {
			// The tail is of the log before ours, of which a part was kept, or of the one after it: that must never be followed by an entry of
			// ours. Or there is none, which fits any log: store makes certain, but an entry of ours would be in the other one by then.
			if err := l.confirm(ctx, bucket); err != nil {
				return Position{}, stored{}, err
			}
		}
		e := &pb.Entry{
			Incarnation: l.incarnation,
			Epoch:       max(high.Epoch, tail.GetEpoch()) + 1,
			Counter:     max(high.Counter, tail.GetCounter()) + 1,
			LastId:      max(high.LastId, tail.GetLastId()),
			AppendId:    randomNumber(),
			TimeMs:      time.Now().UnixMilli(),
			TakeOver:    true,
		}
		high.Epoch = max(high.Epoch, tail.GetEpoch())
		body, err := proto.Marshal(e)
		if err != nil {
			return Position{}, stored{}, err
		}
		seq, err := l.store(ctx, bucket, before.sequence, e, body)
		var c *conflict
		if errors.As(err, &c) {
			least, behind = c.sequence, 0
			high.Epoch, high.Counter, high.LastId = max(high.Epoch, c.entry.Epoch), max(high.Counter, c.entry.Counter), max(high.LastId, c.entry.LastId)
			continue
		}
		if err != nil {
			return Position{}, stored{}, err
		}
		return Position{Sequence: seq, Counter: e.Counter, Epoch: e.Epoch, LastID: chat.ID(e.LastId)}, before, nil
	}
}

// errUnreadable says that the log holds something that is no entry.
var errUnreadable = errors.New("unreadable entry in the log")

// lastEntry reads the last entry of a bucket; errNone. It may be stale.
func (l *Log) lastEntry(ctx context.Context, bucket int) (stored, *pb.Entry, error) {
	s, err := l.bus.getLast(ctx, l.stream(bucket), LogSubject(l.bus.region, bucket))
	if err != nil {
		return stored{}, nil, err
	}
	e, err := decodeEntry(s.data)
	if err != nil {
		return stored{}, nil, fmt.Errorf("sequence %d: %w: %w", s.sequence, errUnreadable, err)
	}
	return s, e, nil
}

// firstSince is the earlier of first and the first entry of the bucket that is not older than since. There must be one: an answer without is
// of a replica that is behind; errNone after so many of them.
func (l *Log) firstSince(ctx context.Context, bucket int, first uint64, since time.Time, tries int) (uint64, error) {
	req := getRequest{StartTime: &since, NextFor: LogSubject(l.bus.region, bucket), Batch: 1}
	for try := 0; ; try++ {
		found := false
		_, _, err := l.bus.getBatch(ctx, l.stream(bucket), req, func(s stored) error {
			first, found = min(first, s.sequence), true
			return nil
		})
		switch {
		case found || staleIsEnd && errors.Is(err, errNone):
			return first, nil
		case errors.Is(err, errClosed), errors.Is(err, errNone) && try >= tries:
			return 0, err
		}
		if perr := l.pause(ctx, try); perr != nil {
			return 0, fmt.Errorf("%w: %w", perr, err)
		}
	}
}

// read hands the bucket's entries from first to last, which must exist, to f, each once and in order. Reads may be stale or cut short: it
// goes on until last was seen. errNone says that last is not there any more, or not yet after so many tries.
func (l *Log) read(ctx context.Context, bucket int, first, last uint64, tries int, f func(seq uint64, e *pb.Entry) error) error {
	req := getRequest{Seq: first, NextFor: LogSubject(l.bus.region, bucket), Batch: batchMessages, MaxBytes: batchBytes}
	idle, beyond := 0, false
	for req.Seq <= last {
		var failed error
		before := req.Seq
		_, _, err := l.bus.getBatch(ctx, l.stream(bucket), req, func(s stored) error {
			if s.sequence < req.Seq || s.sequence > last {
				beyond = beyond || s.sequence > last
				return nil
			}
			e, err := decodeEntry(s.data)
			if err != nil {
				failed = fmt.Errorf("sequence %d: %w: %w", s.sequence, errUnreadable, err)
				return failed
			}
			e.TimeMs = s.at.UnixMilli() // the log's own time: the clocks of its writers may differ
			req.Seq = s.sequence + 1
			failed = f(s.sequence, e)
			return failed
		})
		switch {
		case failed != nil:
			return failed
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errClosed):
			return err
		case req.Seq > last:
			return nil
		case beyond:
			return errNone
		case req.Seq > before:
			idle = 0
			continue
		}
		if staleIsEnd {
			return nil
		}
		if idle++; idle > tries && errors.Is(err, errNone) {
			return err
		}
		if err := l.pause(ctx, idle-1); err != nil {
			return err
		}
	}
	return nil
}

const (
	readTries = 6 // how often an empty answer is taken for a stale one, over some 300 ms
	forEver   = math.MaxInt
)
