package edge

import (
	"context"
	"sync"

	"github.com/starling-chat/starling/proto/pb"
)

// A logReader hands the entries of followed buckets to the loop: each once, and in the order of its bucket. relay.Reader is one.
type logReader interface {
	// Follow returns once everything stored in the bucket from now on will reach the loop. Each success owes one Release.
	Follow(ctx context.Context, bucket int) error
	Release(bucket int)
	// Range reads a bucket's entries above from, up to and including to.
	Range(ctx context.Context, bucket int, from, to uint64, f func(seq uint64, e *pb.Entry) error) error
}

// An interest counts who needs which bucket, so that one can ask whether a bucket is followed already. Any goroutine may call it.
type interest struct {
	reader logReader
	mu     sync.Mutex
	held   map[int]int
}

func newInterest(r logReader) *interest { return &interest{reader: r, held: map[int]int{}} }

// has tells whether the bucket is followed: everything stored in it reaches the loop.
func (in *interest) has(bucket int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.held[bucket] > 0
}

// follow returns once everything stored in the bucket from now on will reach the loop. Each success owes one release.
func (in *interest) follow(ctx context.Context, bucket int) error {
	if err := in.reader.Follow(ctx, bucket); err != nil {
		return err
	}
	in.mu.Lock()
	in.held[bucket]++
	in.mu.Unlock()
	return nil
}

func (in *interest) release(bucket int) {
	in.mu.Lock()
	if in.held[bucket]--; in.held[bucket] == 0 {
		delete(in.held, bucket)
	}
	in.mu.Unlock()
	in.reader.Release(bucket)
}
