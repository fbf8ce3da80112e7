package edge

import (
	"slices"

	"github.com/starling-chat/starling/proto/pb"
)

// A cursor numbers what sessions get: the arrival index. It counts up by what some session here is to get, and a record of the journal says of
// each index what it was (resume.md, rules 1 and 4).
//
// An event of the log takes as many consecutive indices as the most frames that one session gets of it, and the k-th frame of every session has
// the k-th of these: so index and event together say which frames a client has. What one session alone gets takes an index that is a hole to all
// others. So does what no log holds, typing for example: a client's s rises with every dispatch.
type cursor struct {
	serial uint64           // counts events of the log
	at     *pb.JournalEvent // the one being applied; nil between them. Its index is the first that it takes
	alone  []alone          // waits for the event's end
	record *pb.JournalRecord
}

// alone is something for one session that came up while an event of the log was applied.
type alone struct {
	session *session
	event   *event
}

func newCursor() cursor { return cursor{record: &pb.JournalRecord{}} }

// during applies event number i of an entry: what is given meanwhile are its frames.
func (l *loop) during(bucket int, seq uint64, i int, apply func()) {
	l.cursor.serial++
	at := &pb.JournalEvent{Index: l.index + 1, Bucket: uint32(bucket), Sequence: seq, Event: uint32(i)}
	l.cursor.at = at
	apply()
	l.cursor.at = nil
	if width := l.index + 1 - at.Index; width > 0 {
		if at.Width = uint32(width); width == 1 {
			at.Width = 0
		}
		l.cursor.record.Events = append(l.cursor.record.Events, at)
	}
	list := l.cursor.alone
	l.cursor.alone = nil
	for _, a := range list {
		l.give(a.session, a.event)
	}
}

// number gives e its index for s, which may differ from the one that others have it under: then it is another event.
func (l *loop) number(s *session, e *event) *event {
	switch {
	case e.fleeting:
		if e.index == 0 {
			e.index = l.fleetingIndex()
		}
		return e
	case l.cursor.at == nil:
		if e.index == 0 {
			l.index++
			e.index = l.index
			for _, p := range e.places {
				l.note(s, p)
			}
			l.reflects(e)
		}
		return e
	}
	if s.serial != l.cursor.serial {
		s.serial, s.frames = l.cursor.serial, 0
	}
	want := l.cursor.at.Index + s.frames
	if !oneIndex {
		s.frames++
	}
	l.index = max(l.index, want)
	if e.index == 0 {
		e.index = want
	}
	return e.numbered(want)
}

// fleetingIndex is the index of something that no log holds: a hole. Amid the frames of an event of the log there is no room for one.
func (l *loop) fleetingIndex() int64 {
	if l.cursor.at == nil {
		l.index++
	}
	return l.index
}

// here is the last event of a bucket that the loop's tables reflect. Width is 0 where all of the entry is applied.
func (l *loop) here(bucket int) *pb.JournalEvent {
	if at := l.cursor.at; at != nil && int(at.Bucket) == bucket {
		return &pb.JournalEvent{Bucket: at.Bucket, Sequence: at.Sequence, Event: at.Event, Width: 1}
	}
	return &pb.JournalEvent{Bucket: uint32(bucket), Sequence: l.applied[bucket]}
}

// reflects journals how far in the log is what e shows. Nobody here lacks anything before that; and who gets e has no part of it coming, not even of
// what was numbered for nobody.
func (l *loop) reflects(e *event) {
	for _, at := range e.asOf {
		if at.Width > 0 {
			at.Index, at.Width = e.index, 0
			l.cursor.record.Events = append(l.cursor.record.Events, at)
			continue
		}
		l.cursor.record.Starts = append(l.cursor.record.Starts, &pb.JournalStart{Index: e.index, Bucket: at.Bucket, Sequence: at.Sequence})
	}
}

// numbered is e under an index.
func (e *event) numbered(index int64) *event {
	if e.index == index {
		return e
	}
	if i := slices.IndexFunc(e.others, func(o *event) bool { return o.index == index }); i >= 0 {
		return e.others[i]
	}
	o := &event{index: index, kind: e.kind, body: e.body, bare: e.bare, author: e.author, mentions: e.mentions}
	e.others = append(e.others, o)
	return o
}

// giveAlone hands s what nobody else gets and no log holds: not amid the frames of an event, but behind them.
func (l *loop) giveAlone(s *session, e *event) {
	if l.sandbox != nil {
		return
	}
	if l.cursor.at != nil {
		l.cursor.alone = append(l.cursor.alone, alone{s, e})
		return
	}
	l.give(s, e)
}
