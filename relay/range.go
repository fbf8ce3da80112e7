package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

var errRead = errors.New("all is read")

// ErrAged says that the log does not hold any more what is asked for.
var ErrAged = errors.New("the log does not reach back")

// Range reads a bucket's entries above from up to and including to, in order. The bucket has to have an entry at to or behind it, unless to is not
// above from: where a reader began is mostly just before an entry.
// Replicas may be behind, and hubs away: it asks until it has come to the end, or ctx ends. An error of f ends it.
func (r *Reader) Range(ctx context.Context, bucket int, from, to uint64, f func(seq uint64, e *pb.Entry) error) error {
	if from >= to {
		return nil
	}
	followed, list, at := r.recent(bucket, from, to)
	counter := uint64(0)
	for _, l := range list {
		if err := f(l.sequence, l.entry); err != nil {
			return fmt.Errorf("bucket %d: entry %d: %w", bucket, l.sequence, err)
		}
		counter = l.entry.Counter
	}
	var read []logged
	for try := 0; at < to; try++ {
		if try > 0 {
			if err := pause(ctx, try-1); err != nil {
				return fmt.Errorf("bucket %d: at %d of %d: %w", bucket, at, to, err)
			}
		}
		stream, err := r.streamOf(ctx, bucket)
		if err != nil {
			continue
		}
		var failed error
		req := getRequest{Seq: at + 1, NextFor: LogSubject(r.bus.region, bucket), Batch: batchMessages, MaxBytes: batchBytes}
		_, _, _ = r.bus.getBatch(ctx, stream, req, func(s stored) error { // cut short or empty: the position tells, and it asks again
			if s.sequence <= at {
				return nil
			}
			e, err := decodeEntry(s.data)
			switch {
			case err != nil:
				failed = err
			case counter != 0 && e.Counter != counter+1:
				failed = fmt.Errorf("number %d after %d: %w", e.Counter, counter, ErrAged)
			case s.sequence > to: // an answer has no holes: there is nothing between
				at = to
				return errRead
			default:
				failed = f(s.sequence, e)
			}
			if failed != nil {
				failed = fmt.Errorf("bucket %d: entry %d: %w", bucket, s.sequence, failed)
				return failed
			}
			if followed != nil && len(read) < wantedEntries {
				read = append(read, logged{s.sequence, e})
			}
			at, counter, try = s.sequence, e.Counter, -1
			return nil
		})
		if failed != nil {
			return failed
		}
	}
	if len(read) > 0 && len(list) == 0 && len(read) < wantedEntries {
		followed.mu.Lock()
		followed.recent.extend(from, to, read)
		followed.mu.Unlock()
	}
	return nil
}

// recent is what a bucket that is followed has of a part of the log, which may be its beginning: all up to and including reached. From now on it keeps more.
func (r *Reader) recent(bucket int, from, to uint64) (f *follow, list []logged, reached uint64) {
	r.mu.Lock()
	f = r.buckets[bucket]
	r.mu.Unlock()
	if f == nil {
		return nil, nil, from
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent.wanted = time.Now()
	list, reached = f.recent.between(from, to)
	return f, list, reached
}
