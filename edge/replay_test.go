package edge

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A guild changes at random while one session is told live, until its user is out or enough has happened. From whatever number on, the replay of the
// log says what the session was told after it: the same frames in the same order, though it begins with the guild as it is at the end.
func TestReplaySaysWhatWasSaidLive(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	frames := 0
	for round := range 100 {
		frames += replayRound(t, rand.New(rand.NewPCG(seed, uint64(round))), round)
	}
	if frames < 1000 {
		t.Errorf("only %d frames were replayed", frames)
	}
}

func replayRound(t *testing.T, r *rand.Rand, round int) (replayed int) {
	t.Helper()
	const user = proto.ID(2)
	w := newOwnerModel(t, r, 1000)
	w.memberStep(user)
	for range 30 { // something to see
		w.step()
	}
	if _, in := w.rows[user]; !in {
		w.memberStep(user)
	}
	l, s := stageLive(installed(t, w), user)
	w.events = nil

	var log []logEntry
	for seq := uint64(100); len(log) < 40 && s.guilds[guildID] != nil; seq += 1 + r.Uint64N(3) {
		for range 1 + r.IntN(3) {
			w.step()
		}
		for _, e := range w.events {
			if e.Type == proto.EventMessageCreate {
				e.Required = uint64(proto.PermViewChannel)
			}
		}
		m := logEntry{guildID.Bucket(), seq, &pb.Entry{TimeMs: int64(seq), Events: w.events}}
		w.events = nil
		if i := endsFor(m.entry.Events, user); i >= 0 {
			m.entry.Events = m.entry.Events[:i+1] // a stay that begins later is not this one
		}
		log = append(log, m)
		m.apply(l)
	}
	for range 5 {
		cut := r.Int64N(l.index + 1)
		from := positionAt(l.cursor.record, cut, log[0].sequence)
		sp := &span{from: from}
		for _, m := range log {
			if m.sequence >= from.Sequence {
				sp.entries = append(sp.entries, m)
			}
		}
		v := &scene{session: session{user: user, intents: s.intents, shard: s.shard, gen: s.gen},
			guilds: map[proto.ID]*guild{guildID: l.guilds[guildID].clone()}, spans: map[int]*span{guildID.Bucket(): sp}}
		got, err := v.replay()
		if err != nil {
			t.Fatalf("round %d from %d: %v", round, cut, err)
		}
		var want []*event
		s.ring.after(cut, func(e *event) { want = append(want, e) })
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || say(got[i].event) != say(want[i]) {
				t.Fatalf("round %d from %d (%v): frame %d of %d and %d:\ngot  %s\nwant %s", round, cut, from, i, len(got), len(want), nth(got, i), nthEvent(want, i))
			}
		}
		replayed += len(got)
	}
	return replayed
}

// stageLive is a loop with a session that has a place in the guild.
func stageLive(g *guild, user proto.ID) (*loop, *session) {
	l := aloneLoop(g)
	l.cursor, l.cfg = newCursor(), &Config{}
	s := &session{user: user, gen: l.gen, intents: proto.IntentsAll, shard: [2]int{0, 1}, guilds: map[proto.ID]*membership{}, directs: map[proto.ID]*seat{},
		ring: ring{maxEvents: 1 << 20, maxBytes: 1 << 30}}
	l.user(user).sessions[s] = struct{}{}
	m := &membership{session: s, guild: g}
	s.guilds[guildID] = m
	g.place(m)
	return l, s
}

// endsFor finds the event by which the user is out.
func endsFor(events []*pb.Event, user proto.ID) int {
	for i, e := range events {
		if e.Type == proto.EventGuildMemberRemove && proto.ID(e.Id) == user {
			return i
		}
	}
	return -1
}

// positionAt is the position of who has everything up to an index, as the journal tells it.
func positionAt(r *pb.JournalRecord, index int64, first uint64) *pb.ResumePosition {
	p := &pb.ResumePosition{Bucket: uint32(guildID.Bucket()), Sequence: first}
	for _, e := range r.Events {
		switch {
		case e.Index > index:
		case e.Index+int64(max(e.Width, 1))-1 <= index:
			p.Sequence, p.Events, p.Frames = e.Sequence, e.Event+1, 0
		default:
			p.Sequence, p.Events, p.Frames = e.Sequence, e.Event, uint32(index-e.Index+1)
		}
	}
	return p
}

var channelEnd = regexp.MustCompile(`"last_message_id":[^,]*,`)

// say is a frame without what a rewound channel only knows nearly: its last message.
func say(e *event) string {
	return e.kind + " " + channelEnd.ReplaceAllString(string(e.body), "")
}

func nth(list []told, i int) string {
	if i >= len(list) {
		return "nothing"
	}
	return fmt.Sprint(say(list[i].event), " of ", list[i].at)
}

func nthEvent(list []*event, i int) string {
	if i >= len(list) {
		return "nothing"
	}
	return say(list[i])
}
