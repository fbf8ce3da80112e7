package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// Region of everything here.
const Region = "local"

// FlightLife is how long a message may be under way: what the network has kept longer it has lost.
const FlightLife = 15 * time.Second

// A World is the hubs, the connections to them, and what is on its way in between. All but what connections call belongs to the goroutine that
// drives it.
type World struct {
	Chances Chances
	Counts  Counts
	// OnEntry, if set, is told of every entry as a stream stores it.
	OnEntry func(*Stored)

	rng     *rand.Rand
	begun   time.Time
	done    chan struct{} // closed at the end: whoever waits for an answer goes
	conns   []*Conn
	streams map[string]*stream
	made    int // streams
	trace   []string
	calm    bool

	mu      sync.Mutex
	flights []*flight
	numbers map[string]int
	replies map[string]func([]byte)
	inboxes int // of connections
	asked   int // requests that were handed on
}

// Chances are how often in a hundred something goes wrong.
type Chances struct {
	LoseRequest, LoseAnswer, LoseLive, LoseDigest int
	Slow                                          int // a connection drops what came, and says so
	Pending                                       int // an append waits for the other hubs
	Silent                                        int // an append is stored, and the leader dies before it republishes or answers
	Refuse                                        int // a stream answers with an error that says nothing
	Deposed                                       int // a leader answers that is none any more
	Stale                                         int // a replica answers that is behind
	Short, Hole                                   int // an answer of many messages ends early, or lacks some
	Reorder                                       int // entries of one bucket overtake each other
}

// Swarm gives every chance anew, many of them none: what one fault hides another run shows.
func Swarm(r *rand.Rand) Chances {
	c := Chances{}
	for _, p := range []struct {
		at   *int
		most int
	}{
		{&c.LoseRequest, 30}, {&c.LoseAnswer, 40}, {&c.LoseLive, 50}, {&c.LoseDigest, 60}, {&c.Slow, 20}, {&c.Pending, 40}, {&c.Silent, 30},
		{&c.Refuse, 20}, {&c.Deposed, 20}, {&c.Stale, 80}, {&c.Short, 40}, {&c.Hole, 60}, {&c.Reorder, 20},
	} {
		if r.IntN(2) == 0 {
			*p.at = r.IntN(p.most + 1)
		}
	}
	return c
}

// Counts tell what a run has met.
type Counts struct {
	Steps, Stored, Unpublished, LostLive, LostDigests, LostRequests, LostAnswers, Conflicts, Races, Stale, Short, Holes, Elections, Aged int
}

// Add sums two.
func (c *Counts) Add(o Counts) {
	c.Steps += o.Steps
	c.Stored += o.Stored
	c.Unpublished += o.Unpublished
	c.LostLive += o.LostLive
	c.LostDigests += o.LostDigests
	c.LostRequests += o.LostRequests
	c.LostAnswers += o.LostAnswers
	c.Conflicts += o.Conflicts
	c.Races += o.Races
	c.Stale += o.Stale
	c.Short += o.Short
	c.Holes += o.Holes
	c.Elections += o.Elections
	c.Aged += o.Aged
}

// New begins a world in the bubble of its caller, at a time at which ids can be issued.
func New(r *rand.Rand) *World {
	time.Sleep(time.Until(time.Date(2026, 11, 24, 6, 0, 0, 7, time.UTC)))
	return &World{rng: r, begun: time.Now(), done: make(chan struct{}), streams: map[string]*stream{}, numbers: map[string]int{},
		replies: map[string]func([]byte){}}
}

// A flight is something that somebody else than its sender decides about: when it arrives, and whether.
type flight struct {
	key   string // what it is, without anything random: flights are picked in its order
	kind  kind
	queue string // flights of one queue arrive in order; "" is none
	order int    // within its queue or key
	born  time.Time
	land  func()
}

type kind int

const (
	request kind = iota
	answer
	live
	digest
	local // of the machine itself: late perhaps, never lost
)

// fly sends something on its way. Any goroutine may call it.
func (w *World) fly(f *flight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.born = time.Now()
	w.numbers[f.queue+"|"+f.key]++
	f.order = w.numbers[f.queue+"|"+f.key]
	w.flights = append(w.flights, f)
}

// Park has the caller wait until the driver lets it go on, in the order of keys; false if the world ended before.
func (w *World) Park(key string) bool {
	on := make(chan struct{})
	w.fly(&flight{key: key, kind: local, land: func() { close(on) }})
	select {
	case <-on:
		return true
	case <-w.done:
		return false
	}
}

// Done is closed when the world ends.
func (w *World) Done() <-chan struct{} { return w.done }

// number tells a connection's attempts at the same apart. Those of two connections may come at once: one count of both would depend on which
// goroutine is first.
func (c *Conn) number(what string) string {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	key := c.name + " > " + what
	c.w.numbers[key]++
	return fmt.Sprintf("%s ~%d", what, c.w.numbers[key])
}

