package relay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest/sim"
)

// A simCore is a core that owns what it is told to, whatever others do.
type simCore struct {
	s      *simulation
	name   string
	conn   *sim.Conn
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	log      *relay.Log // nil until it is open
	writers  map[int]*relay.Writer
	jobs     map[int]chan simJob
	busy     map[int]bool
	given    map[int]simJob    // the last
	ended    map[int]time.Time // when it was done
	outcomes []simOutcome
}

// A simJob is an append, with a take-over before it where need be. What its store says is of the time when it was given, so it is of no use to
// a core that has opened another log since: owners ask their stores after they have opened it.
type simJob struct {
	text  string
	log   *relay.Log
	at    time.Time // when it was given, or the first of those that it follows closely
	from  relay.Position
	since time.Time
}

// A simOutcome is what a core learned.
type simOutcome struct {
	bucket   int
	job      simJob
	taken    bool // of a take-over, else of an append
	at       relay.Position
	entry    *pb.Entry
	replayed []uint64
	err      error
}

func (s *simulation) addCore() {
	name := fmt.Sprint("core", len(s.cores))
	c := &simCore{s: s, name: name, conn: s.w.Connect(name, false), done: make(chan struct{}), jobs: map[int]chan simJob{}, busy: map[int]bool{},
		given: map[int]simJob{}, ended: map[int]time.Time{}}
	for _, b := range s.buckets {
		c.jobs[b] = make(chan simJob, 1)
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	s.cores = append(s.cores, c)
	go c.run()
}

// run is what a core does: it opens the log and writes, and begins anew where the log was made anew.
func (c *simCore) run() {
	defer close(c.done)
	for c.ctx.Err() == nil {
		log, err := relay.OpenLog(c.ctx, c.conn.Bus, c.s.streams)
		if err != nil {
			if c.ctx.Err() == nil {
				c.note(simOutcome{bucket: -1, err: err})
			}
			return
		}
		c.mu.Lock()
		c.log, c.writers = log, map[int]*relay.Writer{}
		c.mu.Unlock()
		life, end := context.WithCancel(c.ctx)
		var wg sync.WaitGroup
		for _, b := range c.s.buckets {
			wg.Go(func() { c.work(life, log, b) })
		}
		err = log.RunDigest(life, c.name, c.digest)
		end()
		wg.Wait()
		c.mu.Lock()
		c.log, c.writers = nil, nil
		c.mu.Unlock()
		if err != nil && !errors.Is(err, relay.ErrRemade) {
			c.note(simOutcome{bucket: -1, err: err})
		}
	}
}

// digest waits until whatever else an answer let go on, at this very moment, has come to rest: what a digest says would hang on more than the seed.
func (c *simCore) digest() *pb.Digest {
	time.Sleep(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &pb.Digest{}
	for _, b := range c.s.buckets {
		if w := c.writers[b]; w != nil {
			at := w.Position()
			d.Positions = append(d.Positions, &pb.Position{Bucket: uint32(b), Sequence: at.Sequence, Counter: at.Counter})
		}
	}
	return d
}

// work does the jobs of one bucket.
func (c *simCore) work(ctx context.Context, log *relay.Log, bucket int) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-c.jobs[bucket]:
			c.do(ctx, log, bucket, j)
			c.mu.Lock()
			c.busy[bucket], c.ended[bucket] = false, time.Now()
			c.mu.Unlock()
		}
	}
}

func (c *simCore) do(ctx context.Context, log *relay.Log, bucket int, j simJob) {
	if j.log != log {
		c.note(simOutcome{bucket: bucket, job: j, taken: true, err: relay.ErrRemade})
		return
	}
	c.mu.Lock()
	w := c.writers[bucket]
	c.mu.Unlock()
	if w == nil {
		o := simOutcome{bucket: bucket, job: j, taken: true}
		w, o.err = log.TakeOver(ctx, bucket, j.from, j.since, func(seq uint64, _ *pb.Entry) error {
			o.replayed = append(o.replayed, seq)
			return nil
		})
		if o.err == nil {
			o.at = w.Position()
		}
		c.note(o)
		if o.err != nil {
			return
		}
		c.keep(bucket, w)
	}
	o := simOutcome{bucket: bucket, job: j}
	o.entry, _, o.err = w.Append(ctx, says(j.text), w.Position().LastID+1)
	o.at = w.Position()
	if o.err != nil {
		c.keep(bucket, nil)
	}
	c.note(o)
}

func (c *simCore) keep(bucket int, w *relay.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writers[bucket] = w
}

func (c *simCore) note(o simOutcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes = append(c.outcomes, o)
}

// idle tells whether a core can be given something: it has opened the log, and nothing to do.
func (c *simCore) idle(bucket int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log != nil && !c.busy[bucket]
}

