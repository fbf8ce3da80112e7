package relay

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/starling-chat/starling/proto/pb"
)

const (
	queueMessages = 512       // per bucket, behind a callback that blocks
	queueBytes    = 4 << 20   // the same in bytes
	totalBytes    = 256 << 20 // of all buckets
)

// A follow is one bucket as a Reader follows it. Messages wait in its queue for its worker, a goroutine that lives only while there is
// something to do; beyond the queue they are dropped and later read from the log.
type follow struct {
	r      *Reader
	bucket int
	subs   [2]Subscription
	ready  chan struct{} // closed by the worker once the position is fixed

	mu        sync.Mutex
	users     int
	idleSince time.Time
	closed    bool
	running   bool // a worker exists
	queue     []*nats.Msg
	bytes     int
	fixed     bool
	at        place // last applied; only the worker changes it
	recent    recent
	inc       uint64
	want      uint64    // highest sequence that is known to exist
	gap       gapReason // why the log must be asked; "" = it need not
	heard     time.Time // last digest, or last question for want of one
	digested  time.Time // last digest
	believed  time.Time // when it began where digests said, until the log was asked whether they are right; zero: it was
}

func newFollow(r *Reader, bucket int) *follow {
	now := time.Now()
	return &follow{r: r, bucket: bucket, ready: make(chan struct{}), heard: now, digested: now, idleSince: now, recent: recent{total: &r.wanted}}
}

// offer queues a message that came in.
func (f *follow) offer(m *nats.Msg, live bool) {
	size := int64(len(m.Data))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if len(f.queue) >= queueMessages || f.bytes >= queueBytes || f.r.queued.Load() >= totalBytes {
		if live {
			if seq, _, err := parseRepublished(m.Header); err == nil {
				f.want = max(f.want, seq)
			}
			f.gapLocked(gapSlow)
		}
		return
	}
	f.queue = append(f.queue, m)
	f.bytes += len(m.Data)
	f.r.queued.Add(size)
	f.wakeLocked()
}

// onDigest learns from the owner how far the bucket is.
func (f *follow) onDigest(d *digest, now time.Time) {
	p, ok := d.has(f.bucket)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard, f.digested = now, now
	switch {
	case !f.fixed || noDigest:
		return
	case f.inc != 0 && f.inc != d.incarnation:
		f.gapLocked(gapIncarnation)
		return
	}
	f.want = max(f.want, p.sequence)
	f.wakeLocked() // the worker compares once the queue is empty: what came before the digest is in it
}

// suspect makes the bucket ask the log.
func (f *follow) suspect(reason gapReason) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gapLocked(reason)
}

// doubts tells, once, that it is time to ask whether the log ends where the digests said: one whose writer died before it said so they do not know,
// and an owner that was superseded, and does not know either, goes on saying what was.
func (f *follow) doubts(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.believed.IsZero() || now.Sub(f.believed) < suspectAfter {
		return false
	}
	f.believed = time.Time{}
	return true
}

// ends takes in where the log ends.
func (f *follow) ends(last stored, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed || errors.Is(err, errNone):
	case err != nil:
		f.believed = time.Now() // later
	default:
		f.want = max(f.want, last.sequence)
		f.wakeLocked()
	}
}

// silence asks the log if no digest has come for a while, and tells for how long none has.
func (f *follow) silence(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fixed && now.Sub(f.heard) > suspectAfter {
		f.heard = now
		f.gapLocked(gapSilence)
	}
	return now.Sub(f.digested)
}

func (f *follow) gapLocked(reason gapReason) {
	if f.gap == "" && !f.closed {
		f.gap = reason
		gaps.WithLabelValues(string(reason)).Inc()
	}
	f.wakeLocked()
}

// wakeLocked starts the worker if there is something to do.
func (f *follow) wakeLocked() {
	if f.running || f.closed || f.fixed && len(f.queue) == 0 && f.gap == "" && f.want <= f.at.sequence {
		return
	}
	f.running = true
	f.r.workers.Add(1) // before end waits: closed is set first, under this lock
	go f.work()
}

func (f *follow) unsubscribe() {
	for _, s := range f.subs {
		if s != nil {
			_ = s.Unsubscribe()
		}
	}
}

