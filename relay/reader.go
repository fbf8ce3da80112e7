package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	defaultLinger = time.Minute
	readerBacklog = 1 << 14         // messages between connection and dispatcher, which never blocks
	repairsAtOnce = 16              // reads of the log under way
	suspectAfter  = 3 * time.Second // without a digest a bucket asks the log
	readerTick    = 500 * time.Millisecond
)

// errReaderEnded is what Follow returns once Run has ended.
var errReaderEnded = errors.New("the reader has ended")

// ReaderConfig says who gets what a Reader reads. Calls for one bucket come one at a time, in order; those for different buckets may come
// at once. They may block: what does not fit meanwhile is read from the log later.
type ReaderConfig struct {
	OnStart     func(bucket int, seq uint64)              // the position at which a bucket begins, before its entries; again after OnReset
	OnEntry     func(bucket int, seq uint64, e *pb.Entry) // every entry from the position on, once; take-over entries too
	OnEphemeral func(bucket int, e *pb.Event)             // events that are not logged; may be lost
	OnReset     func(bucket int)                          // the past cannot be read any more: rebuild what was built on the bucket
	Linger      time.Duration                             // how long a released bucket stays followed; default 1 min
}

// A Reader follows buckets from behind a leaf: every entry, in order, exactly once, whatever the connections in between do. It listens to
// live entries and to the digests of owners, and reads from the log what it missed.
type Reader struct {
	bus    *Bus
	cfg    ReaderConfig
	log    *slog.Logger
	js     jetstream.JetStream
	in     chan *nats.Msg // from all subscriptions, in order of arrival
	slots  chan struct{}  // one per read of the log under way
	queued atomic.Int64   // bytes that wait in all buckets
	wanted atomic.Int64   // bytes of entries that buckets keep since somebody wants their past
	lasts  lasts
	quiets quiets
	beat   atomic.Int64  // Unix nanoseconds
	heard  chan struct{} // closed with the first beat
	meta   atomic.Pointer[streamMeta]

	ctx     context.Context // of all workers
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu      sync.Mutex
	buckets map[int]*follow
	ended   bool
}

// NewReader makes a Reader; nothing flows before Run.
func NewReader(bus *Bus, cfg ReaderConfig) *Reader {
	if cfg.Linger == 0 {
		cfg.Linger = defaultLinger
	}
	if cfg.OnStart == nil {
		cfg.OnStart = func(int, uint64) {}
	}
	if cfg.OnEntry == nil {
		cfg.OnEntry = func(int, uint64, *pb.Entry) {}
	}
	if cfg.OnEphemeral == nil {
		cfg.OnEphemeral = func(int, *pb.Event) {}
	}
	if cfg.OnReset == nil {
		cfg.OnReset = func(int) {}
	}
	r := &Reader{
		bus:     bus,
		cfg:     cfg,
		log:     bus.log,
		in:      make(chan *nats.Msg, readerBacklog),
		slots:   make(chan struct{}, repairsAtOnce),
		buckets: map[int]*follow{},
		heard:   make(chan struct{}),
	}
	r.lasts.r, r.lasts.asked = r, make(chan struct{}, lastsAsked)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Run reads until ctx ends; it returns when the last callback has.
func (r *Reader) Run(ctx context.Context) error {
	defer r.end()
	js, err := r.bus.nc.JetStream(apiPrefix(r.bus.region))
	if err != nil {
		return fmt.Errorf("reader: %w", err)
	}
	r.mu.Lock()
	r.js = js
	r.mu.Unlock()
	digests, err := r.bus.nc.ChanSubscribe(DigestSubject(r.bus.region), r.in)
	if err != nil {
		return fmt.Errorf("reader: digests: %w", err)
	}
	defer func() { _ = digests.Unsubscribe() }()
	stop, err := r.bus.Subscribe(BeatSubject(r.bus.region), func(string, []byte) {
		if r.beat.Swap(time.Now().UnixNano()) == 0 { // one goroutine calls
			close(r.heard)
		}
	})
	if err != nil {
		return fmt.Errorf("reader: beat: %w", err)
	}
	defer stop()
	defer r.bus.watch(r.onGap)()

	tick := time.NewTicker(readerTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-r.in:
			r.dispatch(m)
		case now := <-tick.C:
			r.sweep(now)
		}
	}
}

// Follow makes the bucket's entries reach OnEntry; each Follow wants a Release. It returns once the position is fixed: every entry stored
// from then on will arrive, and those of the few seconds before, so that a snapshot asked for afterwards never lacks one. Those may have
// come already if the bucket was followed and let go before.
func (r *Reader) Follow(ctx context.Context, bucket int) error {
	if bucket < 0 || bucket >= chat.Buckets {
		return fmt.Errorf("follow bucket %d: no such bucket", bucket)
	}
	f, err := r.follow(bucket)
	if err != nil {
		return fmt.Errorf("follow bucket %d: %w", bucket, err)
	}
	select {
	case <-f.ready:
		return nil
	case <-r.ctx.Done():
		err = errReaderEnded
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.Release(bucket)
	return fmt.Errorf("follow bucket %d: %w", bucket, err)
}

func (r *Reader) follow(bucket int) (*follow, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil, errReaderEnded
	}
	f := r.buckets[bucket]
	if f == nil {
		f = newFollow(r, bucket)
		for i, subject := range []string{LiveSubject(r.bus.region, bucket), EphemeralSubject(r.bus.region, bucket)} {
			sub, err := r.bus.nc.ChanSubscribe(subject, r.in)
			if err != nil {
				f.unsubscribe()
				return nil, err
			}
			f.subs[i] = sub
		}
		r.buckets[bucket] = f
		f.mu.Lock()
		f.wakeLocked()
		f.mu.Unlock()
	}
	f.mu.Lock()
	f.users++
	f.mu.Unlock()
	return f, nil
}

