package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	journalBatch    = 4096 // records of one answer: an edge may write a million within Retention
	journalBytesAt  = 4 << 20
	journalPatience = 5 * time.Second       // for all of a journal
	journalBoots    = 32                    // of one edge that are remembered
	journalWeight   = 512 << 20             // bytes of memory, about, of all that is remembered
	journalAhead    = 3 * time.Second       // between readings of what nobody has asked for yet
	journalGather   = 10 * time.Millisecond // between readings of one that many ask for
)

// A JournalIndex is what one boot of an edge wrote.
type JournalIndex = journal.Index

// A JournalReader reads edges' journals for the cores. It keeps what it has read for as long as the hubs would, so that the many sessions of
// an edge that died cost one reading. Any goroutine may call it.
type JournalReader struct {
	stream *memoryStream
	most   int
	tails  journalTails

	mu    sync.Mutex // before any edge's
	edges map[string]*edgeJournal
	hub   time.Time // the hubs' time when heard was here: what this machine's clock says counts for nothing
	heard time.Time
}

// An edgeJournal is what was read of one edge.
type edgeJournal struct {
	turn  chan struct{} // held by who reads; what follows is its holder's
	next  uint64        // sequence to read from
	begin time.Time     // of the last reading

	mu     sync.Mutex
	begun  uint64 // readings that began
	done   uint64 // the last of them that came to the end
	boots  map[uint64]*JournalIndex
	weight int
	used   time.Time
}

// OpenJournals makes the region's stream of journals or finds it. While the hubs have no majority it keeps trying until ctx ends. Any number of
// cores may do so at once.
func OpenJournals(ctx context.Context, bus *Bus) (*JournalReader, error) {
	m, err := openMemoryStream(ctx, bus, jetstream.StreamConfig{Name: journalStream(bus.region), Subjects: []string{JournalSubject("*")},
		MaxMsgSize: JournalLimit + 4<<10, AllowDirect: true})
	if err != nil {
		return nil, fmt.Errorf("journals: %w", err)
	}
	return &JournalReader{stream: m, most: journalWeight, edges: make(map[string]*edgeJournal)}, nil
}

// Run hears what edges write, reads ahead, and has the stream made again where the hubs have lost it, until ctx ends.
func (r *JournalReader) Run(ctx context.Context) error {
	stop, err := r.stream.bus.Subscribe(JournalSubject("*"), r.tails.hear)
	if err != nil {
		return fmt.Errorf("journals: %w", err)
	}
	defer stop()
	var ahead sync.WaitGroup
	ahead.Go(func() { r.readAhead(ctx) })
	defer ahead.Wait()
	return r.stream.keep(ctx)
}

