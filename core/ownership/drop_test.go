package ownership_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Two buckets are taken from a core: that it cannot let go of the first yet does not keep it from seeing to the second.
func TestDropOfAStuckBucket(t *testing.T) {
	w := newWorld(t)
	const stuck, other = 5, 6
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	gate := func(bucket int) {
		if bucket != stuck {
			return
		}
		select {
		case asked <- struct{}{}:
		default:
		}
		<-answer
	}
	w.dir.gate.Store(&gate)
	open := sync.OnceFunc(func() { close(answer) })
	a := w.start("core-a")
	t.Cleanup(open)
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	t.Cleanup(func() { cancel(); parts.Wait() })
	parts.Go(func() { // starts the take-over, and may fail
		_, _ = w.front.Do(ctx, &pb.Command{Id: make([]byte, 16), Kind: core.KindTyping, Bucket: stuck})
	})
	<-asked

	records, err := relay.OpenRecords(ctx, a.bus, "OWNERS")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	known := map[string]relay.Record{}
	parts.Go(func() {
		_ = records.Watch(ctx, func(r relay.Record) {
			mu.Lock()
			defer mu.Unlock()
			known[r.Key] = r
		})
	})
	revision := func(n int) uint64 {
		mu.Lock()
		defer mu.Unlock()
		return known[strconv.Itoa(n)].Revision
	}
	body, err := gproto.Marshal(&pb.Owner{Core: "core-x", Boot: 1}) // is never heard: it is dead
	if err != nil {
		t.Fatal(err)
	}
	take := func(n int) (at uint64) {
		relaytest.Until(t, "the record", func() bool { return revision(n) != 0 })
		at, err := records.Put(ctx, strconv.Itoa(n), body, revision(n))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	take(stuck)
	relaytest.Until(t, "it lets go of the first", func() bool { return !a.claims.Place(stuck).Mine })
	at := take(other)
	relaytest.Until(t, "the second is its own again", func() bool { return revision(other) > at && a.claims.Place(other).Mine })
	open()
	relaytest.Until(t, "so is the first", func() bool { return a.claims.Place(stuck).Mine })
}
