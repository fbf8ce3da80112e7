package relay_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing/synctest"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest/sim"
)

// A logName is a name that a stream had.
type logName struct {
	stream      int
	incarnation string
}

// A simStore is how far a store has applied a bucket's log.
type simStore struct {
	relay.Position
	inc uint64
}

func textOf(e *pb.Entry) string {
	if len(e.Events) == 0 {
		return ""
	}
	return string(e.Events[0].Body)
}

// stored judges an entry that a stream has just taken: it is the truth from here on.
func (s *simulation) stored(x *sim.Stored) {
	all := s.truth[x.Bucket]
	s.truth[x.Bucket] = append(all, x)
	text := textOf(x.Entry)
	if by := s.never[text]; text != "" && by != "" {
		s.fail("bucket %d: %d holds %q, which was refused: %s", x.Bucket, x.Sequence, text, by)
	}
	s.names[logName{x.Stream, x.Metadata["starling-incarnation"]}] = true
	for _, y := range all {
		// A log made anew promises nothing of what is in the one before; whoever stores the same there is told that, by ErrRemade.
		if text != "" && textOf(y.Entry) == text && y.Stream == x.Stream {
			s.fail("bucket %d: %q is stored twice, %d and %d", x.Bucket, text, y.Sequence, x.Sequence)
		}
	}
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1]
	a, b := last.Entry, x.Entry
	if x.Sequence <= last.Sequence {
		s.fail("bucket %d: sequence %d after %d", x.Bucket, x.Sequence, last.Sequence)
	}
	// Entries of two streams are no chain. One of the log before may be the first that a stream made anew takes, since it expects what is true
	// there too; nobody is told that it succeeded (judge), and from then on the stream's chain is one whatever log an entry says it is of.
	if last.Stream != x.Stream {
		return
	}
	if b.Epoch < a.Epoch || b.Epoch == a.Epoch && b.TakeOver {
		s.fail("bucket %d: %d of epoch %d after one of epoch %d", x.Bucket, x.Sequence, b.Epoch, a.Epoch)
	}
	// Two owners of the log before may both get something in; neither is told that it succeeded, and readers of this log begin anew at a jump.
	if b.Counter != a.Counter+1 && (a.Incarnation == b.Incarnation && !s.foreign(x) || b.Counter <= a.Counter) {
		s.fail("bucket %d: %d is number %d after number %d", x.Bucket, x.Sequence, b.Counter, a.Counter)
	}
	if a.Incarnation != b.Incarnation && !b.TakeOver {
		s.fail("bucket %d: %d is of log %x after one of log %x, and no take-over", x.Bucket, x.Sequence, b.Incarnation, a.Incarnation)
	}
	for _, y := range all {
		if y.Stream == x.Stream && y.Entry.Incarnation == b.Incarnation && a.Incarnation != b.Incarnation {
			s.fail("bucket %d: %d is of log %x again, which was over", x.Bucket, x.Sequence, b.Incarnation)
			return
		}
	}
	if b.LastId < a.LastId {
		s.fail("bucket %d: %d has last id %d after %d", x.Bucket, x.Sequence, b.LastId, a.LastId)
	}
}

// audit looks at what was noted since it was last called, once nothing moves any more: who was just killed notes that last.
func (s *simulation) audit() {
	synctest.Wait()
	for _, c := range s.cores {
		c.mu.Lock()
		outcomes := c.outcomes
		c.outcomes = nil
		c.mu.Unlock()
		slices.SortStableFunc(outcomes, func(a, b simOutcome) int { return a.bucket - b.bucket })
		for _, o := range outcomes {
			s.judge(c, o)
		}
	}
	for _, e := range s.edges {
		e.mu.Lock()
		heard := e.heard
		e.heard = map[int][]simHeard{}
		e.mu.Unlock()
		for _, b := range s.buckets {
			for _, h := range heard[b] {
				s.hear(e, b, h)
			}
		}
	}
}

