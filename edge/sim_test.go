package edge

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-chat/starling/core/resume"
	"github.com/starling-chat/starling/proto"
	records "github.com/starling-chat/starling/proto/journal"
)

var (
	simN     = flag.Int("sim.n", 200, "schedules")
	simSeed  = flag.Uint64("sim.seed", 0, "play this schedule alone, and tell it step by step")
	simFirst = flag.Uint64("sim.first", 0, "seed of the first of many; 0: a random one")
	simFails = flag.Int("sim.fails", 3, "failures after which no more schedules are begun")
)

// A simWorld is a mesh of edges and cores, and clients of it, under one schedule: what happens, and in which order, hangs on the seed alone.
//
// Real are the edges' loop with sessions, cursor, records of the journal, moves, replays, release and hold; core/resume with its records, tombs
// and registry; proto/journal. The world stands in for what they ask: the log behind relay.Reader's promise, the way to the cores, the hub's
// streams, the registry's store, the owners' snapshots. Every such question waits until the schedule lets it go on, fail, or run out of time.
// Time is a bubble's of testing/synctest. Not in it: presence, op 8, compression, sockets; the log itself (package relay has a
// simulator of that).
type simWorld struct {
	r     *rand.Rand
	seed  uint64
	ctx   context.Context
	log   *simLog
	ids   []int // of the buckets
	edges []*simEdge

	clients     []*simClient
	conns       int // that there were
	tokens      map[string]*simUser
	service     *resume.Service
	signer      *resume.Signer
	ring        int
	connLimit   int
	journalRoom int
	recordRoom  int
	recordMost  int
	firstIndex  int64
	back        int // entries before its start that a follow begins with
	dieIn       *simEdge
	weights     []int
	started     time.Time
	finishing   bool

	mu        sync.Mutex
	calls     []*simCall
	closing   bool
	coreCalls sync.WaitGroup
	keys      map[string]uint64 // by token: sessions that it had
	journals  map[simBoot]*records.Index
	lost      map[simBoot]bool      // records of it are lost for good
	unheard   map[simBoot]time.Time // when it did not answer a core
	orphans   []*simRecord          // of dead edges, on their way
	tombs     map[string]simBuried
	registry  map[string]simRegistered
	saved     map[string]simRegistered
	savedAt   time.Time
	wentBack  bool // the registry

	unregistered bool // it was lost
	tombless     bool // some were lost
	tails        map[string]int
	stats        simStats
	trace        *strings.Builder // nil: not told
	notes        []string         // for it, of cores that work side by side
	violation    string
}

type simStats struct {
	schedules, events, directs, frames, identifies, resumes, resumed, moves, replays, deepest, tails, repeats, kills, cuts, op9, slow, wipes int
}

func (s *simStats) add(o simStats) {
	s.schedules += o.schedules
	s.events += o.events
	s.directs += o.directs
	s.frames += o.frames
	s.identifies += o.identifies
	s.resumes += o.resumes
	s.resumed += o.resumed
	s.moves += o.moves
	s.replays += o.replays
	s.deepest = max(s.deepest, o.deepest)
	s.tails += o.tails
	s.repeats += o.repeats
	s.kills += o.kills
	s.cuts += o.cuts
	s.op9 += o.op9
	s.slow += o.slow
	s.wipes += o.wipes
}

func (s simStats) String() string {
	return fmt.Sprintf("%d schedules: %d events of guilds and users and %d direct messages in %d frames, %d IDENTIFYs, %d RESUMEs, %d done, %d moves (%d with replay, up to %d segments), "+
		"%d kills, %d edges cut off, %d slow clients, %d registries or tombs lost, %d journal tails lost, %d repeats for it, %d op 9",
		s.schedules, s.events, s.directs, s.frames, s.identifies, s.resumes, s.resumed, s.moves, s.replays, s.deepest, s.kills, s.cuts, s.slow, s.wipes, s.tails, s.repeats, s.op9)
}

// A simCall waits for the schedule.
type simCall struct {
	key  string
	edge *simEdge // nil: within a core
	boot uint64
	let  chan error
}

// wait parks the caller until the schedule lets it go on.
func (w *simWorld) wait(ctx context.Context, e *simEdge, boot uint64, key string) error {
	w.mu.Lock()
	if w.closing || e != nil && (e.boot != boot || !e.up) {
		w.mu.Unlock()
		return errSimCut
	}
	if e != nil {
		key = e.String() + " " + key
	}
	c := &simCall{key: key, edge: e, boot: boot, let: make(chan error, 1)}
	w.calls = append(w.calls, c)
	w.mu.Unlock()
	select {
	case err := <-c.let:
		return err
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls = slices.DeleteFunc(w.calls, func(x *simCall) bool { return x == c })
		return ctx.Err()
	}
}

// ready lists the calls that may go on, in an order that hangs on the seed alone. Of those that nothing tells apart it has one.
func (w *simWorld) ready() []*simCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*simCall
	for _, c := range w.calls {
		if e := c.edge; e == nil || e.up && e.boot == c.boot && e.link && e.leaf {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b *simCall) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(list, (*simCall).like)
}

func (c *simCall) like(x *simCall) bool {
	return c.key == x.key && c.edge == x.edge && c.boot == x.boot
}

// let has a call go on or fail, and with it those that are like it: in which order these came hangs on more than the seed.
func (w *simWorld) let(c *simCall, err error) {
	var on []*simCall
	w.mu.Lock()
	w.calls = slices.DeleteFunc(w.calls, func(x *simCall) bool {
		if x.like(c) {
			on = append(on, x)
			return true
		}
		return false
	})
	w.mu.Unlock()
	if len(on) > 0 && err != nil {
		w.logf("%s fails", c.key)
	}
	for _, x := range on {
		x.let <- err
	}
	w.settle()
}

