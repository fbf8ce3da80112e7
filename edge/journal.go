package edge

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// Times of the journal (resume.md, rules 2 to 4).
const (
	snapshotEvery = time.Minute
	journalReach  = 8 * time.Minute  // resume.md, rule 5
	maxUnacked    = 10 * time.Second // of a record; then the edge may be cut off
	maxSilence    = 30 * time.Second // of the hub
	speakEvery    = time.Minute      // a session hears at least so often, so that its s does not outlive the journal
	writeTimeout  = 5 * time.Second
	ackTimeout    = 5 * time.Second // before READY
)

// A journal takes records before sockets get what they tell of. relay.Journal is one.
type journal interface {
	// Boot tells this start of the edge from those before.
	Boot() uint64
	// Write returns when the record has left the process; its boot, number, from and time are filled in. After an error it was not taken,
	// but for errUnsent.
	Write(ctx context.Context, r *pb.JournalRecord) error
	// WaitAcked waits until everything up to an index is stored.
	WaitAcked(ctx context.Context, index int64) error
	// Oldest is the age of the oldest record that is not known to be stored.
	Oldest() time.Duration
}

var errNoJournal = errors.New("edge: the journal takes nothing")

// errUnsent says that the journal has a record, and could not part with it yet.
var errUnsent = errors.New("the record waits for a connection")

// A relayJournal is the relay's, as the loop wants it.
type relayJournal struct{ *relay.Journal }

func (j relayJournal) Write(ctx context.Context, r *pb.JournalRecord) error {
	r.Number = 0 // filled in where it is taken, or could not be
	err := j.Journal.Write(ctx, r)
	if err != nil && ctx.Err() != nil && r.Number > 0 && !errors.Is(err, relay.ErrJournalFull) && !errors.Is(err, relay.ErrTooLarge) {
		return errors.Join(errUnsent, err)
	}
	return err
}

// bucketStart says that a bucket is followed from a position on.
type bucketStart struct {
	bucket   int
	sequence uint64
}

func (l *loop) onStart(bucket int, seq uint64) { l.post(bucketStart{bucket, seq}) }

// apply gives the start an index of its own, a hole, so that whoever waits for its acknowledgement can name it.
func (m bucketStart) apply(l *loop) {
	l.applied[m.bucket], l.started[m.bucket] = m.sequence, true
	l.index++
	l.cursor.record.Starts = append(l.cursor.record.Starts, &pb.JournalStart{Index: l.index, Bucket: uint32(m.bucket), Sequence: m.sequence})
	l.caughtUp(m.bucket)
}

// note journals what became of a session's place.
func (l *loop) note(s *session, p *pb.JournalPlace) {
	if l.sandbox == nil && s.key != 0 {
		p.Session, p.Index = s.key, l.index
		l.cursor.record.Places = append(l.cursor.record.Places, p)
	}
}

// journalize writes what this batch has for the journal.
func (l *loop) journalize() error {
	r := l.cursor.record
	now := l.now()
	if l.journal == nil || l.index == l.journaled && len(r.Starts) == 0 && len(r.Places) == 0 && len(l.parts) == 0 && now.Sub(l.snapshot) < snapshotEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, writeTimeout)
	defer cancel()
	var unsent error
	write := func(r *pb.JournalRecord) error {
		err := l.journal.Write(ctx, r)
		if errors.Is(err, errUnsent) {
			unsent, err = err, nil
		}
		return err
	}
	if err := l.writeRecord(r, now, write); err != nil {
		if r := l.cursor.record; len(r.Events)+len(r.Starts)+len(r.Places) > l.recordRoom {
			l.abandon()
		}
		return errors.Join(errNoJournal, err) // what is left of the record stays, and grows
	}
	return unsent
}

// abandon gives a record up that became too long while nothing took it. Nobody was told of what it has; whoever was here goes on elsewhere from
// before it, and the next record says where the edge stands.
func (l *loop) abandon() {
	for _, s := range l.sessions {
		l.drop(s)
	}
	l.cursor.record, l.snapshot, l.parts = &pb.JournalRecord{}, time.Time{}, nil
	l.log.Error("record of the journal abandoned: nothing took it for too long")
}

// position is where the edge stands in the buckets that somebody here needs. Of one that nobody does the reader lets go after a while, and where the
// edge was in it then says nothing of who comes later.
func (l *loop) position() *pb.JournalSnapshot {
	snap := &pb.JournalSnapshot{}
	for b, started := range l.started {
		if started && l.interest.has(b) {
			snap.Buckets, snap.Sequences = append(snap.Buckets, uint32(b)), append(snap.Sequences, l.applied[b])
		}
	}
	for _, s := range l.sessions {
		if s.held != nil && !s.held.fixed {
			continue // where it begins here is not yet said
		}
		if s.held != nil {
			snap.Waiting = append(snap.Waiting, s.held.pending()...)
		}
		snap.Waiting = append(snap.Waiting, s.waiting()...)
	}
	for _, u := range l.users {
		for p := range u.pending {
			if p.key != 0 {
				snap.Waiting = append(snap.Waiting, &pb.JournalPlace{Session: p.key})
			}
		}
	}
	return snap
}

