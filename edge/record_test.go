package edge

import (
	"context"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	records "github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// The largest record that an edge writes fits into what the journal takes, whatever its numbers.
func TestRecordsFit(t *testing.T) {
	place := &pb.JournalPlace{Index: 1 << 61, Session: 1 << 63, Place: 1 << 63, Shown: true, Since: 1 << 63, Gone: true, Guild: true, Known: true}
	event := &pb.JournalEvent{Index: 1 << 61, Width: 1 << 31, Bucket: proto.Buckets - 1, Sequence: 1 << 63, Event: 1 << 31}
	r := &pb.JournalRecord{Boot: 1 << 63, Number: 1 << 63, TimeMs: 1 << 62, From: 1 << 61, To: 1 << 61, Snapshot: &pb.JournalSnapshot{Parts: 1 << 12}}
	for range mostOfRecord {
		r.Places, r.Snapshot.Waiting = append(r.Places, place), append(r.Snapshot.Waiting, place)
	}
	for range proto.Buckets {
		r.Snapshot.Buckets, r.Snapshot.Sequences = append(r.Snapshot.Buckets, proto.Buckets-1), append(r.Snapshot.Sequences, 1<<63)
	}
	if gproto.Size(place) < gproto.Size(event) {
		t.Error("places are no longer the largest of what a record has")
	}
	if n := gproto.Size(r); n > relay.JournalLimit {
		t.Errorf("%d bytes, the journal takes %d", n, relay.JournalLimit)
	}
}

// What a batch has too much of for one record goes into several, of which each says only what its end covers.
func TestCut(t *testing.T) {
	r := &pb.JournalRecord{}
	for i := range int64(10) {
		r.Events = append(r.Events, &pb.JournalEvent{Index: 10*i + 1, Width: 3})
		r.Starts = append(r.Starts, &pb.JournalStart{Index: 10*i + 1}, &pb.JournalStart{Index: 10*i + 2}, &pb.JournalStart{Index: 10*i + 7})
	}
	var to int64
	for len(r.Events)+len(r.Starts) > 3 {
		part := cut(r, 3)
		if len(part.Events)+len(part.Starts) == 0 || part.To <= to {
			t.Fatalf("a part of %d events and %d starts up to %d, behind %d", len(part.Events), len(part.Starts), part.To, to)
		}
		to = part.To
		for _, e := range part.Events {
			if e.Index+int64(e.Width)-1 > to {
				t.Errorf("event at %d, %d wide, in what ends at %d", e.Index, e.Width, to)
			}
		}
		r.Events, r.Starts = r.Events[len(part.Events):], r.Starts[len(part.Starts):]
		if len(r.Events) > 0 && r.Events[0].Index <= to || len(r.Starts) > 0 && r.Starts[0].Index <= to {
			t.Errorf("left with %v and %v behind %d", r.Events, r.Starts, to)
		}
	}
}

// A journalOf records is what cores read of a journal that takes everything.
type journalOf struct {
	*records.Index
	t      *testing.T
	number uint64
	to     int64
}

func (j *journalOf) Boot() uint64                           { return 1 }
func (j *journalOf) WaitAcked(context.Context, int64) error { return nil }
func (j *journalOf) Oldest() time.Duration                  { return 0 }
func (j *journalOf) Write(_ context.Context, r *pb.JournalRecord) error {
	j.number++
	r.Boot, r.Number, r.From = 1, j.number, j.to
	j.to = r.To
	if n := gproto.Size(r); n > relay.JournalLimit {
		j.t.Errorf("record %d has %d bytes, the journal takes %d", r.Number, n, relay.JournalLimit)
	}
	return j.Add(gproto.CloneOf(r), time.Now())
}

// A guild is shown to 30,000 sessions of an edge in one batch, and a snapshot finds all of them waiting for another: the journal has each of them.
func TestCrowdInOneBatch(t *testing.T) {
	const crowd = 30_000
	l, s := loadingLoop()
	j := &journalOf{Index: records.New(), t: t}
	l.ctx, l.journal, l.recordMost, l.recordRoom, l.sessions = t.Context(), j, mostOfRecord, roomOfRecord, map[string]*session{}
	if err := l.journalize(); err != nil {
		t.Fatal(err)
	}
	const here, elsewhere = 7, 8
	sessions := make([]*session, crowd)
	for i := range sessions {
		sessions[i] = &session{id: newSessionID(), key: uint64(i + 1), user: s.user, guilds: map[proto.ID]*membership{}}
		w := &membership{session: sessions[i], guild: &guild{id: elsewhere}}
		sessions[i].guilds[elsewhere] = w
		l.index++
		l.cursor.record.Starts = append(l.cursor.record.Starts, &pb.JournalStart{Index: l.index, Bucket: 5, Sequence: uint64(i)})
		l.note(sessions[i], &pb.JournalPlace{Place: here, Guild: true})
		l.note(sessions[i], w.waits())
		l.sessions[sessions[i].id] = sessions[i]
	}
	check := func(when string, places int) {
		t.Helper()
		if err := l.journalize(); err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 1, mostOfRecord - 1, mostOfRecord, crowd - 1} {
			got := j.At(l.index, sessions[i].key, nil)
			if got.Status != records.Known || len(got.Waiting) != places {
				t.Errorf("%s: of session %d the journal says %v, %v; want %d places", when, i, got.Status, got.Waiting, places)
			}
		}
		if got := j.At(l.index-1, sessions[crowd-1].key, nil); when == "batch" && (len(got.Positions) != 1 || got.Positions[0].Sequence != crowd-1 || len(got.Waiting) != 0) {
			t.Errorf("one index before the last: %v, waiting %v", got.Positions, got.Waiting)
		}
	}
	check("batch", 2)
	l.snapshot = time.Time{}
	check("snapshot", 1) // the sessions are in one guild
}