// wants tells whether what a core does begins from a store that lacks an entry, or whether a repeat of the entry may still be under way: a real
// log keeps entries for a day, one here not much longer than the network keeps what it loses. Within a day an owner that was superseded finds out, too,
// as long as there is an entry by which it can: where all is gone it adopts the log.
func (c *simCore) wants(x *sim.Stored) bool {
	dead := c.conn.Dead()
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.writers[x.Bucket]; w != nil && !dead && w.Position().Sequence < x.Sequence {
		return true
	}
	j, busy := c.given[x.Bucket], c.busy[x.Bucket] && !dead
	if busy && j.from.Sequence < x.Sequence {
		return true
	}
	return (busy || dead || time.Since(c.ended[x.Bucket]) <= sim.FlightLife) && !x.At.Before(j.at)
}

func (c *simCore) owns(bucket int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writers[bucket] != nil
}

// reaches tells whether a core owns a bucket, as far as it knows, up to a sequence.
func (c *simCore) reaches(bucket int, seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.writers[bucket]
	return w != nil && w.Position().Sequence >= seq
}

// give has an idle core append something.
func (s *simulation) give(c *simCore, bucket int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.texts++
	j := simJob{text: fmt.Sprintf("%s bucket %d text %d", c.name, bucket, s.texts), log: c.log, at: time.Now(), from: s.checkpoint(c.log, bucket)}
	if s.rng.IntN(2) == 0 {
		j.since = time.Now().Add(-time.Duration(s.rng.IntN(20)) * time.Second)
	}
	if before := c.given[bucket]; time.Since(c.ended[bucket]) <= sim.FlightLife {
		j.at = before.at
	}
	c.busy[bucket], c.given[bucket] = true, j
	c.jobs[bucket] <- j
	s.w.Note("job: %s", j.text)
	return j.text
}

// checkpoint is what a store of the bucket says to the owner of a log.
func (s *simulation) checkpoint(log *relay.Log, bucket int) relay.Position {
	at := s.stores[bucket]
	if log == nil || at.inc != log.Incarnation() {
		at.Sequence = 0
	}
	return at.Position
}

// write has somebody append: mostly the owner of the bucket, at times one who was.
func (s *simulation) write() {
	b := s.buckets[s.rng.IntN(len(s.buckets))]
	c := s.cores[s.owner[b]]
	if s.rng.IntN(5) == 0 {
		if other := s.cores[s.rng.IntN(len(s.cores))]; other.owns(b) {
			c = other
		}
	}
	if !c.conn.Dead() && c.idle(b) {
		s.give(c, b)
	}
}

// move gives a bucket to another core, which does not ask the one that has it.
func (s *simulation) move() {
	b := s.buckets[s.rng.IntN(len(s.buckets))]
	if n := s.rng.IntN(len(s.cores)); !s.cores[n].conn.Dead() {
		s.owner[b] = n
		s.w.Note("bucket %d: %s should own it", b, s.cores[n].name)
		if s.cores[n].idle(b) {
			s.give(s.cores[n], b)
		}
	}
}

// kill ends a core; another comes for it.
func (s *simulation) kill() {
	if len(s.cores) >= simMoreAt {
		return
	}
	n := s.rng.IntN(len(s.cores))
	c := s.cores[n]
	if c.conn.Dead() {
		return
	}
	c.conn.Kill()
	c.cancel()
	s.addCore()
	for _, b := range s.buckets {
		if s.owner[b] == n {
			s.owner[b] = len(s.cores) - 1
		}
	}
}

func (s *simulation) breakCore() { s.cores[s.rng.IntN(len(s.cores))].conn.Break() }

// mend connects somebody again.
func (s *simulation) mend() {
	for _, c := range s.conns() {
		if !c.Well() && s.rng.IntN(2) == 0 {
			c.Mend()
			return
		}
	}
}

func (s *simulation) conns() []*sim.Conn {
	var all []*sim.Conn
	for _, c := range s.cores {
		all = append(all, c.conn)
	}
	for _, e := range s.edges {
		all = append(all, e.conn)
	}
	return all
}

// remake is a hub that lost its disk: all lose their connection with it, and a process takes some time to begin.
func (s *simulation) remake() {
	s.w.Remake()
	s.remakes++
	for _, c := range s.conns() {
		c.Break()
	}
	s.w.Pass(100 * time.Millisecond)
}

// age has the log's oldest entries go: what the stores have had for long, and no take-over under way has to replay.
func (s *simulation) age() {
	for _, b := range s.buckets {
		// What a hub lost before anybody read it no store can have.
		if all := s.truth[b]; len(all) > 0 && !s.w.Gone(all[len(all)-1]) {
			s.apply(all[len(all)-1])
		}
	}
	s.w.Age(s.keep, func(x *sim.Stored) bool {
		for _, c := range s.cores {
			if c.wants(x) {
				return true
			}
		}
		return false
	})
}
