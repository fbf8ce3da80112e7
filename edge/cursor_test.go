package edge

import (
	"slices"
	"testing"

	"github.com/starling-chat/starling/proto"
)

// An event of the log takes as many indices as the most frames that one session gets of it; the k-th frame of each session has the k-th.
// What comes up for one session alone meanwhile follows behind, and what no log holds takes the next.
func TestCursor(t *testing.T) {
	l := &loop{cursor: newCursor(), index: 10}
	a, b := &session{gen: &generation{}, ring: ring{maxEvents: 10, maxBytes: 1 << 20}}, &session{gen: &generation{}, ring: ring{maxEvents: 10, maxBytes: 1 << 20}}
	first, second, alone := ownEvent("A", 1), ownEvent("B", 2), ownEvent("ALONE", 3)
	l.during(7, 42, 3, func() {
		l.give(a, first)
		l.giveAlone(b, alone)
		l.give(a, second)
		l.give(b, second)
	})
	l.during(7, 42, 4, func() {})
	typing := &event{kind: proto.EventTypingStart, fleeting: true}
	l.give(a, typing)
	indices := func(s *session) (list []int64) {
		s.ring.after(0, func(e *event) { list = append(list, e.index) })
		return list
	}
	if got := indices(a); !slices.Equal(got, []int64{11, 12}) {
		t.Errorf("a got %v", got)
	}
	if got := indices(b); !slices.Equal(got, []int64{11, 13}) {
		t.Errorf("b got %v", got)
	}
	if typing.index != 14 || l.index != 14 {
		t.Errorf("typing carries %d, the index is %d; want 14 of both", typing.index, l.index)
	}
	if n := len(l.cursor.record.Events); n != 1 {
		t.Fatalf("%d events in the record, want 1", n)
	}
	if e := l.cursor.record.Events[0]; e.Index != 11 || e.Width != 2 || e.Bucket != 7 || e.Sequence != 42 || e.Event != 3 {
		t.Errorf("record says %v", e)
	}
}
