package relay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// rawStream reaches the hub's stream past the relay, as retention or an accident would.
func rawStream(t testing.TB, mesh *relaytest.Mesh) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	nc, err := nats.Connect(mesh.Hub.ClientURL(), nats.UserInfo("core", relaytest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(soon(t), "EV_local_0")
	if err != nil {
		t.Fatal(err)
	}
	return js, s
}

// The leaf's link is cut while Alice writes: nothing of it is ever republished to Bob. Then she falls silent.
func TestDigestFindsWhatWasNeverRepublished(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	link := relaytest.NewProxy(t, mesh.Hub.LeafURL())
	leaf := mesh.AddLeaf(t, link.URL)
	relaytest.Until(t, "the leaf joins", leaf.Connected)
	log := openLog(t, mesh.CoreBus(t))
	alice := takeOver(t, log, 5)
	digests(t, log, map[int]*relay.Writer{5: alice})
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 5)
	mustAppend(t, alice, "0")
	bob.hears(t, 5, 1)
	relaytest.Until(t, "Bob is at the digest", func() bool { return bob.Check() == nil })

	link.Cut()
	relaytest.Until(t, "the link is down", func() bool { return !leaf.Connected() && mesh.Hub.Leaves() == 0 })
	for i := 1; i < 600; i++ {
		mustAppend(t, alice, fmt.Sprint(i))
	}
	relaytest.Until(t, "Bob misses the digest", func() bool { return bob.Check() != nil })
	link.Mend()
	bob.hears(t, 5, 600)
	relaytest.Until(t, "Bob is at the digest again", func() bool { return bob.Check() == nil })
}

// As above with another entry after the loss and no digest: the predecessor tells.
func TestPredecessorTellsOfAGap(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	link := relaytest.NewProxy(t, mesh.Hub.LeafURL())
	leaf := mesh.AddLeaf(t, link.URL)
	relaytest.Until(t, "the leaf joins", leaf.Connected)
	alice := takeOver(t, openLog(t, mesh.CoreBus(t)), 5)
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 5)
	for round := range 3 {
		link.Cut()
		relaytest.Until(t, "the link is down", func() bool { return !leaf.Connected() && mesh.Hub.Leaves() == 0 })
		mustAppend(t, alice, fmt.Sprint(2*round))
		link.Mend()
		relaytest.Until(t, "the link is up", leaf.Connected)
		mustAppend(t, alice, fmt.Sprint(2*round+1))
		bob.hears(t, 5, 2*round+2)
	}
}

func TestPublishRightAfterFollowIsNotMissed(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log := openLog(t, mesh.CoreBus(t))
	bob := listen(t, mesh.EdgeBus(t, 0))
	for i := range 300 {
		bucket := i
		alice := takeOver(t, log, bucket)
		if i%2 == 0 {
			mustAppend(t, alice, "0")
		} else if err := bob.Follow(soon(t), bucket); err != nil { // before there is any entry with a text
			t.Fatal(err)
		}
		bob.follows(t, bucket)
		at := len(bob.heard(bucket))
		mustAppend(t, alice, "last")
		// No digest runs here, and Bob asks the log by himself only after 3 s: live must have brought it.
		start := time.Now()
		relaytest.Until(t, fmt.Sprintf("bucket %d", bucket), func() bool {
			texts := bob.heard(bucket)
			return len(texts) > at && texts[len(texts)-1] == "last"
		})
		if d := time.Since(start); d > 2*time.Second {
			t.Fatalf("bucket %d: took %s", bucket, d)
		}
	}
}

// Bob's callback blocks while Alice writes far more than his queue holds.
func TestSlowReaderCatchesUpFromTheLog(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log := openLog(t, mesh.CoreBus(t))
	alice, carol := takeOver(t, log, 5), takeOver(t, log, 6)
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 5, 6)
	relaytest.Until(t, "Bob has both take-overs", func() bool {
		bob.mu.Lock()
		defer bob.mu.Unlock()
		return bob.last[5] > 0 && bob.last[6] > 0
	})
	open := make(chan struct{})
	release := sync.OnceFunc(func() { close(open) })
	t.Cleanup(release)
	bob.mu.Lock()
	bob.block = open
	bob.mu.Unlock()
	before := counted(t, "starling_relay_repaired_entries_total")
	for i := range 1500 {
		mustAppend(t, alice, fmt.Sprint(i))
	}
	bob.mu.Lock()
	bob.block = nil
	bob.mu.Unlock()
	mustAppend(t, carol, "0")
	bob.hears(t, 6, 1) // Alice's bucket does not hold up Carol's
	release()
	bob.hears(t, 5, 1500)
	if n := counted(t, "starling_relay_repaired_entries_total") - before; n < 500 {
		t.Errorf("got %v repaired entries, want most of those beyond the queue", n)
	}
}

