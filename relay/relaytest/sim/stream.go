package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// Codes of JetStream's errors.
const (
	codeWrongSequence = 10071
	codeSequenceRace  = 10164
	codeUnavailable   = 10008
	codeNoMessage     = 10037
	codeNameInUse     = 10058
)

const replicas = 3

// A Stored is an entry as a stream has stored it.
type Stored struct {
	Bucket   int
	Sequence uint64
	At       time.Time
	Entry    *pb.Entry
	Stream   int               // one made anew under the same name is another
	Metadata map[string]string // of the stream by then

	subject string
	data    []byte
}

// A stream keeps what was appended, on several hubs: the leader has all of it.
type stream struct {
	w       *World
	name    string
	number  int // of all that were ever made
	cfg     jetstream.StreamConfig
	all     []*Stored
	gone    int           // how many retention has taken, from the oldest
	shown   [replicas]int // how many of all each hub that answers reads has
	led     bool
	pending []proposal
}

// A proposal is an append that the leader has accepted and the other hubs have not.
type proposal struct {
	m     *nats.Msg
	reply func(*nats.Msg, error)
}

func (w *World) storing(subject string) *stream {
	for _, name := range w.streamNames() {
		s := w.streams[name]
		for _, pattern := range s.cfg.Subjects {
			if matches(pattern, subject) {
				return s
			}
		}
	}
	return nil
}

// append takes what a writer sends.
func (s *stream) append(m *nats.Msg, reply func(*nats.Msg, error)) {
	w := s.w
	expected, err := strconv.ParseUint(m.Header.Get("Nats-Expected-Last-Subject-Sequence"), 10, 64)
	if err != nil {
		w.Note("an append that expects nothing")
	}
	last := s.lastOf(m.Subject, len(s.all))
	switch {
	case !s.led:
		if w.chance(50) {
			reply(nil, nats.ErrNoResponders)
		}
	case w.chance(w.Chances.Refuse):
		reply(refusal(codeUnavailable, "JetStream system temporarily unavailable"), nil)
	case w.chance(w.Chances.Deposed):
		// A hub that leads no more, and does not know. It can store nothing.
		if old := s.lastOf(m.Subject, s.shown[w.rng.IntN(replicas)]); old != expected {
			reply(refusal(codeWrongSequence, "wrong last sequence: "+strconv.FormatUint(old, 10)), nil)
		}
	case s.isPending(m.Subject):
		w.Counts.Races++
		reply(refusal(codeSequenceRace, "wrong last sequence"), nil)
	case err == nil && last != expected:
		w.Counts.Conflicts++
		reply(refusal(codeWrongSequence, "wrong last sequence: "+strconv.FormatUint(last, 10)), nil)
	case w.chance(w.Chances.Pending):
		s.pending = append(s.pending, proposal{m, reply})
	default:
		s.commit(m, reply, w.chance(w.Chances.Silent))
	}
}

// commit stores. A leader that dies with it neither republishes nor answers.
func (s *stream) commit(m *nats.Msg, reply func(*nats.Msg, error), silent bool) {
	_, bucket, _ := split(m.Subject)
	before := s.lastOf(m.Subject, len(s.all))
	seq := s.cfg.FirstSeq
	if n := len(s.all); n > 0 {
		seq = s.all[n-1].Sequence + 1
	}
	e := new(pb.Entry)
	if err := proto.Unmarshal(m.Data, e); err != nil {
		s.w.Note("an entry that cannot be read: %v", err)
	}
	x := &Stored{Bucket: bucket, Sequence: seq, At: time.Now(), Entry: e, Stream: s.number, Metadata: s.cfg.Metadata,
		subject: m.Subject, data: m.Data}
	s.all = append(s.all, x)
	s.w.Counts.Stored++
	s.w.Note("stored %s as %d after %d", describe(m), seq, before)
	if s.w.OnEntry != nil {
		s.w.OnEntry(x)
	}
	if silent {
		s.w.Counts.Unpublished++
		s.w.Note("and never told")
		return
	}
	out := nats.NewMsg("live." + Region + "." + strconv.Itoa(bucket))
	out.Data = m.Data
	out.Header.Set("Nats-Stream", s.name)
	out.Header.Set("Nats-Subject", m.Subject)
	out.Header.Set("Nats-Sequence", strconv.FormatUint(seq, 10))
	out.Header.Set("Nats-Last-Sequence", strconv.FormatUint(before, 10))
	s.w.spread(fmt.Sprintf("%s %d", out.Subject, seq), out, live)
	reply(&nats.Msg{Data: fmt.Appendf(nil, `{"stream":%q,"seq":%d}`, s.name, seq)}, nil)
}

