package relay_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest/sim"
)

var (
	simN     = flag.Int("sim.n", 300, "schedules that TestSimulation runs")
	simSeed  = flag.Uint64("sim.seed", 0, "the one schedule to run, with its trace")
	simFirst = flag.Uint64("sim.first", 1, "seed of the first of many")
)

const (
	simSteps  = 160              // with faults
	simKeep   = 20 * time.Second // that the log keeps: longer than anything is under way
	simBound  = 30 * time.Second // for everybody to catch up, once faults have ended
	simRound  = 250 * time.Millisecond
	simShown  = 400 // lines of a trace
	simEdges  = 2
	simMoreAt = 3 // cores at most
)

// TestSimulation runs the log's own code, Reader, Log and Writer, on a simulated NATS through seeded schedules of faults, and holds it to its
// promise: a reader gets every entry of a bucket from its start on, once and in order; what was acknowledged is in the log; nobody writes
// after a successor; and all are at the end soon after the faults.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		r := simulate(t, *simSeed)
		t.Logf("%s\n%s", r.trace, r.counts)
		r.report(t)
		return
	}
	before, quietBefore := counted(t, "starling_relay_repairs_total"), counted(t, "starling_relay_begins_total", "digest")
	sum := simResult{}
	begun, told := time.Now(), time.Now()
	for n := range *simN {
		r := simulate(t, *simFirst+uint64(n))
		sum.counts.add(r.counts)
		if r.report(t) {
			return
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d schedules of the log, %.0f/s\n", n+1, *simN, float64(n+1)/time.Since(begun).Seconds())
		}
	}
	quiet := counted(t, "starling_relay_begins_total", "digest") - quietBefore
	t.Logf("%d schedules: %s, %.0f repairs, %.0f quiet buckets begun", *simN, sum.counts, counted(t, "starling_relay_repairs_total")-before, quiet)
	if *simN >= 100 && quiet < float64(*simN)/50 {
		t.Errorf("%.0f buckets were begun to be followed by digests alone", quiet)
	}
	if c := sum.counts; *simN >= 100 && (c.TakeOvers < *simN || c.Resets == 0 || c.LostLive == 0 || c.Unpublished == 0 || c.Superseded == 0) {
		t.Errorf("the schedules do not reach what they should: %s", c)
	}
}

// The same seed gives the same run.
func TestSimulationRepeats(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := simulate(t, seed), simulate(t, seed)
		if a.hash != b.hash {
			t.Fatalf("seed %d: two runs differ: %s", seed, difference(a.trace, b.trace))
		}
	}
}

// difference is where two traces part.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d:\n%s\nand\n%s", i, strings.Join(x[max(0, i-8):min(len(x), i+4)], "\n"), strings.Join(y[max(0, i-8):min(len(y), i+4)], "\n"))
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

// Each mutation of the real code breaks the promise, and the simulation sees it soon; without it the very same schedule passes.
func TestSimulationCatches(t *testing.T) {
	for name, on := range relay.Mutations() {
		t.Run(name, func(t *testing.T) {
			*on = true
			defer func() { *on = false }()
			const most = 3000 // some seconds
			for seed := uint64(1); seed <= most; seed++ {
				r := simulate(t, seed)
				if len(r.wrong) == 0 {
					continue
				}
				t.Logf("caught by schedule %d: %s", seed, r.wrong[0])
				*on = false
				if r := simulate(t, seed); len(r.wrong) > 0 {
					t.Errorf("a catch proves nothing: schedule %d fails without the mutation too: %s", seed, r.wrong[0])
				}
				return
			}
			t.Errorf("not caught within %d schedules", most)
		})
	}
}

// simResult is what came of a schedule.
type simResult struct {
	seed   uint64
	wrong  []string
	trace  string
	hash   uint64
	counts simCounts
}

type simCounts struct {
	sim.Counts
	Appends, Entries, TakeOvers, Superseded, Resets int
}

func (c *simCounts) add(o simCounts) {
	c.Counts.Add(o.Counts)
	c.Appends += o.Appends
	c.Entries += o.Entries
	c.TakeOvers += o.TakeOvers
	c.Superseded += o.Superseded
	c.Resets += o.Resets
}

func (c simCounts) String() string {
	return fmt.Sprintf("%d steps, %d appends acknowledged, %d take-overs, %d writers superseded; %d live entries lost, %d never published, %d digests lost, "+
		"%d requests and %d answers lost, %d conflicts, %d races, %d stale reads, %d cut short, %d with a hole, %d elections, %d aged out; "+
		"%d entries read, %d resets", c.Steps, c.Appends, c.TakeOvers, c.Superseded, c.LostLive, c.Unpublished, c.LostDigests,
		c.LostRequests, c.LostAnswers, c.Conflicts, c.Races, c.Counts.Stale, c.Counts.Short, c.Holes, c.Elections, c.Aged, c.Entries, c.Resets)
}

// report fails the test if the promise was broken.
func (r simResult) report(t *testing.T) bool {
	t.Helper()
	if len(r.wrong) == 0 {
		return false
	}
	t.Errorf("seed %d: %s\nreplay: make sim OF=relay SEED=%d\n%s", r.seed, strings.Join(r.wrong, "\n"), r.seed, tail(r.trace, simShown))
	return true
}

