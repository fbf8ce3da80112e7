package journal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// A writer is an edge that numbers things at random, and remembers in which order it did.
type writer struct {
	r       *rand.Rand
	index   int64
	number  uint64
	applied map[uint32]uint64
	wait    map[uint64]map[uint64]*pb.JournalPlace // session → place
	done    []step
	records []*pb.JournalRecord
}

// A step is what changes somebody's position once that somebody has an index.
type step struct {
	record   uint64
	from, to int64
	bucket   uint32
	sequence uint64
	event    uint32
	start    bool
	place    *pb.JournalPlace
	snapshot map[uint32]uint64 // of all that was followed at that moment
	waiting  []*pb.JournalPlace
}

const (
	buckets  = 5
	sessions = 3
)

func newWriter(r *rand.Rand) *writer {
	w := &writer{r: r, index: r.Int64N(3), applied: map[uint32]uint64{}, wait: map[uint64]map[uint64]*pb.JournalPlace{}}
	for s := range uint64(sessions) {
		w.wait[s+1] = map[uint64]*pb.JournalPlace{}
	}
	return w
}

// write makes one record of a few things.
func (w *writer) write(snapshot bool) {
	w.number++
	rec := &pb.JournalRecord{Boot: 7, Number: w.number, From: w.index}
	if w.number == 1 {
		rec.From = 0
	}
	for range w.r.IntN(5) {
		b := uint32(w.r.IntN(buckets))
		switch at, followed := w.applied[b], false; w.r.IntN(7) {
		case 0: // hole
			w.index++
		case 1: // follows, perhaps once more, further on
			w.applied[b] = at + uint64(w.r.IntN(4))
			rec.Starts = append(rec.Starts, &pb.JournalStart{Index: w.index, Bucket: b, Sequence: w.applied[b]})
			w.done = append(w.done, step{record: w.number, from: w.index, to: w.index, bucket: b, sequence: w.applied[b], start: true})
		case 2: // place
			s := uint64(w.r.IntN(sessions) + 1)
			p := &pb.JournalPlace{Session: s, Place: uint64(w.r.IntN(4)), Index: w.index}
			switch w.r.IntN(3) {
			case 0:
				w.index++
				p.Index, p.Shown = w.index, true
			case 1:
				p.Gone = true
			}
			rec.Places = append(rec.Places, p)
			w.done = append(w.done, step{record: w.number, from: p.Index, to: p.Index, place: p})
			naivePlace(w.wait[s], p)
		default:
			if at, followed = w.applied[b]; !followed {
				continue
			}
			e := &pb.JournalEvent{Index: w.index + 1, Bucket: b, Sequence: at + 1 + uint64(w.r.IntN(3)), Event: uint32(w.r.IntN(3))}
			width := int64(1)
			if w.r.IntN(3) == 0 {
				width = 2 + w.r.Int64N(3)
				e.Width = uint32(width)
			}
			w.applied[b], w.index = e.Sequence, w.index+width
			rec.Events = append(rec.Events, e)
			w.done = append(w.done, step{record: w.number, from: e.Index, to: w.index, bucket: b, sequence: e.Sequence, event: e.Event})
		}
	}
	rec.To = w.index
	if snapshot {
		rec.Snapshot = &pb.JournalSnapshot{}
		s := step{record: w.number, from: rec.To, to: rec.To, snapshot: map[uint32]uint64{}}
		for b, at := range w.applied {
			if w.r.IntN(20) == 0 { // let go
				delete(w.applied, b)
				continue
			}
			rec.Snapshot.Buckets, rec.Snapshot.Sequences = append(rec.Snapshot.Buckets, b), append(rec.Snapshot.Sequences, at)
			s.snapshot[b] = at
		}
		for _, places := range w.wait {
			for _, p := range places {
				p = gproto.CloneOf(p)
				p.Index = 0
				rec.Snapshot.Waiting = append(rec.Snapshot.Waiting, p)
				s.waiting = append(s.waiting, p)
			}
		}
		w.split(rec, &s)
		w.done = append(w.done, s)
		return
	}
	w.records = append(w.records, rec)
}

