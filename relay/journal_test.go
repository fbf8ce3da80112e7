package relay_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// runs runs a part until the test ends, or stop is called.
func runs(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func openJournals(t testing.TB, bus *relay.Bus) *relay.JournalReader {
	t.Helper()
	r, err := relay.OpenJournals(soon(t), bus)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, r.Run)
	return r
}

func openJournal(t testing.TB, bus *relay.Bus, edge string) *relay.Journal {
	t.Helper()
	j := relay.OpenJournal(bus, edge)
	runs(t, j.Run)
	return j
}

// event numbers one event of bucket 5; its sequence is ten times the index.
func event(index int64) *pb.JournalRecord {
	return &pb.JournalRecord{To: index, Events: []*pb.JournalEvent{{Index: index, Bucket: 5, Sequence: uint64(10 * index)}}}
}

// follows begins to follow bucket 5.
func follows() *pb.JournalRecord {
	return &pb.JournalRecord{Snapshot: &pb.JournalSnapshot{}, Starts: []*pb.JournalStart{{Bucket: 5, Sequence: 3}}}
}

func write(t testing.TB, j *relay.Journal, records ...*pb.JournalRecord) {
	t.Helper()
	for _, r := range records {
		if err := j.Write(soon(t), r); err != nil {
			t.Fatal(err)
		}
	}
}

// stands waits until a reader knows where who has everything up to an index is in bucket 5, and compares.
func stands(t testing.TB, r *relay.JournalReader, edge string, boot uint64, index int64, sequence uint64) {
	t.Helper()
	var at journal.Found
	relaytest.Until(t, fmt.Sprintf("%s is known at %d", edge, index), func() bool {
		x, err := r.Index(soon(t), edge, boot)
		if err != nil {
			return false
		}
		at = x.At(index, 1, nil)
		return at.Status == journal.Known
	})
	if len(at.Positions) != 1 || at.Positions[0].Sequence != sequence {
		t.Errorf("%s at %d: got %v, want sequence %d", edge, index, at.Positions, sequence)
	}
}

// What an edge writes any core reads: what is acknowledged at once, through another leaf's edge or not, of each boot apart.
func TestJournal(t *testing.T) {
	m := relaytest.Start(t, 2)
	one, two := openJournals(t, m.CoreBus(t)), openJournals(t, m.CoreBus(t))
	bus := m.EdgeBus(t, 0)
	j, other := openJournal(t, bus, "edge-0"), openJournal(t, m.EdgeBus(t, 1), "edge-1")
	write(t, other, follows(), event(1))
	write(t, j, &pb.JournalRecord{To: 7, Snapshot: &pb.JournalSnapshot{Buckets: []uint32{5}, Sequences: []uint64{3}}})
	for i := int64(8); i <= 20; i++ {
		write(t, j, event(i))
		if i%6 == 0 {
			if err := j.WaitAcked(soon(t), i); err != nil {
				t.Fatal(err)
			}
			if got := j.Acked(); got != i {
				t.Fatalf("acknowledged up to %d, want %d", got, i)
			}
			x, err := one.Index(soon(t), "edge-0", j.Boot()) // no waiting: what is acknowledged is read
			if err != nil {
				t.Fatal(err)
			}
			if at := x.At(i, 1, nil); at.Status != journal.Known || at.Positions[0].Sequence != uint64(10*i) {
				t.Fatalf("at %d: got %+v", i, at)
			}
		}
	}
	relaytest.Until(t, "all is acknowledged", func() bool { return j.Acked() == 20 && j.Oldest() == 0 })
	stands(t, two, "edge-0", j.Boot(), 7, 4)
	stands(t, two, "edge-0", j.Boot(), 13, 130)
	stands(t, two, "edge-1", other.Boot(), 1, 10)

	again := openJournal(t, bus, "edge-0") // started anew on the same connection
	if again.Boot() <= j.Boot() {
		t.Errorf("boot %d after %d", again.Boot(), j.Boot())
	}
	write(t, again, follows(), event(1))
	stands(t, one, "edge-0", again.Boot(), 1, 10)
	stands(t, one, "edge-0", j.Boot(), 20, 200)
	x, err := one.Index(soon(t), "edge-0", 12345)
	if err != nil || x.At(0, 1, nil).Status != journal.Gone {
		t.Errorf("of a boot that never was: got %+v, %v", x.At(0, 1, nil), err)
	}
	if _, err := one.Index(soon(t), "edge.*", 1); err == nil {
		t.Error("a name that is no name is asked for")
	}
	if err := again.Write(soon(t), &pb.JournalRecord{To: 0}); err == nil {
		t.Error("a record that goes back is written")
	}
}