// judge holds what a core learned against the truth.
func (s *simulation) judge(c *simCore, o simOutcome) {
	switch {
	case o.bucket < 0:
		s.fail("%s: %v", c.name, o.err)
	case o.taken && o.err == nil:
		s.counts.TakeOvers++
		s.w.Note("%s owns bucket %d from %d on, replayed %d", c.name, o.bucket, o.at.Sequence, len(o.replayed))
		s.judgeLog(c, o)
		s.judgeReplay(c, o)
	case o.taken:
		s.w.Note("%s: %v", c.name, o.err)
	case o.err == nil:
		s.counts.Appends++
		s.w.Note("%s: acknowledged %q as %d", c.name, o.job.text, o.at.Sequence)
		s.acked[o.job.text] = true
		x := s.find(o.bucket, o.at.Sequence)
		if x == nil || textOf(x.Entry) != o.job.text || x.Entry.AppendId != o.entry.AppendId {
			s.fail("%s: %q was acknowledged as %d of bucket %d, and is not there", c.name, o.job.text, o.at.Sequence, o.bucket)
			return
		}
		s.judgeLog(c, o)
		if s.rng.IntN(3) > 0 {
			s.apply(x)
		}
	case errors.Is(o.err, relay.ErrSuperseded):
		s.counts.Superseded++
		s.w.Note("%s: refused %q: superseded", c.name, o.job.text)
		s.never[o.job.text] = "superseded"
		for _, x := range s.truth[o.bucket] {
			if textOf(x.Entry) == o.job.text {
				s.fail("%s: %q was refused, and is %d of bucket %d", c.name, o.job.text, x.Sequence, o.bucket)
			}
		}
	default:
		s.w.Note("%s: unknown what became of %q: %v", c.name, o.job.text, o.err)
	}
}

// foreign tells whether an entry is in a stream that never was of the log which the entry names.
func (s *simulation) foreign(x *sim.Stored) bool {
	return x != nil && !s.names[logName{x.Stream, strconv.FormatUint(x.Entry.Incarnation, 16)}]
}

// judgeLog: what somebody was told is in the log, is in the one that its entry names. A stream that is kept goes on under a new name when
// another is lost; its owner need not know at once, since nothing of the stream was lost.
func (s *simulation) judgeLog(c *simCore, o simOutcome) {
	if x := s.find(o.bucket, o.at.Sequence); x == nil || s.foreign(x) {
		s.fail("%s: bucket %d: %d was acknowledged, and its stream never was of the log that it names", c.name, o.bucket, o.at.Sequence)
	}
}

// judgeReplay: all that the store lacks was replayed, in order and once.
func (s *simulation) judgeReplay(c *simCore, o simOutcome) {
	var want []*sim.Stored
	for _, x := range s.truth[o.bucket] {
		if x.Sequence < o.at.Sequence && len(x.Entry.Events) > 0 {
			want = append(want, x)
		}
	}
	from := len(want) - len(o.replayed)
	for i, seq := range o.replayed {
		if from < 0 || want[from+i].Sequence != seq {
			s.fail("%s: bucket %d: take-over %d replayed %v", c.name, o.bucket, o.at.Sequence, o.replayed)
			return
		}
	}
	for _, x := range want[:from] {
		if (x.Sequence > o.job.from.Sequence || !o.job.since.IsZero() && !x.At.Before(o.job.since)) && !s.w.Gone(x) {
			s.fail("%s: bucket %d: take-over %d from %d did not replay %d", c.name, o.bucket, o.at.Sequence, o.job.from.Sequence, x.Sequence)
			return
		}
	}
}

func (s *simulation) find(bucket int, seq uint64) *sim.Stored {
	for _, x := range s.truth[bucket] {
		if x.Sequence == seq {
			return x
		}
	}
	return nil
}

// apply brings the store to an entry.
func (s *simulation) apply(x *sim.Stored) {
	at := s.stores[x.Bucket]
	if x.Sequence > at.Sequence {
		s.stores[x.Bucket] = simStore{relay.Position{Sequence: x.Sequence, Counter: x.Entry.Counter, Epoch: x.Entry.Epoch, LastID: chat.ID(x.Entry.LastId)},
			x.Entry.Incarnation}
	}
}

// next is the entry after a position.
func (s *simulation) next(bucket int, at uint64) []*sim.Stored {
	all := s.truth[bucket]
	n, _ := slices.BinarySearchFunc(all, at+1, func(x *sim.Stored, seq uint64) int {
		switch {
		case x.Sequence < seq:
			return -1
		case x.Sequence > seq:
			return 1
		}
		return 0
	})
	return all[n:]
}

