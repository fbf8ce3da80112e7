package bucket

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay"
)

const (
	takeOvers   = 32              // buckets taken over at once
	appendGrace = 2 * time.Second // for the last append when the owner stops
)

// A Config says what an Owner works on. All but Claims, Logger and Now must be set.
type Config struct {
	Name, Region string
	Log          *relay.Log
	Bus          *relay.Bus
	Directory    core.Directory
	History      core.History
	Claims       Claims // nil: every bucket is this owner's
	Logger       *slog.Logger
	Now          func() time.Time // default the log's own time
}

// An Owner owns buckets of its region and serves their commands. Each bucket's state belongs to that bucket's goroutine alone.
type Owner struct {
	cfg     Config
	log     *slog.Logger
	label   string // name and a random part: tells this owner's digests from those of a namesake
	buckets [proto.Buckets]*bucket
	slots   *semaphore.Weighted // of take-overs under way
	rivals  *rivals
	clock   *clock
	tails   *tails
	away    away // the history
	ready   chan struct{}
	// Of what buckets read while they execute.
	dirGate, histGate gate
	// Of what is applied.
	dirOutage, histOutage outage

	// Set by Run before any bucket starts.
	ctx      context.Context
	commands *relay.Commands
	grace    context.Context // outlives ctx by appendGrace: an append under way is better ended than abandoned
	wg       sync.WaitGroup  // goroutines of buckets, appliers and outboxes
	// closed tells start that nothing may be added to wg any more.
	mu     sync.Mutex
	closed bool
}

// New makes an owner that does nothing until Run.
func New(cfg Config) *Owner {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	clock := newClock(cfg.Log.Time())
	if cfg.Now == nil {
		cfg.Now = clock.log
	}
	var salt [6]byte
	rand.Read(salt[:]) // never fails
	o := &Owner{cfg: cfg, log: cfg.Logger, label: cfg.Name + "/" + hex.EncodeToString(salt[:]), ready: make(chan struct{}),
		slots: semaphore.NewWeighted(takeOvers), rivals: newRivals(), clock: clock, tails: newTails()}
	o.dirOutage.store, o.histOutage.store = "directory", "history"
	for n := range o.buckets {
		o.buckets[n] = newBucket(o, n)
	}
	return o
}

// Now is the log's own time: that of the hubs, whatever the clock of this machine says.
func (o *Owner) Now() time.Time { return o.clock.log() }

// Ready is closed once the buckets that are this owner's are taken over.
func (o *Owner) Ready() <-chan struct{} { return o.ready }

// Run owns buckets until ctx ends; it returns when everything it started has stopped.
func (o *Owner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	o.ctx = ctx
	grace, cut := context.WithCancel(context.WithoutCancel(ctx))
	o.grace = grace
	context.AfterFunc(ctx, func() { time.AfterFunc(appendGrace, cut) })
	defer func() {
		defer cut()
		cancel()
		o.mu.Lock()
		o.closed = true
		o.mu.Unlock()
		o.wg.Wait()
	}()

	stopBeat, err := o.clock.listen(o.cfg.Bus)
	if err != nil {
		return fmt.Errorf("owner: beat: %w", err)
	}
	defer stopBeat()
	stopRivals, err := o.rivals.listen(o)
	if err != nil {
		return fmt.Errorf("owner: digests: %w", err)
	}
	defer stopRivals()

	o.commands = o.cfg.Bus.NewCommands(o.receive)
	defer o.commands.Stop()

	g, parts := errgroup.WithContext(ctx)
	g.Go(func() error { return o.cfg.Log.RunDigest(parts, o.label, o.digest) })
	g.Go(func() error {
		if o.cfg.Claims == nil {
			return o.claimAll(parts)
		}
		return o.cfg.Claims.Run(parts, o, sync.OnceFunc(func() { close(o.ready) }))
	})
	g.Go(func() error { return o.keepNotes(parts) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("owner: %w", err)
	}
	return nil
}

// past lists the buckets that have entries in the log or a checkpoint in a store. Who asks may have to wait for the slowest, not for all.
func (o *Owner) past(ctx context.Context) (map[int]bool, error) {
	var tails map[int]uint64
	var known [2][]core.Checkpoint
	g, asking := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		tails, err = o.tails.read(asking, o.cfg.Log)
		return err
	})
	for i, list := range []func(context.Context) ([]core.Checkpoint, error){o.directoryCheckpoints, o.historyCheckpoints} {
		g.Go(func() (err error) {
			known[i], err = list(asking)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	past := map[int]bool{}
	for n := range tails {
		past[n] = true
	}
	for _, cp := range slices.Concat(known[0], known[1]) {
		if cp.Bucket < 0 || cp.Bucket >= proto.Buckets {
			return nil, fmt.Errorf("no bucket %d", cp.Bucket)
		}
		past[cp.Bucket] = true
	}
	return past, nil
}

// claimAll is for an owner without Claims: every bucket is its own.
func (o *Owner) claimAll(ctx context.Context) error {
	past, err := o.past(ctx)
	if err != nil {
		return err
	}
	begun := o.cfg.Now()
	all := make([]int, proto.Buckets)
	for n := range all {
		all[n] = n
		o.Claim(n, past[n])
	}
	if err := o.Serve(all...); err != nil {
		return err
	}
	for n := range past {
		if o.Taken(ctx, n) != nil {
			return nil
		}
	}
	o.log.Info("buckets taken over", "count", len(past), "took", o.cfg.Now().Sub(begun).Round(time.Millisecond))
	close(o.ready)
	return nil
}

// spawn starts f unless the owner is closing; Run waits for it.
func (o *Owner) spawn(f func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.wg.Add(1)
	go func() {
		defer o.wg.Done()
		f()
	}()
	return true
}

// receive is called by the bus's dispatcher and must not block.
func (o *Owner) receive(n int, body []byte, reply func([]byte)) {
	if n < 0 || n >= proto.Buckets {
		return
	}
	o.buckets[n].enqueue(&call{raw: body, reply: reply})
}

// Near takes a command from within this process, as if it had come over the bus, if the bucket is this owner's as far as it knows; false if it is not.
// reply is called once or never, from any goroutine. Any goroutine may call it.
func (o *Owner) Near(n int, body []byte, reply func([]byte)) bool {
	if n < 0 || n >= proto.Buckets {
		return false
	}
	b := o.buckets[n]
	b.mu.Lock()
	ours := b.lease != nil && b.lease.ctx.Err() == nil && !b.gone && b.phase.Load() == phaseOwned
	b.mu.Unlock()
	if ours {
		b.enqueue(&call{raw: body, reply: reply})
	}
	return ours
}