// split has a snapshot in up to four records; it counts from the last on.
func (w *writer) split(rec *pb.JournalRecord, s *step) {
	all, parts := rec.Snapshot.Waiting, 1+w.r.IntN(4)
	for i := range parts {
		if i > 0 {
			w.number++
			rec = &pb.JournalRecord{Boot: 7, Number: w.number, From: w.index, To: w.index, Snapshot: &pb.JournalSnapshot{Part: uint32(i), Parts: uint32(parts)}}
		} else if parts > 1 {
			rec.Snapshot.Parts = uint32(parts)
		}
		rec.Snapshot.Waiting = all[len(all)*i/parts : len(all)*(i+1)/parts]
		w.records = append(w.records, rec)
	}
	s.record = w.number
}

func naivePlace(now map[uint64]*pb.JournalPlace, p *pb.JournalPlace) {
	switch {
	case p.Place == 0 && (p.Shown || p.Gone):
		clear(now)
	case p.Place == 0:
		clear(now)
		now[0] = p
	default:
		now[p.Place] = p
	}
}

// naive goes through everything that the records in has say, from a snapshot on; ok is false if they do not reach the index.
func (w *writer) naive(came, has map[uint64]bool, index int64, session uint64) (at map[uint32]Position, waiting map[uint64]*pb.JournalPlace, covered int64, found bool) {
	base := uint64(0)
	for _, r := range w.records {
		if n := r.Snapshot.GetParts(); r.Snapshot == nil || r.To > index || n > 0 && r.Snapshot.Part < n-1 {
			continue
		}
		whole := has[r.Number] // parts before it may be forgotten since
		for k := range uint64(r.Snapshot.Part) + 1 {
			whole = whole && came[r.Number-k]
		}
		if whole {
			base = r.Number
		}
	}
	if base == 0 {
		return nil, nil, 0, false
	}
	last := base
	for has[last+1] {
		last++
	}
	covered = w.records[last-1].To
	if covered < index {
		index = covered
	}
	at, waiting = map[uint32]Position{}, map[uint64]*pb.JournalPlace{}
	for _, s := range w.done {
		switch {
		case s.record < base || s.record > last || s.record == base && s.snapshot == nil || s.snapshot != nil && s.record != base || s.from > index:
		case s.snapshot != nil:
			for b, seq := range s.snapshot {
				at[b] = Position{Bucket: b, Sequence: seq + 1}
			}
			for _, p := range s.waiting {
				if p.Session == session {
					waiting[p.Place] = p
				}
			}
		case s.place != nil:
			if s.place.Session == session {
				naivePlace(waiting, s.place)
			}
		case s.start:
			at[s.bucket] = Position{Bucket: s.bucket, Sequence: s.sequence + 1}
		case index >= s.to:
			at[s.bucket] = Position{Bucket: s.bucket, Sequence: s.sequence, Events: s.event + 1}
		default:
			at[s.bucket] = Position{Bucket: s.bucket, Sequence: s.sequence, Events: s.event, Frames: uint32(index - s.from + 1)}
		}
	}
	return at, waiting, covered, true
}