// settle lets everything run until it waits for the schedule or for time.
func (w *simWorld) settle() {
	synctest.Wait()
	w.mu.Lock()
	slices.Sort(w.notes)
	for _, n := range w.notes {
		w.logLocked("%s", n)
	}
	w.notes = w.notes[:0]
	w.mu.Unlock()
	for _, e := range w.edges {
		e.gather()
	}
}

// pass lets a time go by.
func (w *simWorld) pass(d time.Duration) {
	time.Sleep(d + time.Duration(1+w.r.IntN(1000))*time.Microsecond)
	w.settle()
}

func (w *simWorld) logf(format string, args ...any) {
	if w.trace != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.logLocked(format, args...)
	}
}

func (w *simWorld) logLocked(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%9.3f ", time.Since(w.started).Seconds())
		fmt.Fprintf(w.trace, format, args...)
		w.trace.WriteByte('\n')
	}
}

func (w *simWorld) noteLocked(format string, args ...any) {
	if w.trace != nil {
		w.notes = append(w.notes, fmt.Sprintf(format, args...))
	}
}

func (w *simWorld) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(format, args...)
}

func (w *simWorld) failLocked(format string, args ...any) {
	if w.violation == "" {
		w.violation = fmt.Sprintf(format, args...)
		w.logLocked("VIOLATION %s", w.violation)
	}
}

func (w *simWorld) bad() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.violation != ""
}

func (w *simWorld) bucketAt(bucket int) int     { return slices.Index(w.ids, bucket) }
func (w *simWorld) hasBucket(bucket int) bool   { return slices.Contains(w.ids, bucket) }
func (w *simWorld) guildNumber(g *simGuild) int { return slices.Index(w.log.guilds, g) }

func (w *simWorld) guild(id proto.ID) *simGuild {
	for _, g := range w.log.guilds {
		if g.id == id {
			return g
		}
	}
	return nil
}

// simulate plays one schedule. It has to be called in a bubble.
func simulate(seed uint64, tell bool) (stats simStats, violation, trace string) {
	ctx, cancel := context.WithCancel(context.Background())
	w := newSimWorld(seed, ctx, tell)
	w.play()
	w.finish()
	w.close()
	cancel()
	synctest.Wait()
	w.stats.schedules = 1
	if tell {
		trace = w.trace.String()
	}
	return w.stats, w.violation, trace
}

// close ends everything that still runs.
func (w *simWorld) close() {
	w.mu.Lock()
	w.closing = true
	calls := w.calls
	w.calls = nil
	w.mu.Unlock()
	for _, e := range w.edges {
		e.cancel()
	}
	for _, c := range calls {
		c.let <- errSimCut
	}
}

// one plays one schedule in a bubble of its own.
func simOnce(t *testing.T, seed uint64, tell bool) (stats simStats, violation, trace string) {
	synctest.Test(t, func(*testing.T) { stats, violation, trace = simulate(seed, tell) })
	return stats, violation, trace
}

// TestSimulation plays schedules: make sim plays a million.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		stats, violation, trace := simOnce(t, *simSeed, true)
		fmt.Print(trace)
		fmt.Println(stats)
		if violation != "" {
			t.Errorf("seed %d: %s", *simSeed, violation)
		}
		return
	}
	seed := *simFirst
	if seed == 0 {
		seed = rand.Uint64() >> 16
	}
	t.Logf("seeds from %d", seed)
	var total simStats
	begun, told, failed := time.Now(), time.Now(), 0
	for n := 0; n < *simN && failed < *simFails; n++ {
		stats, violation, _ := simOnce(t, seed+uint64(n), false)
		total.add(stats)
		if violation != "" {
			failed++
			t.Errorf("seed %d: %s\n\treplay: make sim SEED=%d", seed+uint64(n), violation, seed+uint64(n))
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d schedules of resume, %.0f/s, %d break the promise\n", n+1, *simN, float64(n+1)/time.Since(begun).Seconds(), failed)
		}
	}
	t.Log(total)
}

// TestSimulationRepeats plays schedules twice: they are the same to the letter, but for the order of what is told of one moment.
func TestSimulationRepeats(t *testing.T) {
	// Tasks that end at one moment of the fake clock post in an order of their own where they really run side by side: one schedule in a thousand tells.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	seed := rand.Uint64() >> 16
	for range 10 {
		seed++
		_, _, one := simOnce(t, seed, true)
		_, _, two := simOnce(t, seed, true)
		if one == two {
			continue
		}
		a, b := byMoment(one), byMoment(two)
		if slices.Equal(a, b) {
			continue
		}
		// The race detector has goroutines that may go on take turns at random: of two that do at one moment either may be first, once in two thousand schedules.
		if _, _, again := simOnce(t, seed, true); slices.Equal(byMoment(again), a) || slices.Equal(byMoment(again), b) {
			continue
		}
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("seed %d: line %d is once %q, once %q", seed, i, a[i], b[i])
			}
		}
		t.Fatalf("seed %d: %d lines once, %d once", seed, len(a), len(b))
	}
}

// byMoment are the lines of a trace, those of one moment in the order of their letters.
func byMoment(trace string) []string {
	moment := func(line string) string { return line[:min(len(line), len("   23.034"))] }
	lines := strings.Split(trace, "\n")
	for i, k := 0, 0; i < len(lines); i = k {
		for k = i + 1; k < len(lines) && moment(lines[k]) == moment(lines[i]); k++ {
		}
		slices.Sort(lines[i:k])
	}
	return lines
}

func cloneRegistry(m map[string]simRegistered) map[string]simRegistered { return maps.Clone(m) }
