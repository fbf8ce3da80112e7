package relay_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest/sim"
)

// A simEdge reads buckets, and notes what it is told.
type simEdge struct {
	s      *simulation
	name   string
	conn   *sim.Conn
	reader *relay.Reader
	cancel context.CancelFunc
	done   chan error
	calls  sync.WaitGroup // of Follow

	mu     sync.Mutex
	heard  map[int][]simHeard
	inside map[int]bool // a callback of the bucket is under way
	users  map[int]int  // follows that have returned
	asking map[int]bool // one is under way

	views map[int]*simView // the driver's
}

// A simHeard is one callback.
type simHeard struct {
	what  string // start, entry, reset
	seq   uint64
	entry *pb.Entry
	twice bool // it came while another was under way
}

// A simView is where an edge is in a bucket, by what it was told.
type simView struct {
	at    uint64
	inc   uint64 // of the last entry; 0 = none since the start
	fresh bool   // nothing since the start
	reset bool   // a start has to come
}

func newSimEdge(s *simulation, name string) *simEdge {
	e := &simEdge{s: s, name: name, conn: s.w.Connect(name, true), done: make(chan error, 1), heard: map[int][]simHeard{},
		inside: map[int]bool{}, users: map[int]int{}, asking: map[int]bool{}, views: map[int]*simView{}}
	e.reader = relay.NewReader(e.conn.Bus, relay.ReaderConfig{
		OnStart: func(b int, seq uint64) { e.note(b, simHeard{what: "start", seq: seq}) },
		OnEntry: func(b int, seq uint64, x *pb.Entry) { e.note(b, simHeard{what: "entry", seq: seq, entry: x}) },
		OnReset: func(b int) { e.note(b, simHeard{what: "reset"}) },
		Linger:  3 * time.Second,
	})
	ctx, cancel := context.WithCancel(s.ctx)
	e.cancel = cancel
	go func() { e.done <- e.reader.Run(ctx) }()
	return e
}

func (e *simEdge) note(bucket int, h simHeard) {
	e.mu.Lock()
	h.twice = e.inside[bucket]
	e.inside[bucket] = true
	e.heard[bucket] = append(e.heard[bucket], h)
	e.mu.Unlock()
	if e.s.slow && h.what == "entry" {
		e.s.w.Park(fmt.Sprintf("%s applies %d of bucket %d", e.name, h.seq, bucket))
	}
	e.mu.Lock()
	e.inside[bucket] = false
	e.mu.Unlock()
}

func (e *simEdge) stop() {
	e.calls.Wait()
	if err := <-e.done; err != nil {
		e.s.fail("%s: %v", e.name, err)
	}
}

// follow has an edge begin with a bucket.
func (s *simulation) follow() {
	e, b := s.edges[s.rng.IntN(len(s.edges))], s.buckets[s.rng.IntN(len(s.buckets))]
	e.mu.Lock()
	if e.asking[b] || e.users[b] > 1 {
		e.mu.Unlock()
		return
	}
	e.asking[b] = true
	e.mu.Unlock()
	s.w.Note("%s: follows bucket %d", e.name, b)
	e.calls.Go(func() {
		err := e.reader.Follow(s.ctx, b)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.asking[b] = false
		if err == nil {
			e.users[b]++
		}
	})
}

func (s *simulation) release() {
	e, b := s.edges[s.rng.IntN(len(s.edges))], s.buckets[s.rng.IntN(len(s.buckets))]
	e.mu.Lock()
	held := e.users[b] > 0
	if held {
		e.users[b]--
	}
	e.mu.Unlock()
	if held {
		s.w.Note("%s: lets bucket %d go", e.name, b)
		e.reader.Release(b)
	}
}

func (s *simulation) breakEdge() {
	e := s.edges[s.rng.IntN(len(s.edges))]
	if s.rng.IntN(2) == 0 {
		e.conn.Break()
	} else {
		e.conn.Cut()
	}
}
