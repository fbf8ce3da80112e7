package relay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// counted reads a counter of this process without labels.
func counted(t testing.TB, name string, label ...string) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			sum := 0.0
			for _, m := range f.GetMetric() {
				if len(label) > 0 && m.GetLabel()[0].GetValue() != label[0] {
					continue
				}
				sum += m.GetCounter().GetValue()
			}
			return sum
		}
	}
	return 0
}

// logged reads a bucket's texts from its log.
func logged(t testing.TB, l *relay.Log, bucket int) []string {
	t.Helper()
	var texts []string
	_, err := l.TakeOver(soon(t), bucket, relay.Position{}, time.Time{}, func(_ uint64, e *pb.Entry) error {
		for _, ev := range e.Events {
			texts = append(texts, string(ev.Body))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// Alice pauses, Bob takes her bucket over: nothing that Alice still writes may get in.
func TestStaleOwnerIsRefused(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	log := openLog(t, mesh.CoreBus(t))
	alice := takeOver(t, log, 3)
	mustAppend(t, alice, "0")
	bob := takeOver(t, openLog(t, mesh.CoreBus(t)), 3)
	if a, b := alice.Position(), bob.Position(); b.Epoch <= a.Epoch || b.Counter != a.Counter+1 {
		t.Fatalf("got Bob at %+v after Alice at %+v", b, a)
	}
	for range 2 {
		if _, _, err := alice.Append(soon(t), says("stale"), 0); !errors.Is(err, relay.ErrSuperseded) {
			t.Fatalf("Alice appends: got %v, want ErrSuperseded", err)
		}
	}
	mustAppend(t, bob, "1")
	if got := fmt.Sprint(logged(t, log, 3)); got != "[0 1]" {
		t.Fatalf("log: got %s, want [0 1]", got)
	}
}

// The hub stores what Alice appends, but its answers are lost and the connection with them.
func TestUnknownOutcomeIsRepeatedOnce(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	proxy := relaytest.NewProxy(t, mesh.Hub.ClientURL())
	log := openLog(t, relaytest.Bus(t, proxy.URL, "alice"))
	alice := takeOver(t, log, 3)
	watch := openLog(t, mesh.CoreBus(t))
	for i := range 5 {
		before := alice.Position()
		proxy.Mute()
		done := make(chan error, 1)
		go func() {
			_, _, err := alice.Append(soon(t), says(fmt.Sprint(i)), 0)
			done <- err
		}()
		relaytest.Until(t, "the hub has stored it", func() bool {
			tails, err := watch.Tails(soon(t))
			return err == nil && tails[3] > before.Sequence
		})
		proxy.Cut()
		proxy.Mend()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if at := alice.Position(); at.Counter != before.Counter+1 {
			t.Fatalf("got counter %d after %d", at.Counter, before.Counter)
		}
	}
	if n := counted(t, "starling_relay_append_repeats_total"); n < 5 {
		t.Errorf("got %v repeats, want at least 5", n)
	}
	if got := fmt.Sprint(logged(t, log, 3)); got != "[0 1 2 3 4]" {
		t.Fatalf("log: got %s, want each once", got)
	}
}

// Alice's answer is lost, and before she can repeat, Bob takes over: she must learn that hers is in the log, or that she is superseded.
func TestUnknownOutcomeThenTakenOver(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	proxy := relaytest.NewProxy(t, mesh.Hub.ClientURL())
	log := openLog(t, relaytest.Bus(t, proxy.URL, "alice"))
	alice := takeOver(t, log, 3)
	before := alice.Position()
	watch := openLog(t, mesh.CoreBus(t))
	proxy.Mute()
	done := make(chan error, 1)
	go func() {
		_, _, err := alice.Append(soon(t), says("0"), 0)
		done <- err
	}()
	relaytest.Until(t, "the hub has stored it", func() bool {
		tails, err := watch.Tails(soon(t))
		return err == nil && tails[3] > before.Sequence
	})
	takeOver(t, watch, 3)
	proxy.Cut()
	proxy.Mend()
	if err := <-done; err != nil {
		t.Fatalf("got %v: the entry is in the log, before the take-over", err)
	}
	if _, _, err := alice.Append(soon(t), says("1"), 0); !errors.Is(err, relay.ErrSuperseded) {
		t.Fatalf("got %v, want ErrSuperseded", err)
	}
}

func TestAppendGivesUpWithItsContext(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	alice := takeOver(t, openLog(t, mesh.CoreBus(t)), 3)
	mesh.StopHub()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := alice.Append(ctx, says("0"), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the deadline", err)
	}
	if _, _, err := alice.Append(soon(t), says("1"), 0); err == nil {
		t.Fatal("a writer with an unknown outcome went on")
	}
	mesh.StartHub(t)
	bus := mesh.CoreBus(t)
	bob := takeOver(t, openLog(t, bus), 4)
	mesh.StopHub()
	done := make(chan error, 1)
	go func() {
		_, _, err := bob.Append(context.Background(), says("2"), 0)
		done <- err
	}()
	bus.Close()
	if err := <-done; err == nil {
		t.Fatal("appended over a closed bus")
	}
}

func TestEntryAtTheLimit(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log := openLog(t, mesh.CoreBus(t))
	alice := takeOver(t, log, 3)
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 3)
	event := &pb.Event{Type: "MESSAGE_CREATE", Body: make([]byte, relay.EventRoom)}
	event.Body = event.Body[:relay.EventRoom-(relay.Weight(event)-relay.EventRoom)]
	if w := relay.Weight(event); w != relay.EventRoom {
		t.Fatalf("got weight %d, want %d", w, relay.EventRoom)
	}
	if _, _, err := alice.Append(soon(t), []*pb.Event{event}, 1<<62); err != nil {
		t.Fatal(err)
	}
	if _, _, err := alice.Append(soon(t), []*pb.Event{event, event}, 0); !errors.Is(err, relay.ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
	mustAppend(t, alice, "on it goes")
	relaytest.Until(t, "Bob hears both", func() bool { return len(bob.heard(3)) == 2 })
}

func TestTakeOverReplaysInOrderOnce(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	log := openLog(t, mesh.CoreBus(t))
	alice := takeOver(t, log, 3)
	var seqs []uint64
	for i := range 700 { // more than two batches
		seqs = append(seqs, mustAppend(t, alice, fmt.Sprint(i)))
	}
	at := alice.Position()
	for _, c := range []struct {
		name  string
		from  relay.Position
		since time.Time
		first int
	}{
		{"everything", relay.Position{}, time.Time{}, 0},
		{"from the checkpoint", relay.Position{Sequence: seqs[499], Counter: 501}, time.Time{}, 500},
		{"since earlier than the checkpoint", relay.Position{Sequence: seqs[499], Counter: 501}, time.Now().Add(-time.Hour), 0},
		{"since later than the checkpoint", relay.Position{Sequence: seqs[499], Counter: 501}, time.Now().Add(time.Hour), 500},
		{"nothing", relay.Position{Sequence: seqs[699], Counter: 701, Epoch: 40, LastID: 99}, time.Time{}, 700},
	} {
		next := c.first
		w, err := log.TakeOver(soon(t), 3, c.from, c.since, func(seq uint64, e *pb.Entry) error {
			if seq != seqs[next] || string(e.Events[0].Body) != fmt.Sprint(next) {
				t.Fatalf("%s: got entry %d %q, want %d", c.name, seq, e.Events[0].Body, next)
			}
			next++
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if next != 700 {
			t.Errorf("%s: got %d entries, want up to 700", c.name, next)
		}
		if got := w.Position(); got.Epoch <= max(at.Epoch, c.from.Epoch) || got.Counter != at.Counter+1 || got.LastID < c.from.LastID {
			t.Errorf("%s: got %+v after %+v and %+v", c.name, got, at, c.from)
		}
		at = w.Position()
	}
}

// The store has applied entries that the log has lost: what comes next must be above them.
func TestLogThatLostItsTail(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	log := openLog(t, mesh.CoreBus(t))
	at := takeOver(t, log, 3).Position()
	at.Sequence += 300
	at.Counter += 9
	w, err := log.TakeOver(soon(t), 3, at, time.Time{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Position(); got.Sequence <= at.Sequence || got.Counter <= at.Counter || got.Epoch <= at.Epoch {
		t.Fatalf("got %+v after %+v", got, at)
	}
	mustAppend(t, w, "0")
	at.Sequence += 1 << 30
	if _, err := log.TakeOver(soon(t), 3, at, time.Time{}, nil); !errors.Is(err, relay.ErrLogBehind) {
		t.Fatalf("got %v, want ErrLogBehind", err)
	}
}

// Many start at once; each bucket has exactly one owner in the end.
func TestTakeOverRace(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	var writers [6]*relay.Writer
	var done sync.WaitGroup
	for i := range writers {
		log := openLog(t, mesh.CoreBus(t))
		done.Go(func() {
			w, err := log.TakeOver(soon(t), 3, relay.Position{}, time.Time{}, nil)
			if err != nil {
				t.Error(err)
			}
			writers[i] = w
		})
	}
	done.Wait()
	owners, epochs := 0, map[uint64]bool{}
	for _, w := range writers {
		epochs[w.Position().Epoch] = true
		if _, _, err := w.Append(soon(t), says("x"), 0); err == nil {
			owners++
		} else if !errors.Is(err, relay.ErrSuperseded) {
			t.Error(err)
		}
	}
	if owners != 1 || len(epochs) != len(writers) {
		t.Fatalf("got %d owners and %d epochs of %d", owners, len(epochs), len(writers))
	}
}

func TestStartTakesBucketsOverAtOnce(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	bus := mesh.CoreBus(t)
	log := openLog(t, bus)
	const buckets = 300
	all := func() time.Duration {
		start := time.Now()
		var done sync.WaitGroup
		for b := range buckets {
			done.Go(func() {
				if _, err := log.TakeOver(soon(t), b, relay.Position{}, time.Now().Add(-time.Minute), nil); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
		return time.Since(start)
	}
	first, second := all(), all()
	t.Logf("%d take-overs at once: %s on an empty log, %s on a used one", buckets, first, second)
	tails, err := log.Tails(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(tails) != buckets {
		t.Fatalf("got %d tails, want %d", len(tails), buckets)
	}
}
