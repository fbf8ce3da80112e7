package bucket

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
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

// A Config says what an Owner works on. All but Logger and Now must be set.
type Config struct {
	Name, Region string
	Log          *relay.Log
	Bus          *relay.Bus
	Directory    core.Directory
	History      core.History
	Logger       *slog.Logger
	Now          func() time.Time // default time.Now
}

// An Owner owns all buckets of its region and serves their commands. Each bucket's state belongs to that bucket's goroutine alone.
type Owner struct {
	cfg     Config
	log     *slog.Logger
	label   string // name and a random part: tells this owner's digests from those of a namesake
	buckets [proto.Buckets]*bucket
	slots   *semaphore.Weighted // of take-overs under way
	rivals  *rivals
	clock   clock
	tails   tails
	away    away // the history
	ready   chan struct{}
	// Of what buckets read while they execute.
	dirGate, histGate gate
	// Of what is applied.
	dirOutage, histOutage outage

	// Set by Run before any bucket starts.
	ctx   context.Context
	grace context.Context // outlives ctx by appendGrace: an append under way is better ended than abandoned
	wg    sync.WaitGroup  // goroutines of buckets, appliers and outboxes
	// closed tells start that nothing may be added to wg any more.
	mu     sync.Mutex
	closed bool
}

// New makes an owner that does nothing until Run.
func New(cfg Config) *Owner {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var salt [6]byte
	rand.Read(salt[:]) // never fails
	o := &Owner{cfg: cfg, log: cfg.Logger, label: cfg.Name + "/" + hex.EncodeToString(salt[:]), ready: make(chan struct{}),
		slots: semaphore.NewWeighted(takeOvers), rivals: newRivals()}
	o.dirOutage.store, o.histOutage.store = "directory", "history"
	o.clock.now = cfg.Now
	for n := range o.buckets {
		o.buckets[n] = newBucket(o, n)
	}
	return o
}

// Ready is closed once every bucket that has a past is taken over.
func (o *Owner) Ready() <-chan struct{} { return o.ready }

// Run owns the buckets until ctx ends; it returns when everything it started has stopped.
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

	past, err := o.past(ctx)
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	all := make([]int, proto.Buckets)
	for n := range all {
		all[n] = n
	}
	stopCommands, err := o.cfg.Bus.ServeCommands(all, o.receive)
	if err != nil {
		return fmt.Errorf("owner: commands: %w", err)
	}
	defer stopCommands()

	g, parts := errgroup.WithContext(ctx)
	g.Go(func() error { return o.cfg.Log.RunDigest(parts, o.label, o.digest) })
	g.Go(func() error { return o.takeOverAll(parts, past) })
	g.Go(func() error { return o.keepNotes(parts) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("owner: %w", err)
	}
	return nil
}

// past lists the buckets that have entries in the log or a checkpoint in a store, and marks them: until they are taken over, no digest
// calls them empty.
func (o *Owner) past(ctx context.Context) ([]*bucket, error) {
	tails, err := o.tails.read(ctx, o.cfg.Log)
	if err != nil {
		return nil, err
	}
	known := map[int]bool{}
	for n := range tails {
		known[n] = true
	}
	for _, list := range []func(context.Context) ([]core.Checkpoint, error){o.directoryCheckpoints, o.historyCheckpoints} {
		cps, err := list(ctx)
		if err != nil {
			return nil, err
		}
		for _, cp := range cps {
			known[cp.Bucket] = true
		}
	}
	var past []*bucket
	for n := range known {
		if n < 0 || n >= proto.Buckets {
			return nil, fmt.Errorf("no bucket %d", n)
		}
		b := o.buckets[n]
		b.phase.Store(phaseTaking)
		past = append(past, b)
	}
	return past, nil
}

func (o *Owner) takeOverAll(ctx context.Context, past []*bucket) error {
	begun := o.cfg.Now()
	for _, b := range past {
		b.start()
	}
	for _, b := range past {
		select {
		case <-b.taken:
		case <-ctx.Done():
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
