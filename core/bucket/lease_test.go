package bucket

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Whoever waits for a bucket to be taken over waits no longer once it is let go.
func TestTakenOfABucketLetGo(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	if err := o.slots.Acquire(t.Context(), takeOvers); err != nil { // no take-over comes to anything
		t.Fatal(err)
	}
	defer o.slots.Release(takeOvers)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	const n = 7
	o.buckets[n].start()
	waited := make(chan error, 1)
	go func() { waited <- o.Taken(ctx, n) }()
	o.Release(n)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// Commands that come while the owner stops are all refused, whichever run of the bucket's goroutine finds them.
func TestRefusedAtTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := &Owner{cfg: Config{Now: time.Now}, log: slog.New(slog.DiscardHandler), ctx: ctx}
	b := newBucket(o, 0)
	b.lease = &lease{ctx: ctx, end: cancel}
	const senders, each = 8, 500
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				b.enqueue(&call{reply: func([]byte) { refused.Add(1) }})
			}
		})
	}
	wg.Wait()
	o.wg.Wait()
	if got := refused.Load(); got != senders*each {
		t.Errorf("got %d refused, want %d", got, senders*each)
	}
}

// A bucket is let go and comes back while its outbox still waits for the directory's word on what is owed: that is sent nevertheless.
func TestOutboxOverLeases(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	n := h.guild.Bucket()
	b := o.buckets[n]
	idle := func() bool {
		b.outbox.mu.Lock()
		defer b.outbox.mu.Unlock()
		return !b.outbox.running
	}
	relaytest.Until(t, "nothing is owed", idle)
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	w.dir.mu.Lock()
	w.dir.gate = func(bucket int) {
		if bucket != n {
			return
		}
		select {
		case asked <- struct{}{}:
		default:
		}
		<-answer
	}
	w.dir.mu.Unlock()
	h.join(bob)
	<-asked
	o.Release(n)
	o.Claim(n, true)
	relaytest.Until(t, "it came back", func() bool { return b.phase.Load() == phaseOwned })
	w.dir.mu.Lock()
	w.dir.gate = nil
	w.dir.mu.Unlock()
	close(answer)
	relaytest.Until(t, "bob's bucket knows", func() bool {
		ids, err := w.dir.GuildsOf(t.Context(), bob)
		return err == nil && slices.Equal(ids, []proto.ID{h.guild})
	})
}

// An effect waits at an owner that lets the bucket go: whoever has it next is asked again, and nothing is forgotten.
func TestOutboxOverMoves(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	n := bob.Bucket()
	o.Release(n) // its commands still come here
	h.join(bob)
	waiting := func() int {
		b := o.buckets[n]
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.queue)
	}
	relaytest.Until(t, "the effect waits at bob's bucket", func() bool { return waiting() > 0 })
	o.Dismiss(n)
	o.Claim(n, true)
	if err := o.Serve(n); err != nil {
		t.Fatal(err)
	}
	relaytest.Until(t, "bob's bucket knows", func() bool {
		ids, err := w.dir.GuildsOf(t.Context(), bob)
		return err == nil && slices.Equal(ids, []proto.ID{h.guild})
	})
}

// A command from within the process is taken as long as the bucket is the owner's, and answered as one that came over the bus.
func TestNear(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	n := alice.Bucket()
	raw, err := protobuf.Marshal(&pb.Command{Id: newCommandID(), Kind: core.KindSnapshotUser, Target: uint64(alice), Bucket: uint32(n),
		DeadlineMs: time.Now().Add(10 * time.Second).UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan []byte, 1)
	near := func(n int) bool { return o.Near(n, raw, func(b []byte) { answers <- b }) }
	if !near(n) {
		t.Fatal("a bucket that is the owner's is not near")
	}
	r := &pb.Result{}
	if err := protobuf.Unmarshal(<-answers, r); err != nil || r.Status != 200 {
		t.Errorf("got %v, %v", r, err)
	}
	o.Release(n)
	o.Dismiss(n)
	for _, n := range []int{n, -1, proto.Buckets} {
		if near(n) {
			t.Errorf("bucket %d is near", n)
		}
	}
}