// heads are the flights that may land next, by key. Those that nothing tells apart come as one.
func (w *World) heads() [][]*flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.flights = slices.DeleteFunc(w.flights, func(f *flight) bool { return f.kind != local && now.Sub(f.born) > FlightLife })
	slices.SortStableFunc(w.flights, func(a, b *flight) int {
		if a.queue != "" && a.queue == b.queue {
			return 0 // in order of sending, which one goroutine does
		}
		return cmp.Or(cmp.Compare(a.queue, b.queue), cmp.Compare(a.key, b.key))
	})
	var out [][]*flight
	for i, f := range w.flights {
		if i > 0 {
			last := w.flights[i-1]
			if f.queue != "" && f.queue == last.queue {
				continue
			}
			if f.queue == "" && last.queue == "" && f.key == last.key {
				out[len(out)-1] = append(out[len(out)-1], f)
				continue
			}
		}
		out = append(out, []*flight{f})
	}
	return out
}

// take removes flights that are dealt with.
func (w *World) take(fs []*flight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flights = slices.DeleteFunc(w.flights, func(f *flight) bool { return slices.Contains(fs, f) })
}

// Busy tells whether anything is under way, once nothing goes on by itself.
func (w *World) Busy() bool {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.flights) > 0
}

// Land picks a flight and has it land or be lost; false if there is none.
func (w *World) Land() bool {
	synctest.Wait()
	heads := w.heads()
	if len(heads) == 0 {
		return false
	}
	w.Counts.Steps++
	fs := heads[w.rng.IntN(len(heads))]
	if q := fs[0].queue; q != "" && w.chance(w.Chances.Reorder) {
		fs = w.overtaking(q)
	}
	w.take(fs)
	if w.chance(w.loss(fs[0].kind)) {
		w.Note("lost: %s", fs[0].key)
		w.count(fs[0].kind)
		return true
	}
	w.Note("%s", fs[0].key)
	for _, f := range fs {
		f.land()
	}
	synctest.Wait()
	return true
}

// overtaking picks any flight of a queue.
func (w *World) overtaking(queue string) []*flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*flight
	for _, f := range w.flights {
		if f.queue == queue {
			all = append(all, f)
		}
	}
	return []*flight{all[w.rng.IntN(len(all))]}
}

func (w *World) loss(k kind) int {
	switch k {
	case request:
		return w.Chances.LoseRequest
	case answer:
		return w.Chances.LoseAnswer
	case live:
		return w.Chances.LoseLive
	case digest:
		return w.Chances.LoseDigest
	}
	return 0
}

func (w *World) count(k kind) {
	switch k {
	case request:
		w.Counts.LostRequests++
	case answer:
		w.Counts.LostAnswers++
	case live:
		w.Counts.LostLive++
	case digest:
		w.Counts.LostDigests++
	}
}

// chance throws the dice, not at all once the world is calm or for what never happens.
func (w *World) chance(percent int) bool {
	return !w.calm && percent > 0 && w.rng.IntN(100) < percent
}

// Pass lets time pass.
func (w *World) Pass(d time.Duration) {
	synctest.Wait()
	w.Note("%s pass", d)
	time.Sleep(d)
	synctest.Wait()
	time.Sleep(1) // whoever else was to wake at that very moment has
	synctest.Wait()
}

// Calm ends all faults: connections stand, streams have leaders, replicas follow, and nothing is lost any more.
func (w *World) Calm() {
	synctest.Wait()
	w.Note("calm")
	w.calm = true
	for _, name := range w.streamNames() {
		w.streams[name].elect()
	}
	for _, c := range w.conns {
		c.Mend()
	}
	synctest.Wait()
}

// Round lands all that is under way in a calm world, and what that brings, then lets some time pass.
func (w *World) Round(d time.Duration) {
	for range 10_000 {
		synctest.Wait()
		heads := w.heads()
		if len(heads) == 0 {
			break
		}
		w.Counts.Steps++
		w.take(heads[0])
		w.Note("%s", heads[0][0].key)
		for _, f := range heads[0] {
			f.land()
		}
	}
	w.Pass(d)
}

// End has all who wait for something give up.
func (w *World) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.done)
	w.flights = nil
}

// Note writes a line of the trace.
func (w *World) Note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%9.3fs  ", time.Since(w.begun).Seconds())+fmt.Sprintf(format, args...))
}

// Trace is what happened, a line each; the last n.
func (w *World) Trace(n int) string { return strings.Join(w.trace[max(0, len(w.trace)-n):], "\n") }

// Hash is that of the whole trace.
func (w *World) Hash() uint64 {
	h := fnv.New64a()
	for _, line := range w.trace {
		h.Write([]byte(line))
		h.Write([]byte{'\n'})
	}
	return h.Sum64()
}

func (w *World) streamNames() []string {
	var names []string
	for n := range w.streams {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
