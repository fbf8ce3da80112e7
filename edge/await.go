package edge

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// awaitTimeout bounds how long an answer of a core waits for the log that it is ahead of.
const awaitTimeout = 8 * time.Second

var errBehind = errors.New("the log does not come to where the core is")

// An answer brings what a core said as of sequences of buckets. It counts once the loop has applied these, and not before: what sessions are shown
// of it takes a number here, and whoever resumes elsewhere goes on in the log from where the loop was at that number. What the log brought
// meanwhile, and the answer holds already, would be told twice.
type answer interface {
	message
	// ahead is a bucket that is to be applied up to a sequence first, and is not; false: there is none.
	ahead(l *loop) (bucket int, sequence uint64, found bool)
	// late is the answer when it was waited for in vain.
	late() message
}

// awaited is an answer that waits for its bucket.
type awaited struct {
	answer   answer
	sequence uint64
	since    time.Time
}

// await keeps an answer that is ahead until the log is there, and tells whether it did.
func (l *loop) await(m answer) bool {
	bucket, seq, found := m.ahead(l)
	if found {
		l.awaiting[bucket] = append(l.awaiting[bucket], awaited{m, seq, l.now()})
	}
	return found
}

// caughtUp applies the answers that waited for what a bucket has come to.
func (l *loop) caughtUp(bucket int) {
	list := l.awaiting[bucket]
	if len(list) == 0 {
		return
	}
	delete(l.awaiting, bucket)
	for _, a := range list {
		if a.sequence > l.applied[bucket] {
			l.awaiting[bucket] = append(l.awaiting[bucket], a)
			continue
		}
		a.answer.apply(l)
	}
}

// dropLate applies those answers that have waited for too long, as failures.
func (l *loop) dropLate(now time.Time) {
	for _, bucket := range slices.Sorted(maps.Keys(l.awaiting)) {
		list := l.awaiting[bucket]
		late := slices.IndexFunc(list, func(a awaited) bool { return now.Sub(a.since) <= awaitTimeout }) // in order of time
		if late < 0 {
			late = len(list)
		}
		if l.awaiting[bucket] = list[late:]; late == len(list) {
			delete(l.awaiting, bucket)
		}
		for _, a := range list[:late] {
			a.answer.late().apply(l)
		}
	}
}

func (l *loop) behind(bucket int, seq uint64) (int, uint64, bool) {
	return bucket, seq, l.applied[bucket] < seq
}

func (m guildLoaded) ahead(l *loop) (int, uint64, bool) {
	if m.err != nil || m.snapshot == nil {
		return 0, 0, false
	}
	return l.behind(m.guild.id.Bucket(), m.snapshot.Sequence)
}

func (m guildLoaded) late() message { m.err = errBehind; return m }

func (m rowsFetched) ahead(l *loop) (int, uint64, bool) {
	if m.err != nil || m.snapshot == nil {
		return 0, 0, false
	}
	return l.behind(m.guild.id.Bucket(), m.snapshot.Sequence)
}

func (m rowsFetched) late() message { m.snapshot, m.err = nil, errBehind; return m }

func (m directLoaded) ahead(l *loop) (int, uint64, bool) {
	if m.err != nil || m.snapshot == nil || !m.followed && !m.seat.followed {
		return 0, 0, false
	}
	return l.behind(m.seat.channel.Bucket(), m.snapshot.Sequence)
}

func (m directLoaded) late() message { m.err = errBehind; return m }

func (m identified) ahead(l *loop) (bucket int, seq uint64, found bool) {
	if m.err != nil || m.answer == nil || m.answer.User == nil || !m.held {
		return 0, 0, false
	}
	if bucket, seq, found = l.behind(m.pending.user.Bucket(), m.answer.User.Sequence); found {
		return bucket, seq, found
	}
	for _, d := range m.directs {
		if d.followed && d.snapshot != nil {
			if bucket, seq, found = l.behind(d.channel.Bucket(), d.snapshot.Sequence); found {
				return bucket, seq, found
			}
		}
	}
	return 0, 0, false
}

func (m identified) late() message { m.err = errBehind; return m }