// A start or a snapshot takes no index; to wait for its index is to wait for it.
func TestJournalWaitsForWhatTakesNoIndex(t *testing.T) {
	m := relaytest.Start(t, 1)
	r := openJournals(t, m.CoreBus(t))
	j := openJournal(t, m.EdgeBus(t, 0), "edge-0")
	write(t, j, follows(), event(1))
	if err := j.WaitAcked(soon(t), 1); err != nil {
		t.Fatal(err)
	}
	m.StopHub()
	write(t, j, &pb.JournalRecord{To: 1, Starts: []*pb.JournalStart{{Index: 1, Bucket: 6, Sequence: 1}}})
	write(t, j, event(2))
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := j.WaitAcked(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the hub is away: got %v", err)
	}
	if err := j.WaitAcked(ctx, 0); err != nil {
		t.Errorf("of what is acknowledged: got %v", err)
	}
	m.StartHub(t)
	if err := j.WaitAcked(soon(t), 1); err != nil {
		t.Error(err)
	}
	_ = r
}

// The hub, which keeps the journal in memory, ends and starts: what a core has read it still knows, and what the edge wrote meanwhile arrives.
func TestJournalOutlivesTheHub(t *testing.T) {
	m := relaytest.Start(t, 1)
	r := openJournals(t, m.CoreBus(t))
	j := openJournal(t, m.EdgeBus(t, 0), "edge-0")
	write(t, j, follows(), event(1))
	stands(t, r, "edge-0", j.Boot(), 1, 10)
	if err := j.WaitAcked(soon(t), 1); err != nil { // a core may hear of it before
		t.Fatal(err)
	}
	m.StopHub()
	write(t, j, event(2), event(3)) // the leaf is there: that is enough
	if j.Acked() != 1 || j.Oldest() == 0 {
		t.Errorf("without a hub: %d acknowledged, oldest %v", j.Acked(), j.Oldest())
	}
	m.StartHub(t)
	relaytest.Until(t, "all is acknowledged", func() bool { return j.Acked() == 3 && j.Oldest() == 0 })
	stands(t, r, "edge-0", j.Boot(), 3, 30)
	write(t, j, event(4))
	stands(t, r, "edge-0", j.Boot(), 4, 40)
}

