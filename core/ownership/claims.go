package ownership

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	lookEvery   = 100 * time.Millisecond
	pauseOf     = time.Second // between two looks: this core was stopped, or starved
	claimAtOnce = 32
	movesAtOnce = 8 // more would make those wait who write meanwhile
	putTimeout  = 3 * time.Second
	takenRetry  = 250 * time.Millisecond
	tableName   = "OWNERS"
)

// A Config says what the Claims of one core work on. All but Log must be set.
type Config struct {
	Name, Region string // of the core; no two cores may share a name
	Bus          *relay.Bus
	Log          *slog.Logger
}

// Claims claims buckets for one core and gives them away. It implements bucket.Claims. Make it with New; one Run, ever.
type Claims struct {
	cfg Config
	log *slog.Logger
	me  holder

	owner   *bucket.Owner
	records *relay.Records
	look    chan struct{} // capacity 1: something may have changed
	moves   chan struct{} // a place per move under way
	tasks   sync.WaitGroup
	left    chan struct{} // closed once all buckets are given away, or nobody is there to take them
	once    sync.Once

	mu      sync.Mutex
	running context.Context // Run's; nil before and after
	leaving bool            // for good
	drained bool            // until Stay
	begun   time.Time       // since when silence counts
	members members
	table   [proto.Buckets]entry
}

// An entry is what this core knows of one bucket's ownership.
type entry struct {
	by       holder // by its record
	revision uint64
	mine     bool   // claimed at the owner
	held     uint64 // the revision that this is by: a later one, whatever it names, tells that it was another's meanwhile
	busy     bool   // a move or claim is under way
	pinned   bool   // an operator put it where it is
	believed bool   // by a test's switch
	retry    time.Time
}

// New makes Claims that do nothing until Run.
func New(cfg Config) *Claims {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	var boot [8]byte
	rand.Read(boot[:]) // never fails
	return &Claims{cfg: cfg, log: cfg.Log, me: holder{cfg.Name, binary.BigEndian.Uint64(boot[:]) | 1}, look: make(chan struct{}, 1),
		moves: make(chan struct{}, movesAtOnce), left: make(chan struct{}), members: members{}}
}

// Run claims and gives away until ctx ends. It is ready when no bucket waits that this core may claim at once; those whose owner may be dead
// follow when that is certain.
func (c *Claims) Run(ctx context.Context, o *bucket.Owner, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		c.mu.Lock()
		c.running = nil // no task begins any more
		c.mu.Unlock()
		cancel()
		c.tasks.Wait()
	}()
	c.owner = o
	var err error
	if c.records, err = relay.OpenRecords(ctx, c.cfg.Bus, tableName); err != nil {
		return fmt.Errorf("ownership: %w", err)
	}
	stop, err := c.cfg.Bus.Subscribe(relay.CoreBeatSubject(c.cfg.Region), c.onBeat)
	if err != nil {
		return fmt.Errorf("ownership: %w", err)
	}
	defer stop()
	stopMoves, err := c.cfg.Bus.Serve(relay.MoveSubject(c.cfg.Region, c.me.core), "", movesAtOnce*2, c.onMove)
	if err != nil {
		return fmt.Errorf("ownership: %w", err)
	}
	defer stopMoves()
	c.beat(true)
	c.mu.Lock()
	c.running = ctx
	c.mu.Unlock()

	g, parts := errgroup.WithContext(ctx)
	known := make(chan struct{})
	g.Go(func() error { return c.watch(parts, sync.OnceFunc(func() { close(known) })) })
	g.Go(func() error { return c.beatFor(parts) })
	g.Go(func() error {
		select {
		case <-known:
		case <-parts.Done():
			return nil
		}
		return c.run(parts, ready)
	})
	return g.Wait()
}