// looksPlace stands in the journal for how a session wishes to look, since nobody shall be seen elsewhere who did not wish to be seen here. Since is
// the status, as its place in looksOrder; online, which most are, goes without saying.
const looksPlace = proto.ID(1<<64 - 1)

var looksOrder = []proto.Status{proto.StatusOnline, proto.StatusIdle, proto.StatusDND, proto.StatusInvisible}

// looksLike is the journal's word for a status.
func looksLike(status proto.Status) *pb.JournalPlace {
	n := max(slices.Index(looksOrder, status), 0)
	return &pb.JournalPlace{Place: uint64(looksPlace), Since: uint64(n), Gone: n == 0}
}

// waiting lists the places that the session was not shown, or was before its user's bucket told of them, and how it looks.
func (s *session) waiting() (list []*pb.JournalPlace) {
	if s.key == 0 {
		return nil
	}
	if p := looksLike(s.posture.wish.status); !p.Gone {
		p.Session = s.key
		list = append(list, p)
	}
	for id, m := range s.guilds {
		if m.class == nil || !m.homed {
			list = append(list, &pb.JournalPlace{Session: s.key, Place: uint64(id), Shown: m.class != nil, Guild: true, Known: m.listed || m.told})
		}
	}
	for id := range s.past {
		list = append(list, &pb.JournalPlace{Session: s.key, Place: uint64(id), Gone: true, Guild: true})
	}
	for id, p := range s.directs {
		switch {
		case !p.loaded:
			list = append(list, &pb.JournalPlace{Session: s.key, Place: uint64(id), Since: uint64(p.since)})
		case p.unlisted:
			list = append(list, &pb.JournalPlace{Session: s.key, Place: uint64(id), Shown: true})
		}
	}
	for id, c := range s.closed {
		p := c.place(id)
		p.Session = s.key
		list = append(list, p)
	}
	return list
}

// written asks the loop for an index, and gives it once the record that covers it has left the process.
func (l *loop) written(ctx context.Context, f func() int64) (int64, error) {
	answer := make(chan int64, 1)
	m := question(func() {
		index := f()
		l.afterWrite = append(l.afterWrite, func() { answer <- index })
	})
	if !l.post(m) {
		return 0, errStopped
	}
	return await(ctx, l, answer)
}

// journaledSoon waits until the journal has what the loop knows now of a session that is to begin: READY depends on where its buckets begin. What is
// said of the session has an index of its own, a hole, so that the wait is for the record that says it.
func (l *loop) journaledSoon(ctx context.Context, p *pending, key uint64) error {
	if l.journal == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ackTimeout) // a journal that is full writes nothing either
	defer cancel()
	index, err := l.written(ctx, func() int64 {
		if key != 0 {
			l.announce(p, key)
		}
		return l.index
	})
	if err != nil {
		return err
	}
	return l.journal.WaitAcked(ctx, index)
}

// announce journals that a session is to begin: until READY says more nothing was shown, also to a core that never hears what READY said. Its user's
// bucket may be followed for long, and not be in what the journal has of those that somebody needs.
func (l *loop) announce(p *pending, key uint64) {
	p.key = key
	l.index++
	l.cursor.record.Places = append(l.cursor.record.Places, &pb.JournalPlace{Session: key, Index: l.index})
	if b := p.user.Bucket(); l.started[b] {
		l.cursor.record.Starts = append(l.cursor.record.Starts, &pb.JournalStart{Index: l.index, Bucket: uint32(b), Sequence: l.applied[b]})
	}
}

// cutOff tells why the edge may be the only one to know what it numbers; nil: it is not.
func (l *loop) cutOff(now time.Time) error {
	if l.journal == nil {
		return nil
	}
	if age := l.journal.Oldest(); age > maxUnacked {
		return errors.New("edge: the journal was not acknowledged for " + age.Round(time.Second).String())
	}
	if beat := l.beat(); !beat.IsZero() && now.Sub(beat) > maxSilence {
		return errors.New("edge: no beat of a hub for " + now.Sub(beat).Round(time.Second).String())
	}
	return nil
}

// isolate closes everybody, resumably: what they would be told nobody else could go on from.
func (l *loop) isolate(why error) {
	n := 0
	for c := range l.clients {
		if c.session != nil {
			c.conn.Close(proto.CloseUnknown)
			n++
		}
	}
	if n > 0 {
		isolations.Inc()
		l.log.Warn("sessions closed", "connections", n, "err", why)
	}
}

// speak has sessions that heard nothing for long hear a number of now.
func (l *loop) speak(now time.Time) {
	e := &event{kind: proto.EventPresencesReplace, body: []byte("[]"), fleeting: true}
	for _, s := range l.sessions {
		if s.client != nil && s.held == nil && now.Sub(s.spoken) >= speakEvery {
			l.give(s, e)
		}
	}
}