// The edge loses its connection to the leaf, the leaf is well.
func TestReconnectIsRepaired(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	wire := relaytest.NewProxy(t, mesh.Leaves[0].ClientURL())
	alice := takeOver(t, openLog(t, mesh.CoreBus(t)), 5)
	bus := relaytest.EdgeBus(t, wire.URL, "bob")
	bob := listen(t, bus)
	bob.follows(t, 5)
	for round := range 5 {
		wire.Cut()
		relaytest.Until(t, "Bob is cut off", func() bool { return !bus.Connected() })
		mustAppend(t, alice, fmt.Sprint(2*round))
		mustAppend(t, alice, fmt.Sprint(2*round+1))
		wire.Mend()
		bob.hears(t, 5, 2*round+2) // no digest, no further entry: the reconnect alone must do
	}
}

func TestHubRestart(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log := openLog(t, mesh.CoreBus(t))
	alice := takeOver(t, log, 5)
	digests(t, log, map[int]*relay.Writer{5: alice})
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 5)
	n := 0
	say := func() {
		mustAppend(t, alice, fmt.Sprint(n))
		n++
	}
	for range 20 {
		say()
	}
	for range 3 {
		mesh.StopHub()
		done := make(chan error, 1)
		text := fmt.Sprint(n)
		go func() {
			_, _, err := alice.Append(soon(t), says(text), 0)
			done <- err
		}()
		n++
		start := time.Now()
		mesh.StartHub(t)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("the hub took %s to start", d)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for range 20 {
			say()
		}
		bob.hears(t, 5, n)
	}
	relaytest.Until(t, "Bob is at the digest", func() bool { return bob.Check() == nil })
}

// Retention takes entries while Bob's leaf is cut off.
func TestAgedOutLog(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	link := relaytest.NewProxy(t, mesh.Hub.LeafURL())
	leaf := mesh.AddLeaf(t, link.URL)
	relaytest.Until(t, "the leaf joins", leaf.Connected)
	log := openLog(t, mesh.CoreBus(t))
	alice := takeOver(t, log, 5)
	digests(t, log, map[int]*relay.Writer{5: alice})
	_, stream := rawStream(t, mesh)
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 5)
	mustAppend(t, alice, "0")
	bob.hears(t, 5, 1)
	resets := func() int {
		bob.mu.Lock()
		defer bob.mu.Unlock()
		return bob.resets[5]
	}

	// All that Bob has is gone, but the counter proves that nothing is missing; Alice adopts the empty log.
	if err := stream.Purge(soon(t), jetstream.WithPurgeSubject("ev.local.5")); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, alice, "1")
	bob.hears(t, 5, 2)
	relaytest.Until(t, "Bob is at the digest", func() bool { return bob.Check() == nil })
	if n := resets(); n != 0 {
		t.Fatalf("got %d resets, want none yet", n)
	}

	// Entries are gone that Bob never saw.
	link.Cut()
	relaytest.Until(t, "the link is down", func() bool { return !leaf.Connected() && mesh.Hub.Leaves() == 0 })
	mustAppend(t, alice, "lost")
	if err := stream.Purge(soon(t), jetstream.WithPurgeSubject("ev.local.5")); err != nil {
		t.Fatal(err)
	}
	link.Mend()
	relaytest.Until(t, "Bob begins anew", func() bool { return resets() == 1 })
	relaytest.Until(t, "Bob is at the digest", func() bool { return bob.Check() == nil })
	mustAppend(t, alice, "2")
	bob.hears(t, 5, 3)
	if n := resets(); n != 1 {
		t.Fatalf("got %d resets, want 1", n)
	}

	// Cathy begins when the log is empty but the owner has a position.
	if err := stream.Purge(soon(t), jetstream.WithPurgeSubject("ev.local.5")); err != nil {
		t.Fatal(err)
	}
	cathy := listen(t, mesh.EdgeBus(t, 0))
	cathy.follows(t, 5)
	relaytest.Until(t, "Cathy is at the digest", func() bool { return cathy.Check() == nil })
	mustAppend(t, alice, "0")
	cathy.hears(t, 5, 1)
	cathy.mu.Lock()
	defer cathy.mu.Unlock()
	if cathy.resets[5] != 0 {
		t.Fatalf("got %d resets, want none", cathy.resets[5])
	}
}

