package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

// Since hands the entries of a bucket with events that are not older than a time to f, in order and once each, as far as they are stored now.
// It fences nobody: it is for whoever is to own the bucket soon.
func (l *Log) Since(ctx context.Context, bucket int, since time.Time, f func(seq uint64, e *pb.Entry) error) error {
	last, _, err := l.lastEntry(ctx, bucket)
	if errors.Is(err, errNone) {
		return nil
	}
	if err == nil && last.at.Before(since) {
		return nil
	}
	if err == nil {
		var first uint64
		if first, err = l.firstSince(ctx, bucket, last.sequence, since, readTries); err == nil {
			err = l.read(ctx, bucket, first, last.sequence, readTries, func(seq uint64, e *pb.Entry) error {
				if len(e.Events) == 0 {
					return nil
				}
				return f(seq, e)
			})
		}
	}
	if err != nil {
		return fmt.Errorf("bucket %d: entries since %s: %w", bucket, since.Format(time.TimeOnly), err)
	}
	return nil
}