// readAhead keeps up with edges that write: else all that one wrote within Retention is read when it dies, while its sessions wait.
func (r *JournalReader) readAhead(ctx context.Context) {
	var names []string
	for at := 0; ; at++ {
		if at >= len(names) {
			names, at = r.tails.names(), 0
		}
		if at < len(names) {
			if e := r.ahead(names[at]); e != nil {
				_ = r.refresh(ctx, names[at], e) // who asks will be told
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(journalAhead / time.Duration(max(len(names), 1))):
		}
	}
}

// ahead finds what is kept of an edge that nobody asked for; nil where there is no room for it.
func (r *JournalReader) ahead(name string) *edgeJournal {
	r.mu.Lock()
	e := r.edges[name]
	total, _ := r.weighLocked(time.Now(), e)
	r.mu.Unlock()
	if e == nil && total > r.most/2 { // what is dropped for want of room would be read again, for ever
		return nil
	}
	return r.edge(name)
}

// Index is the journal of a boot of an edge, with all that was acknowledged before the call, and what was heard of it since. Callers at the same
// time share one reading.
func (r *JournalReader) Index(ctx context.Context, edge string, boot uint64) (*JournalIndex, error) {
	if err := checkName(edge); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	e := r.edge(edge)
	if err := r.refresh(ctx, edge, e); err != nil {
		return nil, fmt.Errorf("journal of %s: %w", edge, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.boots[boot]; x != nil {
		return x, nil
	}
	return journal.New(), nil
}

// edge finds what is kept of an edge, and forgets others: those that nobody asks for, and beyond the room those not asked for longest.
func (r *JournalReader) edge(name string) *edgeJournal {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	e := r.edges[name]
	if e == nil {
		e = &edgeJournal{turn: make(chan struct{}, 1), boots: make(map[uint64]*JournalIndex)}
		r.edges[name] = e
	}
	for total, oldest := r.weighLocked(now, e); total > r.most && oldest != ""; total, oldest = r.weighLocked(now, e) {
		delete(r.edges, oldest)
	}
	e.mu.Lock()
	e.used = now
	e.mu.Unlock()
	return e
}

// weighLocked is what all edges take, and the one but e that was not asked for longest.
func (r *JournalReader) weighLocked(now time.Time, e *edgeJournal) (total int, oldest string) {
	first := now
	for name, other := range r.edges {
		other.mu.Lock()
		used, weight := other.used, other.weight
		other.mu.Unlock()
		if total += weight; other == e {
			continue
		}
		if now.Sub(used) > Retention {
			delete(r.edges, name)
			total -= weight
		} else if oldest == "" || used.Before(first) {
			first, oldest = used, name
		}
	}
	return total, oldest
}

// refresh reads what is new, unless somebody does who begins after this call.
func (r *JournalReader) refresh(ctx context.Context, name string, e *edgeJournal) error {
	e.mu.Lock()
	asked := e.begun
	e.mu.Unlock()
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.turn }()
	e.mu.Lock()
	known := e.done > asked
	e.mu.Unlock()
	if known {
		return nil
	}
	// Of a herd many ask within a moment: they wait for each other, and share a reading.
	if d := time.Until(e.begin.Add(journalGather)); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.begin = time.Now()
	e.mu.Lock()
	e.begun++
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, journalPatience)
	defer cancel()
	journalReads.Inc()
	if err := r.read(ctx, name, e); err != nil {
		return err
	}
	now := r.hubTime(time.Time{})
	if !now.IsZero() {
		for _, rec := range r.tails.take(name) {
			e.add(stored{data: rec.body, at: now.Add(-time.Since(rec.at))})
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = e.begun
	e.forgetLocked(now.Add(-Retention))
	return nil
}

// hubTime is the hubs' time, carried on from what they stamped last: late perhaps, never early; zero before there was a stamp. It takes one into
// account.
func (r *JournalReader) hubTime(stamp time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard.IsZero() && stamp.IsZero() {
		return stamp
	}
	now := r.hub.Add(time.Since(r.heard))
	if stamp.After(now) || r.heard.IsZero() {
		r.hub, r.heard, now = stamp, time.Now(), stamp
	}
	return now
}

// read goes on to the last record that the stream's leader knows of. Direct gets are answered by any replica, also by one that is behind: it asks
// again.
func (r *JournalReader) read(ctx context.Context, name string, e *edgeJournal) error {
	subject := JournalSubject(name)
	for try := 0; ; try++ {
		last, err := r.stream.last(ctx, subject)
		if errors.Is(err, errNone) {
			return nil // all of it is too old, as what we have
		}
		if err != nil {
			return err
		}
		r.hubTime(last.at)
		if e.next > last.sequence {
			return nil
		}
		for more := true; more && e.next <= last.sequence; {
			if more, err = r.batch(ctx, subject, e); err != nil {
				return err
			}
		}
		if e.next > last.sequence {
			return nil
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// batch reads some records; more is false if there was none.
func (r *JournalReader) batch(ctx context.Context, subject string, e *edgeJournal) (more bool, err error) {
	req := getRequest{Seq: max(e.next, 1), NextFor: subject, Batch: journalBatch, MaxBytes: journalBytesAt}
	_, _, err = r.stream.bus.getBatch(ctx, r.stream.cfg.Name, req, func(s stored) error {
		if s.sequence >= e.next {
			e.next, more = s.sequence+1, true
			journalRecords.Inc()
			e.add(s)
		}
		return nil
	})
	if errors.Is(err, errNone) || err != nil && more {
		return more, nil // what came is good
	}
	return more, err
}

// add takes a record. One that cannot be read counts as missing.
func (e *edgeJournal) add(s stored) {
	rec := new(pb.JournalRecord)
	if err := proto.Unmarshal(s.data, rec); err != nil {
		malformed.Inc()
		return
	}
	e.mu.Lock()
	x := e.boots[rec.Boot]
	if x == nil {
		x = journal.New()
		e.boots[rec.Boot] = x
	}
	if len(e.boots) > journalBoots {
		var oldest uint64
		for boot, other := range e.boots {
			if other != x && (oldest == 0 || other.Newest().Before(e.boots[oldest].Newest())) {
				oldest = boot
			}
		}
		delete(e.boots, oldest)
	}
	e.mu.Unlock()
	if err := x.Add(rec, s.at); err != nil {
		malformed.Inc()
	}
}

func (e *edgeJournal) forgetLocked(before time.Time) {
	e.weight = 0
	for boot, x := range e.boots {
		x.Expire(before)
		if x.Newest().IsZero() {
			delete(e.boots, boot)
			continue
		}
		e.weight += x.Weight()
	}
}