// hear holds a callback against the truth.
func (s *simulation) hear(e *simEdge, bucket int, h simHeard) {
	v := e.views[bucket]
	s.w.Note("%s bucket %d: %s %d", e.name, bucket, h.what, h.seq)
	if h.twice {
		s.fail("%s: bucket %d: %s %d while another callback is under way", e.name, bucket, h.what, h.seq)
		return
	}
	switch h.what {
	case "start":
		if all := s.truth[bucket]; h.seq > 0 && (len(all) == 0 || h.seq > all[len(all)-1].Sequence) {
			s.fail("%s: bucket %d: begins at %d, beyond the log", e.name, bucket, h.seq)
		}
		e.views[bucket] = &simView{at: h.seq, fresh: true}
	case "reset":
		s.counts.Resets++
		if v == nil || s.remakes == 0 && !slices.ContainsFunc(s.next(bucket, v.at), s.w.Gone) {
			s.fail("%s: bucket %d: reset, and nothing is gone", e.name, bucket)
			return
		}
		v.reset = true
	case "entry":
		s.counts.Entries++
		if v == nil || v.reset {
			s.fail("%s: bucket %d: %d without a start", e.name, bucket, h.seq)
			return
		}
		rest := s.next(bucket, v.at)
		// Who is shown what a core of a lost log has put first into the next one cannot know yet that the old one's end is gone. That was acknowledged
		// to nobody, and is there for whoever owns the bucket next; what is of the new log comes after a reset alone.
		lost := s.foreign(s.find(bucket, h.seq))
		for (v.fresh || lost) && len(rest) > 0 && rest[0].Sequence != h.seq && s.w.Gone(rest[0]) {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0].Sequence != h.seq {
			s.fail("%s: bucket %d: %d after %d", e.name, bucket, h.seq, v.at)
			return
		}
		if x := rest[0].Entry; x.AppendId != h.entry.AppendId || x.Counter != h.entry.Counter || textOf(x) != textOf(h.entry) {
			s.fail("%s: bucket %d: %d is another entry", e.name, bucket, h.seq)
		}
		if inc := h.entry.Incarnation; v.inc != 0 && inc != v.inc {
			s.fail("%s: bucket %d: %d of log %x after one of log %x, without a reset", e.name, bucket, h.seq, inc, v.inc)
		}
		v.at, v.inc, v.fresh = h.seq, h.entry.Incarnation, false
	}
}

// caughtUp tells who is not at the end of what they follow, "" if all are.
func (s *simulation) caughtUp() string {
	for _, e := range s.edges {
		e.mu.Lock()
		users, asking := maps.Clone(e.users), maps.Clone(e.asking)
		e.mu.Unlock()
		for _, b := range s.buckets {
			if asking[b] {
				return fmt.Sprintf("%s still asks for bucket %d", e.name, b)
			}
			if users[b] == 0 {
				continue
			}
			v := e.views[b]
			if v == nil {
				return fmt.Sprintf("%s never began bucket %d", e.name, b)
			}
			for _, x := range s.next(b, v.at) {
				if !s.w.Gone(x) {
					return fmt.Sprintf("%s is at %d of bucket %d, and %d is in the log", e.name, v.at, b, x.Sequence)
				}
			}
		}
	}
	return ""
}

// succeeded has owners take over whatever ends with an entry that nobody alive knows of, as cores do with the buckets of one that died: until then
// whoever missed it, and hears from an owner that it superseded, is told that there is no such entry.
func (s *simulation) succeeded() string {
	for _, b := range s.buckets {
		all, c := s.truth[b], s.cores[s.owner[b]]
		if len(all) == 0 || slices.ContainsFunc(s.cores, func(c *simCore) bool { return !c.conn.Dead() && c.reaches(b, all[len(all)-1].Sequence) }) {
			continue
		}
		if c.idle(b) {
			s.give(c, b)
		}
		return fmt.Sprintf("%s has not taken over bucket %d", c.name, b)
	}
	return ""
}

// finish has every owner append once more, and tells who has not.
func (s *simulation) finish(texts map[int]string) string {
	for _, b := range s.buckets {
		if c := s.cores[s.owner[b]]; !s.acked[texts[b]] {
			if c.idle(b) {
				texts[b] = s.give(c, b)
			}
			return fmt.Sprintf("%s has not appended to bucket %d", c.name, b)
		}
	}
	return s.caughtUp()
}

// final looks at the whole log once more.
func (s *simulation) final() {
	for _, b := range s.buckets {
		for _, x := range s.truth[b] {
			if by := s.never[textOf(x.Entry)]; by != "" {
				s.fail("bucket %d: %q is in the log, and was refused: %s", b, textOf(x.Entry), by)
			}
		}
	}
}
