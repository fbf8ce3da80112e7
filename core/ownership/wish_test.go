package ownership_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// An operator moves a bucket to a core that falls silent: this one stops without waiting for its word, and then moves nothing more.
func TestStopDuringAMove(t *testing.T) {
	w := newWorld(t)
	a := w.start("core-a")
	s := w.write(4)
	s.more(50)
	s.check()
	used := map[int]bool{}
	for id := range s.born {
		used[id.Bucket()] = true
	}

	x := w.mesh.CoreBus(t)
	var bucket atomic.Int64 // of which x says nothing; it wants no other
	bucket.Store(-1)
	asked, over := make(chan struct{}, 1), make(chan struct{})
	stop, err := x.Serve(relay.MoveSubject(relaytest.Region, "core-x"), "", 8, func(_ context.Context, body []byte) []byte {
		var call pb.MoveCall
		if err := gproto.Unmarshal(body, &call); err != nil {
			t.Error(err)
		}
		if int64(call.Bucket) == bucket.Load() {
			asked <- struct{}{}
			<-over
		}
		no, _ := gproto.Marshal(&pb.MoveAnswer{Error: "not wanted"})
		return no
	})
	if err != nil {
		t.Fatal(err)
	}
	beat, err := gproto.Marshal(&pb.CoreBeat{Core: "core-x", Boot: 1})
	if err != nil {
		t.Fatal(err)
	}
	var beats sync.WaitGroup
	t.Cleanup(func() { close(over); beats.Wait(); stop() })
	beats.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			_ = x.Publish(relay.CoreBeatSubject(relaytest.Region), beat)
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	})
	relaytest.Until(t, "a hears x", func() bool { return len(a.claims.Status().Cores) == 1 })
	for n := range used {
		if p := a.claims.Place(n); p.Mine && p.Wanted == "core-a" { // so that it does not go there by itself
			bucket.Store(int64(n))
		}
	}
	n := int(bucket.Load())
	relaytest.Until(t, "the move begins", func() bool { return a.claims.Move(t.Context(), n, "core-x") == nil })
	<-asked
	begun := time.Now()
	a.stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it stopped after %s", took)
	}
	if err := a.claims.Move(t.Context(), n, "core-x"); err == nil {
		t.Error("a core that has stopped moves a bucket")
	}
}
