package edge

import (
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

// A record of the journal has to fit into a message of the hubs, whatever a batch brought: a guild that is shown to all of an edge at once, or a snapshot
// of thousands who wait.
const (
	mostOfRecord = 1 << 13 // things in a record, and places in the snapshot beside them: 64 bytes each leave room in what the relay takes
	roomOfRecord = 1 << 17 // things that may wait for a journal that takes nothing
)

// writeRecord writes a record, in several where it has too much, and takes out what was written. Places may come before the numbers that they are of, since
// each says its own; never behind them, where the journal could end in between. The parts of a snapshot are as of one index: nothing comes between them.
func (l *loop) writeRecord(r *pb.JournalRecord, now time.Time, write func(*pb.JournalRecord) error) error {
	if err := l.writeParts(write); err != nil {
		return err
	}
	many := len(r.Events)+len(r.Starts)+len(r.Places) > l.recordMost
	for many && len(r.Places) > 0 {
		n := min(len(r.Places), l.recordMost)
		if err := write(&pb.JournalRecord{To: l.journaled, Places: r.Places[:n]}); err != nil {
			return err
		}
		r.Places = r.Places[n:]
	}
	for len(r.Events)+len(r.Starts) > l.recordMost {
		part := cut(r, l.recordMost)
		if err := write(part); err != nil {
			return err
		}
		r.Events, r.Starts, l.journaled = r.Events[len(part.Events):], r.Starts[len(part.Starts):], part.To
	}
	var parts []*pb.JournalSnapshot
	r.Snapshot = nil
	if now.Sub(l.snapshot) >= snapshotEvery {
		parts = inParts(l.position(), l.recordMost)
		r.Snapshot, parts = parts[0], parts[1:]
	}
	r.To = l.index
	if err := write(r); err != nil {
		return err
	}
	if r.Snapshot != nil {
		l.snapshot, l.parts = now, parts
	}
	l.journaled, l.cursor.record = l.index, &pb.JournalRecord{}
	return l.writeParts(write)
}

// writeParts writes what is left of a snapshot.
func (l *loop) writeParts(write func(*pb.JournalRecord) error) error {
	for len(l.parts) > 0 {
		if err := write(&pb.JournalRecord{To: l.journaled, Snapshot: l.parts[0]}); err != nil {
			return err
		}
		l.parts = l.parts[1:]
	}
	return nil
}

// cut is the front of a record, with about so many events and starts: nothing behind it has an index that it covers.
func cut(r *pb.JournalRecord, most int) *pb.JournalRecord {
	e, s, to := 0, 0, int64(0)
	for e+s < most {
		if e < len(r.Events) && (s == len(r.Starts) || r.Events[e].Index <= r.Starts[s].Index) {
			to = r.Events[e].Index + max(int64(r.Events[e].Width), 1) - 1
			e++
		} else {
			to = max(to, r.Starts[s].Index)
			s++
		}
	}
	for s < len(r.Starts) && r.Starts[s].Index <= to {
		s++
	}
	return &pb.JournalRecord{To: to, Events: r.Events[:e], Starts: r.Starts[:s]}
}

// inParts splits a snapshot into those of several records.
func inParts(snap *pb.JournalSnapshot, most int) []*pb.JournalSnapshot {
	parts := []*pb.JournalSnapshot{snap}
	for last := snap; len(last.Waiting) > most; {
		rest := &pb.JournalSnapshot{Waiting: last.Waiting[most:]}
		last.Waiting = last.Waiting[:most]
		parts, last = append(parts, rest), rest
	}
	for i, part := range parts {
		part.Part, part.Parts = uint32(i), uint32(len(parts))
	}
	return parts
}