func (s *stream) isPending(subject string) bool {
	for _, p := range s.pending {
		if p.m.Subject == subject {
			return true
		}
	}
	return false
}

// settle has the hubs agree on what waits.
func (s *stream) settle() {
	waiting := s.pending
	s.pending = nil
	for _, p := range waiting {
		s.commit(p.m, p.reply, false)
	}
}

// depose leaves the stream without a leader: of what waits, the next one has some.
func (s *stream) depose() {
	s.led = false
	s.w.Counts.Elections++
	waiting := s.pending
	s.pending = nil
	for _, p := range waiting {
		if s.w.rng.IntN(2) == 0 {
			s.commit(p.m, p.reply, true)
		}
	}
}

func (s *stream) elect() {
	s.settle()
	s.led = true
}

// lastOf is the last sequence of a subject among the first n messages, 0 if there is none any more.
func (s *stream) lastOf(subject string, n int) uint64 {
	for i := n - 1; i >= s.gone; i-- {
		if s.all[i].subject == subject {
			return s.all[i].Sequence
		}
	}
	return 0
}

// view is how many messages the hub has that answers a read.
func (s *stream) view() int {
	if s.w.chance(s.w.Chances.Stale) {
		if n := s.shown[s.w.rng.IntN(replicas)]; n < len(s.all) {
			s.w.Counts.Stale++
			s.w.Note("a replica answers that is %d behind", len(s.all)-n)
			return n
		}
	}
	return len(s.all)
}

func refusal(code int, text string) *nats.Msg {
	type apiError struct {
		Code        int    `json:"code"`
		ErrCode     int    `json:"err_code"`
		Description string `json:"description"`
	}
	body, _ := json.Marshal(map[string]any{"error": apiError{400, code, text}, "seq": 0})
	return &nats.Msg{Data: body}
}

// Follow has a replica of a stream catch up by some.
func (w *World) Follow() {
	if s := w.pick(); s != nil {
		r := w.rng.IntN(replicas)
		s.shown[r] += w.rng.IntN(len(s.all) - s.shown[r] + 1)
	}
}

// Settle has the hubs agree on what they were asked to store.
func (w *World) Settle() {
	if s := w.pick(); s != nil && s.led {
		s.settle()
	}
}

// Election takes a stream its leader, or gives it one.
func (w *World) Election() {
	s := w.pick()
	if s == nil {
		return
	}
	if s.led {
		w.Note("%s: no leader", s.name)
		s.depose()
		return
	}
	w.Note("%s: a leader", s.name)
	s.led = true
}

// Age takes what is older than keep, until it comes to something that is needed.
func (w *World) Age(keep time.Duration, needed func(*Stored) bool) {
	s := w.pick()
	if s == nil {
		return
	}
	from := s.gone
	for s.gone < len(s.all) && time.Since(s.all[s.gone].At) > keep && !needed(s.all[s.gone]) {
		s.gone++
	}
	w.Counts.Aged += s.gone - from
	if s.gone > from {
		w.Note("%s: %d entries aged out", s.name, s.gone-from)
	}
}

// Remake loses a stream, with all that is in it, as a hub does that begins anew on an empty disk: what it was asked before, and had not done, is lost too.
func (w *World) Remake() {
	s := w.pick()
	if s == nil {
		return
	}
	w.Note("%s: lost", s.name)
	delete(w.streams, s.name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flights = slices.DeleteFunc(w.flights, func(f *flight) bool { return f.kind == request })
}

// Gone tells whether retention, or worse, has taken an entry.
func (w *World) Gone(x *Stored) bool {
	for _, s := range w.streams {
		for _, y := range s.all[s.gone:] {
			if x == y {
				return false
			}
		}
	}
	return true
}

func (w *World) pick() *stream {
	names := w.streamNames()
	if len(names) == 0 {
		return nil
	}
	return w.streams[names[w.rng.IntN(len(names))]]
}