func tail(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// simulate runs one schedule.
func simulate(t *testing.T, seed uint64) simResult {
	r := simResult{seed: seed}
	inBubble(t, func() {
		s := newSimulation(seed)
		s.run()
		r.wrong, r.trace, r.hash, r.counts = s.wrong, s.w.Trace(1<<20), s.w.Hash(), s.counts
		r.counts.Counts = s.w.Counts
	})
	return r
}

// A simulation is one schedule: cores that write to buckets, edges that read them, and what is true of the log. What is noted by goroutines of the
// product is looked at by the driver, when nothing moves.
type simulation struct {
	w       *sim.World
	rng     *rand.Rand
	ctx     context.Context
	cancel  context.CancelFunc
	end     func()
	cores   []*simCore
	edges   []*simEdge
	owner   map[int]int // which core should own each bucket
	buckets []int
	truth   map[int][]*sim.Stored
	names   map[logName]bool // of streams, when they took an entry
	stores  map[int]simStore
	acked   map[string]bool   // texts whose append was acknowledged
	never   map[string]string // texts that were refused for good, and by what
	texts   int
	remakes int
	counts  simCounts
	wrong   []string
	actions []simAction
	streams int  // of the log; of several some may be lost and the others kept
	slow    bool // edges take their time
	keep    time.Duration
}

type simAction struct {
	weight int
	do     func()
}

func newSimulation(seed uint64) *simulation {
	rng := rand.New(rand.NewPCG(seed, 0x5eed))
	s := &simulation{rng: rng, w: sim.New(rng), owner: map[int]int{}, buckets: []int{5, 6}, truth: map[int][]*sim.Stored{}, stores: map[int]simStore{},
		streams: 1, names: map[logName]bool{}, acked: map[string]bool{}, never: map[string]string{}}
	if seed%3 == 0 {
		s.streams = 2 // a bucket in each
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.w.Chances = sim.Swarm(rng)
	s.w.OnEntry = s.stored
	s.slow, s.keep = rng.IntN(4) == 0, simKeep
	for range 2 {
		s.addCore()
	}
	for i := range simEdges {
		s.edges = append(s.edges, newSimEdge(s, fmt.Sprint("edge", i)))
	}
	for _, b := range s.buckets {
		s.owner[b] = rng.IntN(len(s.cores))
	}
	s.actions = []simAction{
		{30, s.write}, {6, s.follow}, {2, s.release}, {3, s.move}, {1, s.kill}, {4, s.breakEdge}, {3, s.breakCore}, {8, s.mend}, {6, s.w.Follow},
		{5, s.w.Settle}, {8, s.age},
	}
	if rng.IntN(3) == 0 {
		s.actions = append(s.actions, simAction{4, s.w.Election})
	}
	if rng.IntN(4) == 0 {
		s.actions = append(s.actions, simAction{3, s.lull})
	}
	if rng.IntN(5) == 0 {
		s.actions = append(s.actions, simAction{2, s.remake})
	}
	return s
}

// run drives the schedule: faults, then calm.
func (s *simulation) run() {
	defer s.stop()
	synctest.Wait() // all have begun
	steps := simSteps/2 + s.rng.IntN(simSteps)
	for range steps {
		switch n := s.rng.IntN(100); {
		case n < 60 && s.w.Land():
		case n < 75:
			s.w.Pass(s.breath())
		default:
			s.act()
		}
		if s.audit(); len(s.wrong) > 0 {
			return
		}
	}
	s.w.Calm()
	if !s.calm("whoever died has a successor", s.succeeded) || !s.calm("everybody catches up", s.caughtUp) {
		return
	}
	texts := map[int]string{}
	if s.calm("everybody gets a last entry", func() string { return s.finish(texts) }) {
		s.final()
	}
}

// lull is a time in which all that is said is heard, and nothing is written: then somebody begins with a bucket.
func (s *simulation) lull() {
	s.w.Note("a lull")
	for _, e := range s.edges {
		e.conn.Mend()
	}
	for range 6 + s.rng.IntN(4) {
		s.w.Round(time.Second)
		s.keep += time.Second // it is no part of what the log has to reach back over
	}
	for range 1 + s.rng.IntN(3) {
		s.follow()
	}
}

// breath is how long nothing is decided.
func (s *simulation) breath() time.Duration {
	d := []time.Duration{time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond, 1200 * time.Millisecond, 6 * time.Second, 15 * time.Second}
	i := s.rng.IntN(40)
	if i >= len(d) {
		i %= 4
	}
	return d[i] + time.Duration(s.rng.IntN(1000))*time.Microsecond
}

func (s *simulation) act() {
	total := 0
	for _, a := range s.actions {
		total += a.weight
	}
	n := s.rng.IntN(total)
	for _, a := range s.actions {
		if n < a.weight {
			a.do()
			return
		}
		n -= a.weight
	}
}

// calm goes on without faults until f finds nothing wrong any more.
func (s *simulation) calm(what string, f func() string) bool {
	for begun := time.Now(); ; {
		s.w.Round(simRound)
		if s.audit(); len(s.wrong) > 0 {
			return false
		}
		open := f()
		if open == "" {
			return true
		}
		if time.Since(begun) > simBound {
			s.fail("%s: not after %s: %s", what, simBound, open)
			return false
		}
	}
}

func (s *simulation) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.w.Note("WRONG: %s", text)
	s.wrong = append(s.wrong, text)
}

func (s *simulation) stop() {
	s.cancel()
	s.w.End()
	for _, c := range s.cores {
		<-c.done
	}
	for _, e := range s.edges {
		e.stop()
	}
}

// inBubble runs f where the clock is fake.
func inBubble(t *testing.T, f func()) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { f() })
}