// An index says at every number what one finds who goes through all that was written, whatever of it is missing, comes twice, late, or has
// been forgotten.
func TestIndexAgainstAllOfIt(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	counts := map[Status]int{}
	for round := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, round))
		w := newWriter(r)
		for i := range 5 + r.IntN(40) {
			w.write(i == 0 || r.IntN(6) == 0)
		}
		start := time.Unix(1000, 0)
		x, has := New(), map[uint64]bool{}
		order := slices.Clone(w.records)
		for i := range order { // a few come late
			if j := i + r.IntN(4); j < len(order) && r.IntN(5) == 0 {
				order[i], order[j] = order[j], order[i]
			}
		}
		lossy := r.IntN(2) == 0
		for _, rec := range order {
			if lossy && r.IntN(8) == 0 {
				continue
			}
			has[rec.Number] = true
			for range 1 + r.IntN(2) {
				if err := x.Add(rec, start.Add(time.Duration(rec.Number)*time.Second)); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
		}
		came := maps.Clone(has)
		for before := uint64(0); before <= uint64(len(w.records)); before += uint64(1 + r.IntN(30)) {
			x.Expire(start.Add(time.Duration(before) * time.Second))
			for n := range before {
				delete(has, n)
			}
			for index := int64(-1); index <= w.index+2; index++ {
				session := uint64(r.IntN(sessions) + 1)
				got := x.At(index, session, nil)
				at, waiting, covered, found := w.naive(came, has, index, session)
				want := Found{Status: Gone}
				if found {
					want.Covered = covered
					if want.Status = Known; covered < index {
						want.Status = Beyond
					}
				}
				counts[want.Status]++
				where := fmt.Sprintf("seed %d round %d, %d of %d records, from %d: index %d of %d, session %d", seed, round, len(has), len(w.records), before,
					index, w.index, session)
				if got.Status != want.Status || got.Covered != want.Covered || len(got.Positions) != len(at) || len(got.Waiting) != len(waiting) {
					t.Fatalf("%s: got %+v, want %+v with %v %v", where, got, want, at, waiting)
				}
				for _, p := range got.Positions {
					if p != at[p.Bucket] {
						t.Fatalf("%s: got %v, want %v", where, p, at[p.Bucket])
					}
				}
				for _, p := range got.Waiting {
					if q := waiting[p.Place]; !gproto.Equal(p, q) {
						t.Fatalf("%s: got %v, want %v", where, p, q)
					}
				}
			}
		}
	}
	for _, s := range []Status{Known, Beyond, Gone} {
		if counts[s] < 100 {
			t.Errorf("status %d: only %d cases", s, counts[s])
		}
	}
}

