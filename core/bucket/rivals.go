package bucket

import (
	"context"
	"sync"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	rivalDead = 3 * time.Second // without a digest that claims it, a lost bucket is nobody's
	rivalLook = 250 * time.Millisecond
)

// rivals remembers when another owner last claimed each bucket in its digest. An owner that lost a bucket keeps its hands off while the
// other lives: taking over by turns, each would only undo the other. Any goroutine may call it.
type rivals struct {
	mu      sync.Mutex
	claimed [proto.Buckets]time.Time
}

func newRivals() *rivals { return &rivals{} }

// listen follows the digests of others.
func (r *rivals) listen(o *Owner) (stop func(), err error) {
	return o.cfg.Bus.Subscribe(relay.DigestSubject(o.cfg.Region), func(_ string, body []byte) {
		var d pb.Digest
		if protobuf.Unmarshal(body, &d) == nil && d.Owner != o.label {
			r.digest(&d, time.Now())
		}
	})
}

// digest notes the buckets that have entries. Those that are claimed as empty nobody has lost.
func (r *rivals) digest(d *pb.Digest, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range d.Positions {
		if p.Bucket < proto.Buckets {
			r.claimed[p.Bucket] = at
		}
	}
}

// alive tells whether somebody else claimed the bucket of late.
func (r *rivals) alive(bucket int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.claimed[bucket]) < rivalDead
}

// standBy waits, after the bucket was lost, until its new owner is gone. What is asked meanwhile is for the other to answer; answering
// "try again" beside it would only hide its answer.
func (b *bucket) standBy(ctx context.Context) {
	lost := time.Now()
	for sleep(ctx, rivalLook) {
		for c := b.pop(); c != nil; c = b.pop() {
			refusedTotal.WithLabelValues("lost").Inc()
		}
		for _, f := range b.takeTasks() {
			f(ctx)
		}
		if time.Since(lost) >= rivalDead && !b.o.rivals.alive(b.n) { // its first digest may be on its way
			b.log.Info("taking back a bucket whose owner is gone")
			return
		}
	}
}