// The edge loses its leaf: a Write waits, and what it wrote before is not lost. Too much is refused, and nothing is missing then.
func TestJournalOverACutConnection(t *testing.T) {
	m := relaytest.Start(t, 1)
	r := openJournals(t, m.CoreBus(t))
	wire := relaytest.NewProxy(t, m.Leaves[0].ClientURL())
	bus := relaytest.EdgeBus(t, wire.URL, "edge-0")
	j := openJournal(t, bus, "edge-0")
	write(t, j, follows(), event(1))
	for round := int64(0); round < 3; round++ {
		write(t, j, event(3*round+2), event(3*round+3))
		wire.Cut()
		relaytest.Until(t, "the cut is felt", func() bool { return !bus.Connected() })
		written := make(chan error, 1)
		go func() { written <- j.Write(context.Background(), event(3*round+4)) }()
		select {
		case err := <-written:
			t.Fatalf("written into the void: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		wire.Mend()
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	relaytest.Until(t, "all is acknowledged", func() bool { return j.Acked() == 10 })
	stands(t, r, "edge-0", j.Boot(), 10, 100)

	m.StopHub()
	big := make([]uint64, 100_000) // of no bucket: it is for its size, and whoever reads it takes it for missing
	for i := range big {
		big[i] = 1 << 60
	}
	var err error
	wrote := int64(10)
	for range 100 {
		if err = j.Write(soon(t), &pb.JournalRecord{To: wrote + 1, Snapshot: &pb.JournalSnapshot{Sequences: big}}); err != nil {
			break
		}
		wrote++
	}
	if !errors.Is(err, relay.ErrJournalFull) || wrote < 15 {
		t.Fatalf("after %d large records: got %v, want ErrJournalFull", wrote-10, err)
	}
	if err := j.Write(soon(t), &pb.JournalRecord{To: wrote + 1, Snapshot: &pb.JournalSnapshot{Sequences: append(big, big...)}}); !errors.Is(err, relay.ErrTooLarge) {
		t.Errorf("a huge record: got %v, want ErrTooLarge", err)
	}
	m.StartHub(t)
	relaytest.Until(t, "there is room again", func() bool { return j.Acked() == wrote })
	write(t, j, event(wrote+5)) // what could not be written is a hole
	if err := j.WaitAcked(soon(t), wrote+5); err != nil {
		t.Fatal(err)
	}
	x, err := r.Index(soon(t), "edge-0", j.Boot())
	if err != nil {
		t.Fatal(err)
	}
	if x.End() != wrote+5 {
		t.Errorf("got %d, want %d", x.End(), wrote+5)
	}
}

const journalVictim = "STARLING_TEST_JOURNAL_VICTIM"

// Not a test: the edge that TestJournalSurvivesKill kills. It says which record it has written before it writes the next.
func TestJournalVictim(t *testing.T) {
	url := os.Getenv(journalVictim)
	if url == "" {
		return
	}
	bus := relaytest.EdgeBus(t, url, "edge-0")
	j := openJournal(t, bus, "edge-0")
	fmt.Printf("boot %d\n", j.Boot())
	write(t, j, follows())
	for i := int64(1); ; i++ {
		write(t, j, event(i))
		fmt.Printf("wrote %d\n", i)
	}
}

// kill -9 after Write loses nothing.
func TestJournalSurvivesKill(t *testing.T) {
	m := relaytest.Start(t, 1)
	r := openJournals(t, m.CoreBus(t))
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestJournalVictim$", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), journalVictim+"="+m.Leaves[0].ClientURL())
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var boot uint64
		var last int64
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			text, ok := strings.CutPrefix(lines.Text(), "wrote ")
			if !ok {
				_, _ = fmt.Sscanf(lines.Text(), "boot %d", &boot)
				continue
			}
			if _, err := fmt.Sscan(text, &last); err != nil {
				t.Fatal(err)
			}
			if last == int64(50+37*round) {
				_ = cmd.Process.Kill()
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		if boot == 0 || last < 50 {
			t.Fatalf("boot %d wrote %d", boot, last)
		}
		stands(t, r, "edge-0", boot, last, uint64(10*last))
	}
}

// Many who ask at once share what is read.
func TestJournalHerd(t *testing.T) {
	m := relaytest.Start(t, 1)
	r := openJournals(t, m.CoreBus(t))
	j := openJournal(t, m.EdgeBus(t, 0), "edge-0")
	write(t, j, follows())
	for i := int64(1); i <= 300; i++ {
		write(t, j, event(i))
	}
	if err := j.WaitAcked(soon(t), 300); err != nil {
		t.Fatal(err)
	}
	before := counter(t, "starling_relay_journal_reads_total")
	var wg sync.WaitGroup
	var wrong atomic.Int32
	for i := range int64(1000) {
		wg.Go(func() {
			x, err := r.Index(soon(t), "edge-0", j.Boot())
			if err != nil || x.At(i%300+1, 1, nil).Status != journal.Known {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d of 1000 did not find their place", wrong.Load())
	}
	if n := counter(t, "starling_relay_journal_reads_total") - before; n > 500 {
		t.Errorf("%v looks at the journal for 1000 who asked at once", n)
	}

	// They come one after the other, too: readings end while others begin.
	for range 16 {
		wg.Go(func() {
			for range 200 {
				if _, err := r.Index(soon(t), "edge-0", j.Boot()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// What an edge has written is read before anybody asks: whoever does is answered from that.
func TestJournalIsReadAhead(t *testing.T) {
	m := relaytest.Start(t, 1)
	r := openJournals(t, m.CoreBus(t))
	j := openJournal(t, m.EdgeBus(t, 0), "edge-0")
	read := func() float64 { return counter(t, "starling_relay_journal_records_total") }
	before := read()
	write(t, j, follows())
	for i := int64(1); i < 300; i++ {
		write(t, j, event(i))
	}
	relaytest.Until(t, "300 records are read", func() bool { return read()-before >= 300 })
	stands(t, r, "edge-0", j.Boot(), 299, 2990)
	if n := read() - before; n != 300 {
		t.Errorf("%v records were read, of 300", n)
	}
}

// Three hubs keep journals and tombs together; one of them ends.
func TestJournalOfACluster(t *testing.T) {
	c := relaytest.StartCluster(t, 1)
	bus := relaytest.Bus(t, c.ClientURL(), "core")
	r := openJournals(t, bus)
	tombs, err := relay.OpenTombs(soon(t), bus)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, tombs.Run)
	j := openJournal(t, relaytest.EdgeBus(t, c.Leaves[0].ClientURL(), "edge-0"), "edge-0")
	write(t, j, follows(), event(1))
	stands(t, r, "edge-0", j.Boot(), 1, 10)
	if err := tombs.Bury(soon(t), "edge-0.1.2", []byte("gone to edge-1")); err != nil {
		t.Fatal(err)
	}
	c.StopHub(1)
	write(t, j, event(2))
	stands(t, r, "edge-0", j.Boot(), 2, 20)
	relaytest.Until(t, "the tomb is still there", func() bool {
		b, err := tombs.Tomb(soon(t), "edge-0.1.2")
		return err == nil && string(b) == "gone to edge-1"
	})
	relaytest.Until(t, "nobody else is buried there", func() bool {
		return errors.Is(tombs.Bury(soon(t), "edge-0.1.2", []byte("gone to edge-2")), relay.ErrConflict)
	})
}

// Two of three hubs end: what an edge writes then is stored nowhere, and the edge dies before it can send it again. The third hub passed it on, so a
// core knows of it once hubs are a majority again.
func TestJournalWhileNobodyLeads(t *testing.T) {
	c := relaytest.StartCluster(t, 1)
	bus := c.CoreBus(t)
	r := openJournals(t, bus)
	heard := make(chan int64, 100)
	stop, err := bus.Subscribe(relay.JournalSubject("*"), func(_ string, body []byte) {
		rec := new(pb.JournalRecord)
		if proto.Unmarshal(body, rec) == nil {
			select {
			case heard <- rec.To:
			default:
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ctx, die := context.WithCancel(context.Background())
	j := relay.OpenJournal(c.EdgeBus(t, 0), "edge-0")
	over := make(chan error, 1)
	go func() { over <- j.Run(ctx) }()
	write(t, j, follows(), event(1))
	stands(t, r, "edge-0", j.Boot(), 1, 10)
	c.StopHub(1)
	c.StopHub(2)
	write(t, j, event(2), event(3))
	for late := time.After(15 * time.Second); ; {
		select {
		case to := <-heard:
			if to < 3 {
				continue
			}
		case <-late:
			t.Fatal("no hub passed a record on")
		}
		break
	}
	if got := j.Acked(); got != 1 {
		t.Fatalf("acknowledged up to %d without a majority, want 1", got)
	}
	die()
	if err := <-over; err != nil {
		t.Error(err)
	}
	c.StartHub(t, 1)
	stands(t, r, "edge-0", j.Boot(), 3, 30)
}