// The hub loses its disk: the log begins anew, above all old sequences, and everybody notices.
func TestLogMadeAnew(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log := openLog(t, mesh.CoreBus(t))
	late := openLog(t, mesh.CoreBus(t))
	alice := takeOver(t, log, 5)
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 5)
	seq := mustAppend(t, alice, "0")
	bob.hears(t, 5, 1)
	js, _ := rawStream(t, mesh)
	if err := js.DeleteStream(soon(t), "EV_local_0"); err != nil {
		t.Fatal(err)
	}
	anew := openLog(t, mesh.CoreBus(t))
	if anew.Incarnation() == log.Incarnation() {
		t.Fatal("the same incarnation")
	}
	if _, _, err := alice.Append(soon(t), says("stale"), 0); !errors.Is(err, relay.ErrRemade) {
		t.Fatalf("got %v, want ErrRemade", err)
	}
	// An empty bucket looks the same in both logs. Who has not noticed owns nothing in the new one, and learns it without a lost connection.
	if _, err := late.TakeOver(soon(t), 6, relay.Position{}, time.Time{}, nil); !errors.Is(err, relay.ErrRemade) {
		t.Fatalf("take-over: got %v, want ErrRemade", err)
	}
	if err := late.RunDigest(soon(t), "late", func() *pb.Digest { return &pb.Digest{} }); !errors.Is(err, relay.ErrRemade) {
		t.Fatalf("digest: got %v, want ErrRemade", err)
	}
	if at := takeOver(t, anew, 6).Position(); at.Epoch != 1 {
		t.Errorf("got epoch %d: somebody of the log before is in the new one", at.Epoch)
	}
	w, err := anew.TakeOver(soon(t), 5, alice.Position(), time.Time{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	digests(t, anew, map[int]*relay.Writer{5: w})
	if next := mustAppend(t, w, "1"); next <= seq {
		t.Fatalf("got sequence %d after %d", next, seq)
	}
	relaytest.Until(t, "Bob begins anew", func() bool {
		bob.mu.Lock()
		defer bob.mu.Unlock()
		return bob.resets[5] == 1
	})
	bob.hears(t, 5, 2)
	relaytest.Until(t, "Bob is at the digest", func() bool { return bob.Check() == nil })
}

func TestSeveralStreams(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log, err := relay.OpenLog(soon(t), mesh.CoreBus(t), 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := relay.OpenLog(soon(t), mesh.CoreBus(t), 2); err == nil {
		t.Fatal("another number of streams was accepted")
	}
	bob := listen(t, mesh.EdgeBus(t, 0))
	for bucket := range 8 {
		alice := takeOver(t, log, bucket)
		mustAppend(t, alice, "0")
		bob.follows(t, bucket)
		mustAppend(t, alice, "1")
		bob.hears(t, bucket, 2)
	}
	tails, err := log.Tails(soon(t))
	if err != nil || len(tails) != 8 {
		t.Fatalf("got tails %v, %v", tails, err)
	}
}

func TestFollowAllBucketsAndLetGo(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log := openLog(t, mesh.CoreBus(t))
	bus := mesh.EdgeBus(t, 0)
	reader := relay.NewReader(bus, relay.ReaderConfig{Linger: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reader.Run(ctx) }()
	takeOver(t, log, 1)
	start := time.Now()
	errs := make(chan error)
	for b := range proto.Buckets {
		go func() { errs <- reader.Follow(soon(t), b) }()
	}
	for range proto.Buckets {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("1024 follows at once: %s", time.Since(start))
	if reader.Check() != nil {
		t.Log("no digests run here, so buckets may be silent:", reader.Check())
	}
	for b := range proto.Buckets {
		reader.Release(b)
	}
	relaytest.Until(t, "all are let go", func() bool { return reader.Followed() == 0 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := reader.Follow(soon(t), 1); err == nil {
		t.Fatal("followed after the end")
	}
}

// Bob lets a bucket go while an entry of it is being applied, and wants it again when nobody has wanted it for a while. Its calls still come one at
// a time.
func TestBucketIsNotForgottenAmidACall(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	alice := takeOver(t, openLog(t, mesh.CoreBus(t)), 5)
	applying, goOn := make(chan struct{}), make(chan struct{})
	var busy atomic.Bool
	reader := relay.NewReader(mesh.EdgeBus(t, 0), relay.ReaderConfig{
		OnStart: func(bucket int, _ uint64) {
			if bucket == 5 && busy.Load() {
				t.Error("the bucket begins anew while an entry is being applied")
			}
		},
		OnEntry: func(_ int, _ uint64, e *pb.Entry) {
			if len(e.Events) > 0 && busy.CompareAndSwap(false, true) {
				close(applying)
				<-goOn
			}
		},
		Linger: time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reader.Run(ctx) }()
	follow := func(bucket int) {
		t.Helper()
		if err := reader.Follow(soon(t), bucket); err != nil {
			t.Error(err)
		}
	}
	follow(5)
	mustAppend(t, alice, "0")
	<-applying
	reader.Release(5)
	for _, other := range []int{6, 7} { // once the second is gone the reader has looked at all of them
		follow(other)
		reader.Release(other)
		relaytest.Until(t, "the other is let go", func() bool { return reader.Followed() < 2 })
	}
	follow(5) // it is here still
	close(goOn)
	reader.Release(5)
	relaytest.Until(t, "all are let go", func() bool { return reader.Followed() == 0 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