// close ends the bucket; its worker ends by itself.
func (f *follow) close() {
	f.unsubscribe()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.clearLocked()
	f.recent.count(0)
}

func (f *follow) clearLocked() {
	f.queue = nil
	f.r.queued.Add(-int64(f.bytes))
	f.bytes = 0
}

func (f *follow) check(now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.fixed:
		return fmt.Errorf("bucket %d: no position yet", f.bucket)
	case f.gap != "":
		return fmt.Errorf("bucket %d: asking the log: %s", f.bucket, f.gap)
	case f.want > f.at.sequence:
		return fmt.Errorf("bucket %d: at %d, log at %d", f.bucket, f.at.sequence, f.want)
	case now.Sub(f.digested) > suspectAfter:
		return fmt.Errorf("bucket %d: no digest for %s", f.bucket, now.Sub(f.digested).Round(time.Second))
	}
	return nil
}

// work applies what waits and closes gaps until nothing is left to do.
func (f *follow) work() {
	defer f.r.workers.Done()
	if !f.fixed && !f.begin() { // only workers set fixed, and there is one
		f.rest()
		return
	}
	for {
		f.mu.Lock()
		if f.closed {
			f.running = false
			f.mu.Unlock()
			return
		}
		if f.gap == "" && len(f.queue) == 0 && f.want > f.at.sequence {
			f.gapLocked(gapDigest)
		}
		if f.gap != "" {
			reason := f.gap
			f.gap = "" // another one may come while this one is closed
			f.mu.Unlock()
			if !f.repair(reason) {
				f.rest()
				return
			}
			continue
		}
		if len(f.queue) == 0 {
			f.queue = nil
			f.running = false
			f.mu.Unlock()
			return
		}
		m := f.queue[0]
		f.queue[0] = nil
		f.queue = f.queue[1:]
		f.bytes -= len(m.Data)
		f.mu.Unlock()
		f.r.queued.Add(-int64(len(m.Data)))
		f.take(m)
	}
}

// rest ends the worker of a bucket that was closed while it waited.
func (f *follow) rest() {
	f.mu.Lock()
	f.running = false
	f.mu.Unlock()
}

// take applies one message.
func (f *follow) take(m *nats.Msg) {
	if kind, _, _ := parseBucketSubject(m.Subject); kind != "live" {
		e, err := decodeEvent(m.Data)
		if err != nil {
			malformed.Inc()
			return
		}
		f.r.cfg.OnEphemeral(f.bucket, e)
		return
	}
	seq, pred, err := parseRepublished(m.Header)
	if err != nil {
		malformed.Inc()
		f.suspect(gapError)
		return
	}
	if seq <= f.at.sequence {
		return
	}
	e, err := decodeEntry(m.Data)
	switch {
	case err != nil:
		malformed.Inc()
		f.miss(gapError, seq)
	case f.inc != 0 && e.Incarnation != f.inc:
		f.miss(gapIncarnation, seq)
	case ignorePredecessor:
		f.apply(seq, e)
	case pred > f.at.sequence:
		f.miss(gapPredecessor, seq)
	case !f.continues(e):
		f.miss(gapCounter, seq)
	case pred == 0 && f.at.counter == 0 && e.Counter != 1:
		// Retention took the predecessor, so nothing proves that there was none after our position.
		f.miss(gapPredecessor, seq)
	default:
		f.apply(seq, e)
	}
}

// continues tells whether the counter says that e follows what was applied last, as far as that is known.
func (f *follow) continues(e *pb.Entry) bool { return f.at.counter == 0 || e.Counter == f.at.counter+1 }

// miss drops a message that does not fit: the log has it.
func (f *follow) miss(reason gapReason, seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.want = max(f.want, seq)
	f.gapLocked(reason)
}

func (f *follow) apply(seq uint64, e *pb.Entry) {
	f.mu.Lock()
	if !f.closed {
		f.recent.add(f.at.sequence, seq, e) // first: who is told of it may ask for it
	}
	f.mu.Unlock()
	f.r.cfg.OnEntry(f.bucket, seq, e)
	f.move(place{seq, e.Counter}, e.Incarnation)
}

func (f *follow) move(to place, inc uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.inc = to, inc
}