func add(t *testing.T, x *Index, records ...*pb.JournalRecord) {
	t.Helper()
	for _, r := range records {
		if err := x.Add(r, time.Unix(int64(r.Number), 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// vector reads positions as bucket:sequence.events.frames.
func vector(f Found) (out string) {
	for _, p := range f.Positions {
		out += fmt.Sprintf(" %d:%d.%d.%d", p.Bucket, p.Sequence, p.Events, p.Frames)
	}
	return out
}

// Where a session went live counts as one more snapshot: it stands in for one that is gone, and knows of what the edge had applied for nobody.
func TestBase(t *testing.T) {
	x := New()
	add(t, x,
		&pb.JournalRecord{Boot: 1, Number: 1, To: 10, Snapshot: &pb.JournalSnapshot{Buckets: []uint32{1, 2}, Sequences: []uint64{100, 200}}},
		&pb.JournalRecord{Boot: 1, Number: 2, From: 10, To: 12, Events: []*pb.JournalEvent{{Index: 11, Bucket: 1, Sequence: 110, Width: 2}}},
		&pb.JournalRecord{Boot: 1, Number: 3, From: 12, To: 13, Events: []*pb.JournalEvent{{Index: 13, Bucket: 2, Sequence: 230, Event: 1}},
			Places: []*pb.JournalPlace{{Index: 13, Session: 5, Place: 8, Shown: true}, {Index: 12, Session: 5, Place: 9}}},
		&pb.JournalRecord{Boot: 1, Number: 5, From: 14, To: 20}, // 4 is missing
	)
	also := &Base{Index: 12, Positions: []Position{{Bucket: 1, Sequence: 120}, {Bucket: 2, Sequence: 221}, {Bucket: 3, Sequence: 7}},
		Waiting: []*pb.JournalPlace{{Session: 5, Place: 8}}}
	for _, c := range []struct {
		index   int64
		also    *Base
		status  Status
		covered int64
		want    string
		waiting int
	}{
		{9, also, Gone, 0, "", 0},
		{10, nil, Known, 13, " 1:101.0.0 2:201.0.0", 0},
		{11, also, Known, 13, " 1:110.0.1 2:201.0.0", 0},          // in front of the base
		{12, nil, Known, 13, " 1:110.1.0 2:201.0.0", 1},           // 9 waits from 12 on
		{12, also, Known, 13, " 1:120.0.0 2:221.0.0 3:7.0.0", 2},  // 110 to 119 went to nobody of this edge, or were replayed
		{13, also, Known, 13, " 1:120.0.0 2:230.2.0 3:7.0.0", 2},  // 8 was shown
		{17, also, Beyond, 13, " 1:120.0.0 2:230.2.0 3:7.0.0", 2}, // behind a gap
		{17, nil, Beyond, 13, " 1:110.1.0 2:230.2.0", 2},          // the same without
		{17, &Base{Index: 16}, Known, 20, "", 0},                  // live behind the gap
		{21, &Base{Index: 16}, Beyond, 20, "", 0},                 // and beyond the end
		{20, &Base{Index: 14}, Beyond, 14, "", 0},                 // what is missing may say something of 14
		{14, &Base{Index: 14, Positions: also.Positions}, Known, 14, " 1:120.0.0 2:221.0.0 3:7.0.0", 0},
	} {
		got := x.At(c.index, 5, c.also)
		if got.Status != c.status || got.Covered != c.covered || vector(got) != c.want || len(got.Waiting) != c.waiting {
			t.Errorf("at %d with %v: got %d %d%s %v, want %d %d%s and %d places", c.index, c.also, got.Status, got.Covered, vector(got), got.Waiting,
				c.status, c.covered, c.want, c.waiting)
		}
	}
	x.Expire(time.Unix(3, 0)) // the snapshot is gone
	if got := x.At(13, 5, nil); got.Status != Gone {
		t.Errorf("without its snapshot: got %+v", got)
	}
	if got := x.At(13, 5, also); got.Status != Known || vector(got) != " 1:120.0.0 2:230.2.0 3:7.0.0" || len(got.Waiting) != 2 {
		t.Errorf("with the base alone: got %d%s %v", got.Status, vector(got), got.Waiting)
	}
	x.Expire(time.Unix(9, 0))
	if got := x.At(13, 5, also); got.Status != Beyond || got.Covered != 12 || vector(got) != " 1:120.0.0 2:221.0.0 3:7.0.0" {
		t.Errorf("of nothing but the base: got %d %d%s", got.Status, got.Covered, vector(got))
	}
	if w := x.Weight(); w != 0 {
		t.Errorf("an empty index weighs %d", w)
	}
	if x.End() != 20 {
		t.Errorf("end: got %d, want 20: numbers that were given stay given", x.End())
	}
}

// Records that cover nothing say what became of places, and come before the one that covers what a client got next: one that is missing is a gap.
func TestBaseBeforeRecordsOfPlaces(t *testing.T) {
	x := New()
	shown := &pb.JournalRecord{Boot: 1, Number: 3, From: 4, To: 4, Places: []*pb.JournalPlace{{Index: 5, Session: 5, Place: 8, Shown: true}}}
	add(t, x,
		&pb.JournalRecord{Boot: 1, Number: 1, To: 2},
		&pb.JournalRecord{Boot: 1, Number: 2, From: 2, To: 4},
		&pb.JournalRecord{Boot: 1, Number: 4, From: 4, To: 5},
	)
	base := &Base{Index: 4, Waiting: []*pb.JournalPlace{{Session: 5, Place: 8}}}
	if got := x.At(5, 5, base); got.Status != Beyond || got.Covered != 4 || len(got.Waiting) != 1 || got.Waiting[0].Shown {
		t.Errorf("without the record between: %+v", got)
	}
	add(t, x, shown)
	if got := x.At(5, 5, base); got.Status != Known || len(got.Waiting) != 1 || !got.Waiting[0].Shown {
		t.Errorf("with it: %+v", got)
	}
}

// A record that no edge writes counts as missing.
func TestRecordsThatCannotBe(t *testing.T) {
	event := func(index int64, width uint32) *pb.JournalEvent { return &pb.JournalEvent{Index: index, Width: width} }
	for name, r := range map[string]*pb.JournalRecord{
		"no boot":         {Number: 3, From: 10, To: 20},
		"no number":       {Boot: 1, From: 10, To: 20},
		"backwards":       {Boot: 1, Number: 3, From: 20, To: 10},
		"far":             {Boot: 1, Number: 3, From: 10, To: 1 << 62},
		"early event":     {Boot: 1, Number: 3, From: 10, To: 20, Events: []*pb.JournalEvent{event(10, 1)}},
		"late event":      {Boot: 1, Number: 3, From: 10, To: 20, Events: []*pb.JournalEvent{event(21, 1)}},
		"wide event":      {Boot: 1, Number: 3, From: 10, To: 20, Events: []*pb.JournalEvent{event(19, 3)}},
		"events disorder": {Boot: 1, Number: 3, From: 10, To: 20, Events: []*pb.JournalEvent{event(12, 2), event(13, 1)}},
		"bucket":          {Boot: 1, Number: 3, From: 10, To: 20, Starts: []*pb.JournalStart{{Bucket: 1024}}},
		"snapshot":        {Boot: 1, Number: 3, From: 10, To: 20, Snapshot: &pb.JournalSnapshot{Buckets: []uint32{1}}},
		"part":            {Boot: 1, Number: 3, From: 10, To: 10, Snapshot: &pb.JournalSnapshot{Part: 2, Parts: 2}},
		"first part":      {Boot: 1, Number: 1, Snapshot: &pb.JournalSnapshot{Part: 1, Parts: 2}},
		"part with index": {Boot: 1, Number: 3, From: 10, To: 20, Snapshot: &pb.JournalSnapshot{Part: 1, Parts: 2}},
		"parts":           {Boot: 1, Number: 3, From: 10, To: 20, Snapshot: &pb.JournalSnapshot{Parts: 1 << 13}},
		"snapshot bucket": {Boot: 1, Number: 3, From: 10, To: 20, Snapshot: &pb.JournalSnapshot{Buckets: []uint32{1024}, Sequences: []uint64{1}}},
		"overlap":         {Boot: 1, Number: 3, From: 8, To: 20},
		"hole":            {Boot: 1, Number: 3, From: 11, To: 20},
	} {
		x := New()
		add(t, x, &pb.JournalRecord{Boot: 1, Number: 2, To: 10, Snapshot: &pb.JournalSnapshot{}})
		if err := x.Add(r, time.Unix(1, 0)); err == nil {
			t.Errorf("%s: taken", name)
		}
		if got := x.At(15, 1, nil); got.Status != Beyond || got.Covered != 10 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// What was packed is found, bucket by bucket, and a message that Pack did not make has nothing.
func TestPack(t *testing.T) {
	list := []Position{{Bucket: 0, Sequence: 9}, {Bucket: 7, Sequence: 1 << 60, Events: 2, Frames: 1}, {Bucket: 1023, Sequence: 1}}
	packed := Pack(list)
	var got []*pb.ResumePosition
	for b := range 1024 {
		if p := Find(packed, b); p != nil {
			got = append(got, p)
		}
	}
	if !slices.Equal(Of(got), list) {
		t.Errorf("got %v, want %v", got, list)
	}
	packed.Frames = packed.Frames[:1]
	if p := Find(packed, 7); p != nil {
		t.Errorf("got %v of lists that differ", p)
	}
	if p := Find(nil, 7); p != nil {
		t.Errorf("got %v of nothing", p)
	}
}