// Release takes back one Follow. The bucket stays followed for a while, since the next session may want it.
func (r *Reader) Release(bucket int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.buckets[bucket]
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users > 0 {
		f.users--
		f.idleSince = time.Now()
	}
}

// Followed counts the buckets that are followed, those that only linger included.
func (r *Reader) Followed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.buckets)
}

// Heard is closed once the hub was heard.
func (r *Reader) Heard() <-chan struct{} { return r.heard }

// LastBeat is when the hub was last heard; zero if never.
func (r *Reader) LastBeat() time.Time {
	if n := r.beat.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Check compares every followed bucket with its last digest: nil when none is behind or silent.
func (r *Reader) Check() error {
	var errs []error
	now := time.Now()
	for _, f := range r.all() {
		if err := f.check(now); err != nil && len(errs) < 10 {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// end stops the workers and all subscriptions.
func (r *Reader) end() {
	r.mu.Lock()
	r.ended = true
	fs := r.buckets
	r.buckets = map[int]*follow{}
	r.mu.Unlock()
	r.cancel()
	for _, f := range fs {
		f.close()
	}
	r.workers.Wait()
}

func (r *Reader) all() []*follow {
	r.mu.Lock()
	defer r.mu.Unlock()
	fs := make([]*follow, 0, len(r.buckets))
	for _, f := range r.buckets {
		fs = append(fs, f)
	}
	return fs
}

// dispatch hands a message to its bucket. It never blocks.
func (r *Reader) dispatch(m *nats.Msg) {
	if m.Subject == DigestSubject(r.bus.region) {
		d, err := decodeDigest(m.Data)
		if err != nil {
			malformed.Inc()
			return
		}
		now := time.Now()
		r.quiets.hear(d, now)
		for _, f := range r.all() {
			f.onDigest(d, now)
		}
		return
	}
	kind, bucket, ok := parseBucketSubject(m.Subject)
	if !ok {
		malformed.Inc()
		return
	}
	r.mu.Lock()
	f := r.buckets[bucket]
	r.mu.Unlock()
	if f != nil {
		f.offer(m, kind == "live")
	}
}

// onGap marks what may have missed something: one bucket if the subscription is known, else all.
func (r *Reader) onGap(reason gapReason, subject string) {
	if subject != "" {
		kind, bucket, ok := parseBucketSubject(subject)
		if !ok || kind != "live" {
			return // nothing that must not be lost; a read of the log notices by itself
		}
		r.mu.Lock()
		f := r.buckets[bucket]
		r.mu.Unlock()
		if f != nil {
			f.suspect(reason)
		}
		return
	}
	for _, f := range r.all() {
		f.suspect(reason)
	}
}

// sweep lets go of buckets that nobody has wanted for a while, and asks the log about silent ones.
func (r *Reader) sweep(now time.Time) {
	var oldest time.Duration
	for _, f := range r.all() {
		if r.forget(f, now) {
			continue
		}
		if f.doubts(now) {
			r.lasts.ask(f.bucket, f.ends)
		}
		oldest = max(oldest, f.silence(now))
		f.mu.Lock()
		f.recent.trim()
		f.mu.Unlock()
	}
	digestLag.Set(oldest.Seconds())
	readerBytes.Set(float64(r.queued.Load()))
}

// forget lets go of a bucket, but not amid a callback: whoever follows it next would hear of its beginning before what is said of it now.
func (r *Reader) forget(f *follow, now time.Time) bool {
	r.mu.Lock()
	f.mu.Lock()
	idle := f.users == 0 && !f.running && now.Sub(f.idleSince) >= r.cfg.Linger
	f.mu.Unlock()
	if idle {
		delete(r.buckets, f.bucket)
	}
	r.mu.Unlock()
	if idle {
		f.close()
	}
	return idle
}

// streamOf names the stream of a bucket; the hub says how many there are.
func (r *Reader) streamOf(ctx context.Context, bucket int) (string, error) {
	if m := r.meta.Load(); m != nil {
		return streamName(r.bus.region, bucket%m.streams), nil
	}
	m, err := r.inspect(ctx, streamName(r.bus.region, 0))
	if err != nil {
		return "", err
	}
	return streamName(r.bus.region, bucket%m.streams), nil
}

func (r *Reader) inspect(ctx context.Context, stream string) (streamMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, getWait)
	defer cancel()
	r.mu.Lock()
	js := r.js
	r.mu.Unlock()
	if js == nil {
		return streamMeta{}, errors.New("not running yet")
	}
	m, err := inspectStream(ctx, js, stream)
	if err == nil {
		r.meta.Store(&m)
	}
	return m, err
}
