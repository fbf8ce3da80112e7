package journal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// maxIndex bounds indices, so that sums of them cannot overflow.
const maxIndex = 1 << 61

// maxParts bounds how many records one snapshot takes.
const maxParts = 1 << 12

// A record that has been added.
type record struct {
	number   uint64
	from, to int64
	at       time.Time // when it was stored
}

// A mark is a place from which on a bucket's position is another one.
type mark struct {
	from     int64 // index of an event's first frame, or of a start
	sequence uint64
	record   uint64
	event    uint32 // its place among the entry's events
	width    uint32 // 0: a start, and sequence is had
}

func (m mark) to() int64 { return m.from + max(int64(m.width), 1) - 1 }

// at is the position at an index that is not before m.
func (m mark) at(bucket uint32, index int64) Position {
	switch {
	case m.width == 0:
		return behind(bucket, m.sequence)
	case index >= m.to():
		return Position{Bucket: bucket, Sequence: m.sequence, Events: m.event + 1}
	}
	return Position{Bucket: bucket, Sequence: m.sequence, Events: m.event, Frames: uint32(index - m.from + 1)}
}

// A snapshot is the whole position at an index.
type snapshot struct {
	record  uint64
	at      int64
	buckets map[uint32]uint64
	waiting map[uint64][]*pb.JournalPlace // by session
}

// A place is what a record says of one.
type place struct {
	record uint64
	*pb.JournalPlace
}

// check reports a record that no edge of ours writes.
func check(r *pb.JournalRecord) error {
	switch {
	case r.Boot == 0 || r.Number == 0:
		return errors.New("no boot or number")
	case r.From < 0 || r.To < r.From || r.To > maxIndex:
		return fmt.Errorf("indices from %d to %d", r.From, r.To)
	}
	end := r.From
	for _, e := range r.Events {
		if e.Index <= end || e.Index > r.To || int64(e.Width) > r.To-e.Index+1 || e.Bucket >= chat.Buckets {
			return fmt.Errorf("event of bucket %d at %d, %d wide, behind %d", e.Bucket, e.Index, e.Width, end)
		}
		end = e.Index + max(int64(e.Width), 1) - 1
	}
	for _, s := range r.Starts {
		if s.Bucket >= chat.Buckets {
			return fmt.Errorf("start of bucket %d", s.Bucket)
		}
	}
	if s := r.Snapshot; s != nil {
		if s.Part > 0 && (s.Part >= s.Parts || uint64(s.Part) >= r.Number || r.From != r.To || len(r.Events)+len(r.Starts)+len(r.Places) > 0) || s.Parts > maxParts {
			return fmt.Errorf("part %d of %d of a snapshot, with indices from %d to %d", s.Part, s.Parts, r.From, r.To)
		}
		if len(s.Buckets) != len(s.Sequences) || len(s.Buckets) > chat.Buckets {
			return fmt.Errorf("snapshot of %d buckets with %d sequences", len(s.Buckets), len(s.Sequences))
		}
		for _, b := range s.Buckets {
			if b >= chat.Buckets {
				return fmt.Errorf("snapshot of bucket %d", b)
			}
		}
	}
	return nil
}

// marksOf lists what a record says by bucket, in order of index. A start behind the last frame of an event with the same index comes second. One
// that names an index outside of its record counts from where the record does.
func marksOf(r *pb.JournalRecord) map[uint32][]mark {
	out := make(map[uint32][]mark)
	for _, e := range r.Events {
		out[e.Bucket] = append(out[e.Bucket], mark{from: e.Index, sequence: e.Sequence, record: r.Number, event: e.Event, width: max(e.Width, 1)})
	}
	for _, s := range r.Starts {
		m := mark{from: min(max(s.Index, r.From), r.To), sequence: s.Sequence, record: r.Number}
		list := out[s.Bucket]
		i := len(list)
		for i > 0 && list[i-1].from > m.from {
			i--
		}
		out[s.Bucket] = slices.Insert(list, i, m)
	}
	return out
}

// A partial snapshot is one of which parts are missing.
type partial struct {
	snapshot
	parts, missing uint32
}

func (s *snapshot) take(part *pb.JournalSnapshot) {
	for i, b := range part.Buckets {
		s.buckets[b] = part.Sequences[i]
	}
	if len(part.Waiting) > 0 && s.waiting == nil {
		s.waiting = make(map[uint64][]*pb.JournalPlace)
	}
	for _, p := range part.Waiting {
		s.waiting[p.Session] = append(s.waiting[p.Session], p)
	}
}
