package journal

import (
	"cmp"
	"slices"
	"sort"

	"github.com/starling-chat/starling/proto/pb"
)

// At finds where a session stands whose client got everything up to an index. also, which may be nil, counts as one more snapshot: both say
// what the client has at the least, so what is further is right.
func (x *Index) At(index int64, session uint64, also *Base) Found {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if also != nil && also.Index > index {
		also = nil
	}
	snap, snapEnd := x.snapshotAt(index)
	start, alsoEnd, covered := -1, -1, int64(-1)
	if also != nil {
		covered = also.Index
		if start = x.recordAt(also.Index); start >= 0 {
			alsoEnd = x.runEnd(start)
			covered = max(covered, x.records[alsoEnd].to)
		}
	}
	if snap != nil {
		covered = max(covered, x.records[snapEnd].to)
	}
	out := Found{Status: Known, Covered: covered}
	switch {
	case snap == nil && also == nil:
		return Found{Status: Gone}
	case covered < index:
		out.Status, index = Beyond, covered
	}
	if snap != nil && x.records[snapEnd].to >= index {
		out.Positions = x.positions(snap, x.records[snapEnd].number, index)
		if also != nil {
			out.Positions = merge(out.Positions, snap.knows(also))
		}
		out.Waiting = x.waiting(session, snap, also, x.records[snapEnd].number, index)
		return out
	}
	// From also alone, and what the records say that follow it without a gap.
	if start < 0 {
		out.Positions, out.Waiting = merge(nil, also.Positions), fold(nil, also.Waiting)
		return out
	}
	out.Positions = merge(x.marksBetween(x.records[start].number, x.records[alsoEnd].number, also.Index, index), also.Positions)
	out.Waiting = x.waiting(session, nil, also, x.records[alsoEnd].number, index)
	return out
}

// knows is what another base says of buckets that the snapshot has, too. A later snapshot without a bucket says that nobody at the edge needed it any more:
// where the client was in it before means nothing.
func (s *snapshot) knows(also *Base) (list []Position) {
	for _, p := range also.Positions {
		if _, has := s.buckets[p.Bucket]; has || s.at <= also.Index {
			list = append(list, p)
		}
	}
	return list
}

// snapshotAt is the newest snapshot that is not above an index, nil if there is none, and the last record that follows it without a gap.
func (x *Index) snapshotAt(index int64) (*snapshot, int) {
	i := sort.Search(len(x.snapshots), func(i int) bool { return x.snapshots[i].at > index })
	if i == 0 {
		return nil, 0
	}
	s := &x.snapshots[i-1]
	at, _ := slices.BinarySearchFunc(x.records, s.record, func(r record, n uint64) int { return cmp.Compare(r.number, n) })
	return s, x.runEnd(at)
}

// recordAt is the first record that may say something that somebody noted at an index has not; -1 if it is missing. Others may end at that index as well:
// they cover none, and say what became of places. So does, perhaps, what is missing in front of one that begins there, unless it was here and is forgotten.
func (x *Index) recordAt(index int64) int {
	i := sort.Search(len(x.records), func(i int) bool { return x.records[i].to >= index })
	if i == len(x.records) || x.records[i].from >= index && x.records[i].number != x.expired+1 {
		return -1
	}
	return i
}

// runEnd is the last record that follows the i-th without a gap.
func (x *Index) runEnd(i int) int {
	first := x.records[i].number
	return i + sort.Search(len(x.records)-i, func(k int) bool { return x.records[i+k].number-first > uint64(k) }) - 1
}

// positions at an index, which records up to the last cover from a snapshot on.
func (x *Index) positions(s *snapshot, last uint64, index int64) []Position {
	out := make([]Position, 0, len(s.buckets))
	for b, list := range x.marks {
		if m := lastMark(list, last, index); m != nil && m.record > s.record {
			out = append(out, m.at(b, index))
		} else if sequence, ok := s.buckets[b]; ok {
			out = append(out, behind(b, sequence))
		}
	}
	for b, sequence := range s.buckets {
		if _, marked := x.marks[b]; !marked {
			out = append(out, behind(b, sequence))
		}
	}
	sortPositions(out)
	return out
}

// marksBetween are the positions at an index of buckets of which records from first to last say something above another index.
func (x *Index) marksBetween(first, last uint64, above, index int64) []Position {
	var out []Position
	for b, list := range x.marks {
		if m := lastMark(list, last, index); m != nil && m.record >= first && (m.from > above || m.width == 0 && m.from == above) {
			out = append(out, m.at(b, index))
		}
	}
	sortPositions(out)
	return out
}

// lastMark is the last mark, of a record up to last, that counts at an index; nil if there is none.
func lastMark(list []mark, last uint64, index int64) *mark {
	i := sort.Search(len(list), func(i int) bool { return list[i].from > index })
	for i > 0 && list[i-1].record > last {
		i--
	}
	if i == 0 {
		return nil
	}
	return &list[i-1]
}

// waiting are the places of a session that wait at an index: as of the newer of snapshot and base, and what records up to last say since.
func (x *Index) waiting(session uint64, s *snapshot, also *Base, last uint64, index int64) []*pb.JournalPlace {
	var out []*pb.JournalPlace
	counts := func(p place) bool { return p.record > s.record }
	if also != nil && (s == nil || s.at <= also.Index) {
		out = also.Waiting
		counts = func(p place) bool { return p.Index >= also.Index }
	} else {
		out = s.waiting[session]
	}
	var since []*pb.JournalPlace
	for _, p := range x.places[session] {
		if p.record <= last && p.Index <= index && counts(p) {
			since = append(since, p.JournalPlace)
		}
	}
	return fold(out, since)
}

// fold is which places wait once more has been said of some.
func fold(waiting, since []*pb.JournalPlace) []*pb.JournalPlace {
	now := make(map[uint64]*pb.JournalPlace, len(waiting))
	apply := func(p *pb.JournalPlace) {
		switch {
		case p.Place == 0:
			clear(now)
			if !p.Shown && !p.Gone {
				now[0] = p
			}
		default:
			now[p.Place] = p
		}
	}
	for _, p := range waiting { // of what stands for one moment the order says nothing
		if p.Place == 0 {
			apply(p)
		}
	}
	for _, p := range waiting {
		if p.Place != 0 {
			apply(p)
		}
	}
	for _, p := range since {
		apply(p)
	}
	out := make([]*pb.JournalPlace, 0, len(now))
	for _, p := range now {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *pb.JournalPlace) int { return cmp.Compare(a.Place, b.Place) })
	return out
}

// merge has of each bucket the further of two positions; lists are in order, or are put into it.
func merge(a, b []Position) []Position {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(p, q Position) int { return cmp.Or(cmp.Compare(p.Bucket, q.Bucket), -Compare(p, q)) })
	return slices.CompactFunc(all, func(p, q Position) bool { return p.Bucket == q.Bucket })
}

func sortPositions(list []Position) {
	slices.SortFunc(list, func(p, q Position) int { return cmp.Compare(p.Bucket, q.Bucket) })
}