// run looks at the table again and again.
func (c *Claims) run(ctx context.Context, ready func()) error {
	c.mu.Lock()
	c.begun = time.Now()
	c.mu.Unlock()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	begun := false
	for last := time.Now(); ; {
		now := time.Now()
		if now.Sub(last) > pauseOf || !c.cfg.Bus.Connected() {
			c.mu.Lock()
			c.begun = now
			c.members.excuse(now)
			c.mu.Unlock()
		}
		last = now
		if err := c.step(ctx, now); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			c.log.Warn("buckets not claimed, will repeat", "err", err)
		} else if !begun {
			begun = true
			c.tasks.Go(func() { c.tell(ctx, ready) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.look:
		}
	}
}

// tell calls ready once what this core has claimed is taken over, unless ctx ends first.
func (c *Claims) tell(ctx context.Context, ready func()) {
	for {
		err := c.taken(ctx)
		switch {
		case err == nil:
			ready()
			return
		case ctx.Err() != nil:
			return
		}
		c.log.Warn("not known what is taken over, will repeat", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(takenRetry):
		}
	}
}

// taken waits until what this core has claimed is taken over.
func (c *Claims) taken(ctx context.Context) error {
	past, err := c.owner.Past(ctx)
	if err != nil {
		return err
	}
	for n := range past {
		c.mu.Lock()
		mine := c.table[n].mine
		c.mu.Unlock()
		if mine {
			if err := c.owner.Taken(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// step does what follows from what is known now.
func (c *Claims) step(ctx context.Context, now time.Time) error {
	c.mu.Lock()
	for _, h := range c.members.bury(now) {
		c.log.Warn("a core is gone", "core", h.core)
	}
	membersGauge.Set(float64(len(c.members) + 1))
	var claim []claimed
	var drop, again []int
	mine, busy, pinned := 0, 0, 0
	candidates := c.candidatesLocked()
	for n := range c.table {
		e := &c.table[n]
		if e.mine {
			mine++
		}
		if e.busy {
			busy++
			continue
		}
		if e.believed {
			continue
		}
		want, somebody := wanted(n, candidates)
		if e.pinned && slices.Contains(candidates, e.by) {
			want = e.by
			if e.mine {
				pinned++
			}
		}
		switch {
		case e.mine && e.by != c.me:
			e.busy = true
			drop = append(drop, n)
		case e.mine && e.held != e.revision:
			e.busy = true
			again = append(again, n)
		case e.mine && somebody && want != c.me:
			if now.After(e.retry) {
				c.moveLocked(ctx, n, want, false)
			}
		case !e.mine && (e.by == c.me || want == c.me && c.freeLocked(e, now)):
			e.busy = true
			claim = append(claim, claimed{n, e.by, e.revision})
		}
	}
	done := c.leaving && busy == 0 && (mine == 0 || len(candidates) == 0) // the last ones have nobody to give to
	drained := c.drained
	c.mu.Unlock()
	minesGauge.Set(float64(mine))
	pinnedGauge.Set(float64(pinned))
	movingGauge.Set(float64(len(c.moves)))
	drainedGauge.Set(number(drained))
	if done {
		c.once.Do(func() { close(c.left) })
	}
	for _, n := range drop {
		c.log.Warn("bucket was taken by another core", "bucket", n)
		c.tasks.Go(func() { // its last append may take long
			c.owner.Release(n)
			c.owner.Dismiss(n)
			c.update(n, func(e *entry) { e.mine, e.busy = false, false })
			c.nudge()
		})
	}
	for _, n := range again {
		c.log.Warn("bucket was another core's meanwhile", "bucket", n)
		c.tasks.Go(func() { c.reclaim(n) })
	}
	return c.claim(ctx, claim)
}

// reclaim begins anew with a bucket that went and came back while this core heard nothing: what it knows of it is of before.
func (c *Claims) reclaim(n int) {
	c.owner.Release(n)
	var revision uint64
	c.update(n, func(e *entry) { revision = e.revision })
	c.owner.Claim(n, true)
	if err := c.owner.Serve(n); err != nil {
		c.log.Warn("bucket not served", "bucket", n, "err", err)
	}
	c.update(n, func(e *entry) { e.held, e.busy = revision, false })
	c.nudge()
}

// candidatesLocked are the cores that may own buckets: those that are drained only where there is no other, for they can.
func (c *Claims) candidatesLocked() []holder {
	all, spare := make([]holder, 0, len(c.members)+1), []holder(nil)
	add := func(h holder, leaving, drained bool) {
		switch {
		case drained:
			spare = append(spare, h)
		case !leaving:
			all = append(all, h)
		}
	}
	add(c.me, c.leaving, c.drained && !c.leaving)
	for _, m := range c.members {
		add(m.holder, m.leaving, m.drained)
	}
	if len(all) == 0 {
		return spare
	}
	return all
}

func (c *Claims) aliveLocked(h holder) bool {
	m := c.members[h.core]
	return h == c.me || m != nil && m.holder == h
}

// freeLocked tells whether nobody who lives holds the bucket: it has no record, or one of this core, now or before it started again, or one of
// a core that has been silent for long enough.
func (c *Claims) freeLocked(e *entry, now time.Time) bool {
	switch {
	case e.revision == 0 || e.by.core == c.me.core:
		return true
	case c.aliveLocked(e.by):
		return false
	}
	return c.members[e.by.core] != nil || now.Sub(c.begun) >= deadAfter
}

// claimed is a bucket that nobody holds as of a revision. If there is a later one by the time that this core writes, somebody may hold it.
type claimed struct {
	bucket   int
	by       holder
	revision uint64
}

// claim writes this core into the records of buckets that nobody holds, and serves them: those with a past first, since somebody may wait
// for them, and each part as soon as it is won.
func (c *Claims) claim(ctx context.Context, buckets []claimed) error {
	if len(buckets) == 0 {
		return nil
	}
	past, err := c.owner.Past(ctx)
	if err != nil {
		for _, b := range buckets {
			c.update(b.bucket, func(e *entry) { e.busy = false })
		}
		return err
	}
	slices.SortStableFunc(buckets, func(x, y claimed) int {
		switch {
		case past[x.bucket] == past[y.bucket]:
			return 0
		case past[x.bucket]:
			return -1
		}
		return 1
	})
	var errs []error
	for part := range slices.Chunk(buckets, claimAtOnce) {
		errs = append(errs, c.claimPart(ctx, part, past))
	}
	return errors.Join(errs...)
}

func (c *Claims) claimPart(ctx context.Context, part []claimed, past map[int]bool) error {
	var won []int
	var mu sync.Mutex
	var g errgroup.Group
	for _, b := range part {
		g.Go(func() error {
			n, revision, err := b.bucket, b.revision, error(nil)
			if b.by != c.me {
				revision, err = c.put(ctx, n, &pb.Owner{Core: c.me.core, Boot: c.me.boot}, b.revision)
			}
			if err != nil {
				c.update(n, func(e *entry) { e.busy = false })
				if errors.Is(err, relay.ErrConflict) {
					return nil // the record tells, by and by
				}
				return err
			}
			c.owner.Claim(n, past[n])
			c.update(n, func(e *entry) {
				if revision >= e.revision {
					e.by, e.revision = c.me, revision
				}
				e.mine, e.held, e.busy = true, revision, false
			})
			mu.Lock()
			won = append(won, n)
			mu.Unlock()
			return nil
		})
	}
	err := g.Wait()
	if len(won) > 0 {
		claimsTotal.Add(float64(len(won)))
		c.log.Debug("buckets claimed", "count", len(won))
		err = errors.Join(err, c.owner.Serve(won...))
	}
	return err
}

// put writes a record.
func (c *Claims) put(ctx context.Context, n int, to *pb.Owner, revision uint64) (uint64, error) {
	body, err := gproto.Marshal(to)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	return c.records.Put(ctx, strconv.Itoa(n), body, revision)
}

// watch follows the records; known is called when all there are have been seen.
func (c *Claims) watch(ctx context.Context, known func()) error {
	for {
		err := c.records.Watch(ctx, func(r relay.Record) {
			if r.Revision == 0 {
				known()
				return
			}
			n, err := strconv.Atoi(r.Key)
			var rec pb.Owner
			if err != nil || n < 0 || n >= proto.Buckets || gproto.Unmarshal(r.Value, &rec) != nil {
				c.log.Error("a record of ownership is unreadable", "key", r.Key)
				return
			}
			c.update(n, func(e *entry) {
				if r.Revision >= e.revision {
					e.by, e.pinned, e.revision = holder{rec.Core, rec.Boot}, rec.Pinned, r.Revision
				}
			})
			c.nudge()
		})
		if ctx.Err() != nil {
			return nil
		}
		c.log.Warn("records of ownership not heard, will repeat", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(beatEvery):
		}
	}
}

func (c *Claims) update(n int, f func(*entry)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.table[n])
}

// nudge has run look at once.
func (c *Claims) nudge() {
	select {
	case c.look <- struct{}{}:
	default:
	}
}
