package journal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

// A Status says what a journal knows of an index.
type Status int

const (
	Known  Status = iota // the position is exact
	Beyond               // it is that of the last index before which nothing is missing: the client may have more
	Gone                 // nobody can say: the journal does not reach back so far
)

// A Base is a position that somebody else noted: where a session was when it went live at the edge.
type Base struct {
	Index     int64
	Positions []Position
	Waiting   []*pb.JournalPlace
}

// A Found is where a client is that got everything up to an index.
type Found struct {
	Status  Status
	Covered int64 // Beyond: the index that Positions and Waiting are of. Known: the last behind it without a gap
	// Positions by bucket, in order; a bucket that is not among them the edge did not follow.
	Positions []Position
	// Waiting are the session's places that it was not shown, and some of those that it was shown, or whose end it was told: where the user's
	// bucket is behind, nothing else says so. Where there is one with place 0 all of its places wait, but those that the list says are shown or
	// gone.
	Waiting []*pb.JournalPlace
}

// An Index is the journal of one boot of an edge. Any goroutine may call it.
type Index struct {
	mu        sync.RWMutex
	records   []record            // by number
	marks     map[uint32][]mark   // by bucket, each in order of record and index
	snapshots []snapshot          // by record
	partial   map[uint64]*partial // snapshots of which parts have yet to come, by their last record
	places    map[uint64][]place
	end       int64
	expired   uint64 // number of the last record that was forgotten
	weight    int
	stale     int // records whose marks are still there
}

// New is a journal of which nothing is known.
func New() *Index {
	return &Index{marks: make(map[uint32][]mark), partial: make(map[uint64]*partial), places: make(map[uint64][]place)}
}

// Add takes a record that was stored at a time; one that it knows changes nothing. An error is of a record that cannot be: it counts as one
// that is missing.
func (x *Index) Add(r *pb.JournalRecord, at time.Time) error {
	if err := check(r); err != nil {
		return fmt.Errorf("journal record %d: %w", r.Number, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	i, found := slices.BinarySearchFunc(x.records, r.Number, func(have record, n uint64) int { return cmp.Compare(have.number, n) })
	if found {
		return nil
	}
	if i > 0 && (x.records[i-1].to > r.From || x.records[i-1].number == r.Number-1 && x.records[i-1].to != r.From) ||
		i < len(x.records) && (x.records[i].from < r.To || x.records[i].number == r.Number+1 && x.records[i].from != r.To) {
		return fmt.Errorf("journal record %d: indices from %d to %d do not meet those of others", r.Number, r.From, r.To)
	}
	x.records = slices.Insert(x.records, i, record{r.Number, r.From, r.To, at})
	x.end = max(x.end, r.To)
	for bucket, list := range marksOf(r) {
		x.marks[bucket] = insert(x.marks[bucket], r.Number, func(m mark) uint64 { return m.record }, list)
	}
	places := make(map[uint64][]place)
	for _, p := range r.Places {
		places[p.Session] = append(places[p.Session], place{r.Number, p})
	}
	for session, list := range places {
		x.places[session] = insert(x.places[session], r.Number, func(p place) uint64 { return p.record }, list)
	}
	if r.Snapshot != nil {
		x.addSnapshot(r)
	}
	x.weight += weigh(r)
	return nil
}

// addSnapshot takes a snapshot, or a part of one. It counts once all are there, as one of the last part's record: those behind the first cover no
// index and say nothing else.
func (x *Index) addSnapshot(r *pb.JournalRecord) {
	parts := max(r.Snapshot.Parts, 1)
	last := r.Number + uint64(parts-1-r.Snapshot.Part)
	p := x.partial[last]
	if p == nil {
		p = &partial{snapshot: snapshot{record: last, at: r.To, buckets: make(map[uint32]uint64)}, parts: parts, missing: parts}
		x.partial[last] = p
	}
	if p.parts != parts || p.at != r.To {
		return // no edge of ours wrote both
	}
	p.take(r.Snapshot)
	if p.missing--; p.missing == 0 {
		delete(x.partial, last)
		x.snapshots = insert(x.snapshots, last, func(s snapshot) uint64 { return s.record }, []snapshot{p.snapshot})
	}
}

// insert puts what a record says behind what earlier ones did.
func insert[E any](list []E, number uint64, of func(E) uint64, more []E) []E {
	i := sort.Search(len(list), func(i int) bool { return of(list[i]) > number })
	return slices.Insert(list, i, more...)
}

// weigh is about how many bytes a record takes.
func weigh(r *pb.JournalRecord) int {
	n := 64 + 32*len(r.Events) + 32*len(r.Starts) + 128*len(r.Places)
	if r.Snapshot != nil {
		n += 32*len(r.Snapshot.Buckets) + 128*len(r.Snapshot.Waiting)
	}
	return n
}

// Weight is about how many bytes of memory the index takes.
func (x *Index) Weight() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.weight
}

// End is the highest index that any record speaks of, gaps or not.
func (x *Index) End() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.end
}

// Newest tells when the newest record was stored; zero if there is none.
func (x *Index) Newest() time.Time {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.records) == 0 {
		return time.Time{}
	}
	return x.records[len(x.records)-1].at
}

// Expire forgets the records in front that were stored before a time.
func (x *Index) Expire(before time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for n < len(x.records) && x.records[n].at.Before(before) {
		n++
	}
	if n == 0 {
		return
	}
	x.expired = x.records[n-1].number
	x.records, x.stale = x.records[n:], x.stale+n
	first := x.firstLocked()
	x.snapshots = slices.DeleteFunc(x.snapshots, func(s snapshot) bool { return s.record < first })
	maps.DeleteFunc(x.partial, func(last uint64, _ *partial) bool { return last < first })
	if x.stale > len(x.records)/4 { // what is of no record any more counts nowhere: it only takes room
		x.sweepLocked(first)
	}
}

// firstLocked is the number of the first record there is.
func (x *Index) firstLocked() uint64 {
	if len(x.records) == 0 {
		return ^uint64(0)
	}
	return x.records[0].number
}

func (x *Index) sweepLocked(first uint64) {
	x.stale, x.records = 0, slices.Clone(x.records)
	x.weight = 64 * len(x.records)
	for b, list := range x.marks {
		i := sort.Search(len(list), func(i int) bool { return list[i].record >= first })
		if i == len(list) {
			delete(x.marks, b)
			continue
		}
		x.marks[b] = slices.Clone(list[i:])
		x.weight += 32 * (len(list) - i)
	}
	for s, list := range x.places {
		i := sort.Search(len(list), func(i int) bool { return list[i].record >= first })
		if i == len(list) {
			delete(x.places, s)
			continue
		}
		x.places[s] = slices.Clone(list[i:])
		x.weight += 128 * (len(list) - i)
	}
	for _, s := range x.snapshots {
		x.weight += 32*len(s.buckets) + 128*len(s.waiting)
	}
}
