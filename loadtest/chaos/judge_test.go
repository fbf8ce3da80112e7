package chaos

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

const (
	guildID    = proto.ID(1000)
	squareID   = proto.ID(1001)
	denID      = proto.ID(1002)
	vaultID    = proto.ID(1003)
	outsiderID = proto.ID(1004)
	ownerID    = proto.ID(1)
	aliceID    = proto.ID(2)
)

// A scene is a small run: one guild, one witness, and Alice, who is in the guild. Time passes a second with each event.
type scene struct {
	t      *testing.T
	now    time.Time
	next   proto.ID
	town   *town
	notes  []*note
	past   map[proto.ID][]proto.Message
	eyes   []*witness
	alice  *record
	silent bool // Alice hears nothing
	blind  bool // the witnesses see nothing
}

func newScene(t *testing.T) *scene {
	g := &guild{id: guildID, channels: [rooms]proto.ID{squareID, denID, vaultID}, outsider: outsiderID, members: []int{0}}
	home := map[proto.ID]place{squareID: {0, square}, denID: {0, den}, vaultID: {0, vault}}
	in := map[proto.ID]int{guildID: 0}
	s := &scene{t: t, now: time.Unix(1_700_000_000, 0), next: 5000, past: map[proto.ID][]proto.Message{}, eyes: []*witness{newWitness(in), newWitness(in)},
		town:  &town{guilds: []*guild{g}, ownerID: ownerID, home: home, people: []person{{id: aliceID, guilds: []int{0}}}},
		alice: newRecord(home, in, func() {})}
	for _, w := range s.eyes {
		s.must(w.see(s.frame("GUILD_CREATE", s.snapshot(true))))
	}
	s.identify()
	return s
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) frame(name string, d any) client.Event {
	s.now = s.now.Add(time.Second)
	b, err := json.Marshal(d)
	s.must(err)
	return client.Event{T: name, D: b, At: s.now}
}

// snapshot is a GUILD_CREATE, with all channels or those that Alice sees at first.
func (s *scene) snapshot(all bool) map[string]any {
	channel := func(id, role proto.ID) map[string]any {
		c := map[string]any{"id": id, "type": 0, "guild_id": guildID}
		if role != 0 {
			c["permission_overwrites"] = []any{map[string]any{"id": role, "type": 0, "allow": "0", "deny": fmt.Sprint(uint64(proto.PermViewChannel))}}
		}
		return c
	}
	channels := []any{channel(squareID, 0), channel(denID, outsiderID)}
	if all {
		channels = append(channels, channel(vaultID, guildID))
	}
	role := func(id proto.ID, p proto.Permissions) map[string]any {
		return map[string]any{"id": id, "permissions": fmt.Sprint(uint64(p))}
	}
	member := func(id proto.ID) map[string]any {
		return map[string]any{"user": map[string]any{"id": id, "username": "x"}, "roles": []any{}}
	}
	return map[string]any{"id": guildID, "owner_id": ownerID, "channels": channels, "roles": []any{role(guildID, proto.PermDefault), role(outsiderID, 0)},
		"members": []any{member(ownerID), member(aliceID)}}
}

// identify is a READY of Alice and the guild.
func (s *scene) identify() {
	s.must(s.alice.identified(s.frame("READY", map[string]any{"session_id": "x", "guilds": []any{map[string]any{"id": guildID}}})))
	s.must(s.alice.turn(s.frame("GUILD_CREATE", s.snapshot(false))))
}

// say is a message that is acknowledged, in history, and heard by all who listen.
func (s *scene) say(room int) proto.Message {
	channel := s.town.guilds[0].channels[room]
	s.next++
	n := &note{place: place{0, room}, key: fmt.Sprint("m", len(s.notes)), nonce: true, sent: s.now, acked: s.now, id: s.next}
	s.notes = append(s.notes, n)
	m := proto.Message{ID: n.id, ChannelID: channel, Content: n.key}
	s.past[channel] = append(s.past[channel], m)
	s.hear(m)
	return m
}

// fresh is an id above all.
func (s *scene) fresh() proto.ID { s.next++; return s.next }

func (s *scene) hear(m proto.Message) {
	f := s.frame("MESSAGE_CREATE", map[string]any{"id": m.ID, "guild_id": guildID, "channel_id": m.ChannelID, "content": m.Content})
	if !s.blind {
		for _, w := range s.eyes {
			s.must(w.see(f))
		}
	}
	if !s.silent && m.ChannelID != vaultID {
		s.alice.message(m.ID, m.ChannelID, m.Content, f.At)
	}
}

// only lets Alice alone hear something.
func (s *scene) only(m proto.Message) { s.alice.message(m.ID, m.ChannelID, m.Content, s.now) }

// event is one that the witnesses see, in the order of the log.
func (s *scene) event(name string, d map[string]any) {
	d["guild_id"] = guildID
	f := s.frame(name, d)
	for _, w := range s.eyes {
		s.must(w.see(f))
	}
}

// roles are Alice's from now on.
func (s *scene) roles(ids ...proto.ID) {
	s.event("GUILD_MEMBER_UPDATE", map[string]any{"user": map[string]any{"id": aliceID}, "roles": append([]proto.ID{}, ids...)})
}

func (s *scene) judge() *Tally {
	c := &court{town: s.town, notes: s.notes}
	c.history(s.past)
	view := func(int) *view { return newTimeline(0, s.eyes).of(aliceID) }
	c.client("alice", []int{0}, view, s.alice)
	c.shown("alice", []int{0}, view, s.alice)
	return &c.Tally
}

// Each way to be wrong is found and counted as what it is; what is right is not.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name  string
		story func(s *scene)
		want  Tally // what has to be counted, beside what is written, due, delivered
		told  string
	}{
		{"all well", func(s *scene) { s.say(vault) }, Tally{}, ""},
		{"lost", func(s *scene) { s.silent = true; s.say(square); s.silent = false; s.say(square) }, Tally{Lost: 1}, "lost"},
		{"lost at the end", func(s *scene) { s.silent = true; s.say(den) }, Tally{Lost: 1}, "lost"},
		{"doubled", func(s *scene) { s.only(s.say(square)) }, Tally{Doubled: 1}, "doubled"},
		{"disordered", func(s *scene) {
			s.silent = true
			m := s.say(square)
			s.silent = false
			s.say(den)
			s.only(m)
		}, Tally{Disordered: 1}, "came after"},
		{"leaked for ever", func(s *scene) { s.only(s.say(vault)) }, Tally{Leaked: 1}, "leaked"},
		{"leaked after the role", func(s *scene) { s.roles(outsiderID); s.say(den); s.roles() }, Tally{Leaked: 1}, "leaked"},
		{"neither entitled nor heard", func(s *scene) {
			s.roles(outsiderID)
			s.silent = true
			s.say(den)
			s.silent = false
			s.roles()
			s.say(den)
		}, Tally{}, ""},
		{"not told that the right is back", func(s *scene) { s.roles(outsiderID); s.roles(); s.silent = true; s.say(den) }, Tally{Lost: 1}, "lost"},
		{"of nobody", func(s *scene) { s.only(proto.Message{ID: 7000, ChannelID: squareID, Content: "ghost"}) }, Tally{}, "nobody wrote"},
		{"of another id", func(s *scene) { s.only(proto.Message{ID: 7000, ChannelID: squareID, Content: "m0"}) }, Tally{}, "not in history"},
		{"of no guild of hers", func(s *scene) { s.alice.message(7000, 42, "m0", s.now) }, Tally{}, "nobody wrote"},
		{"a channel that she was not shown", func(s *scene) {
			s.must(s.alice.turn(s.frame("CHANNEL_DELETE", map[string]any{"id": squareID})))
			s.say(square)
			s.must(s.alice.turn(s.frame("CHANNEL_CREATE", map[string]any{"id": squareID})))
		}, Tally{}, "not shown"},
		{"a channel that she is not shown at the end", func(s *scene) {
			s.must(s.alice.turn(s.frame("CHANNEL_DELETE", map[string]any{"id": denID})))
		}, Tally{}, "is shown: false"},
		{"identified anew", func(s *scene) {
			s.alice.lost(s.now)
			s.silent = true
			s.say(square)
			s.silent = false
			s.identify()
			s.say(square)
		}, Tally{MissedAnew: 1, Identified: 1, Sockets: 1}, ""},
		{"lost after she identified anew", func(s *scene) {
			s.alice.lost(s.now)
			s.identify()
			s.now = s.now.Add(time.Second)
			s.silent = true
			s.say(square)
			s.silent = false
			s.say(square)
		}, Tally{Lost: 1, Identified: 1, Sockets: 1}, "lost"},
		{"lost before she identified anew", func(s *scene) {
			s.silent = true
			s.say(square)
			s.silent = false
			s.say(square)
			s.alice.lost(s.now)
			s.identify()
		}, Tally{Lost: 1, Identified: 1, Sockets: 1}, "lost"},
		{"resumed", func(s *scene) {
			s.alice.broken(s.now)
			s.alice.resumed(s.now)
			s.say(square)
		}, Tally{Resumed: 1, Sockets: 1}, ""},
		{"lost over a resume", func(s *scene) {
			s.alice.broken(s.now)
			s.silent = true
			s.say(square)
			s.silent = false
			s.alice.resumed(s.now)
		}, Tally{Lost: 1, Resumed: 1, Sockets: 1}, "lost"},
		{"not live at the end", func(s *scene) { s.alice.broken(s.now); s.silent = true; s.say(square) }, Tally{Sockets: 1, Adrift: 1}, "not live"},
		{"kicked and back", func(s *scene) {
			s.event("GUILD_MEMBER_REMOVE", map[string]any{"user": map[string]any{"id": aliceID}})
			s.must(s.alice.turn(s.frame("GUILD_DELETE", map[string]any{"id": guildID})))
			s.silent = true
			s.say(square) // gone
			s.event("GUILD_MEMBER_ADD", map[string]any{"user": map[string]any{"id": aliceID}, "roles": []any{}})
			s.say(square) // in, and not there yet
			s.must(s.alice.turn(s.frame("GUILD_CREATE", s.snapshot(false))))
			s.silent = false
			s.say(square)
		}, Tally{Early: 1}, ""},
		{"heard while she was kicked", func(s *scene) {
			s.event("GUILD_MEMBER_REMOVE", map[string]any{"user": map[string]any{"id": aliceID}})
			s.say(square)
			s.event("GUILD_MEMBER_ADD", map[string]any{"user": map[string]any{"id": aliceID}, "roles": []any{}})
		}, Tally{Leaked: 1}, "leaked"},
		{"lost while the guild was away", func(s *scene) {
			s.must(s.alice.turn(s.frame("GUILD_DELETE", map[string]any{"id": guildID, "unavailable": true})))
			s.silent = true
			s.say(square)
			s.silent = false
			s.must(s.alice.turn(s.frame("GUILD_CREATE", s.snapshot(false))))
		}, Tally{Lost: 1}, "lost"},
		{"nobody saw, and nothing changed", func(s *scene) {
			s.blind, s.silent = true, true
			s.say(square)
			s.blind, s.silent = false, false
			s.say(square)
		},
			Tally{Lost: 1}, "lost"},
		{"nobody saw, and rights changed", func(s *scene) {
			s.blind = true
			s.say(den)
			s.blind = false
			s.roles(outsiderID)
			s.silent = true
			s.say(den)
			s.silent = false
			s.roles()
			s.say(den)
		}, Tally{Undecided: 1}, "undecided"},
		{"one witness lost its session", func(s *scene) {
			s.must(s.eyes[0].see(s.frame("READY", map[string]any{})))
			s.silent = true
			s.say(den)
			s.silent = false
			s.must(s.eyes[0].see(s.frame("GUILD_CREATE", s.snapshot(true))))
			s.say(den)
		}, Tally{Lost: 1}, "lost"},
		{"witnesses differ", func(s *scene) {
			both := s.eyes
			s.eyes = both[:1]
			s.roles(outsiderID)
			s.eyes = both
			s.say(den)
			s.eyes = both[1:]
			s.roles(outsiderID)
			s.eyes = both
			s.roles()
		}, Tally{Undecided: 1}, "witnesses differ"},
		{"lost in history", func(s *scene) { s.past[squareID] = s.past[squareID][1:] }, Tally{HistoryLost: 1}, "is not in history"},
		{"doubled in history", func(s *scene) {
			s.past[squareID] = append(s.past[squareID], proto.Message{ID: s.fresh(), ChannelID: squareID, Content: "m0"})
			s.hear(s.past[squareID][len(s.past[squareID])-1])
		}, Tally{HistoryDoubled: 1}, "is in history as"},
		{"repeated without a nonce", func(s *scene) {
			s.notes[0].nonce = false
			s.past[squareID] = append(s.past[squareID], proto.Message{ID: s.fresh(), ChannelID: squareID, Content: "m0"})
			s.hear(s.past[squareID][len(s.past[squareID])-1])
		}, Tally{Repeated: 1}, ""},
		{"strange in history", func(s *scene) {
			s.past[denID] = append(s.past[denID], proto.Message{ID: 6000, ChannelID: denID, Content: "m0"})
		}, Tally{HistoryStrange: 1}, "nobody wrote it"},
		{"history out of order", func(s *scene) {
			p := s.past[squareID]
			p[0], p[1] = p[1], p[0]
		}, Tally{}, "comes after"},
		{"never acknowledged, and there", func(s *scene) { s.notes[1].id = 0 }, Tally{Unanswered: 1}, ""},
		{"never acknowledged, and not heard", func(s *scene) { s.silent = true; s.say(square); s.notes[len(s.notes)-1].id = 0 },
			Tally{Unanswered: 1, Lost: 1}, "lost"},
	} {
		s := newScene(t)
		for _, room := range []int{square, den, square} {
			s.say(room)
		}
		c.story(s)
		s.silent, s.blind = false, false
		if c.name != "lost at the end" && !strings.HasPrefix(c.name, "never ") && !strings.HasPrefix(c.name, "not ") {
			s.say(den)
		}
		got := s.judge()
		if told := strings.Join(slices.Concat(got.Examples, got.Problems), "\n"); (told == "") != (c.told == "") || !strings.Contains(told, c.told) {
			t.Errorf("%s: told %q, want %q", c.name, told, c.told)
		}
		if good := got.Good(false); good != (c.told == "") {
			t.Errorf("%s: good %v", c.name, good)
		}
		if c.want.Identified > 0 && got.Good(true) {
			t.Errorf("%s: good, though not every session was resumed", c.name)
		}
		counted := *got
		counted.Written, counted.Acknowledged, counted.Due, counted.Delivered, counted.Problems = 0, 0, 0, 0, nil
		counted.Examples, counted.examples = nil, nil
		if fmt.Sprint(counted) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, counted, c.want)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var tally Tally
	for i := range 2 * maxExamples {
		tally.example("lost", "%d", i)
		tally.example("leaked", "%d", i)
	}
	if len(tally.Examples) != 2*maxExamples {
		t.Errorf("got %d examples of two kinds, want %d", len(tally.Examples), 2*maxExamples)
	}
	for i := range 2 * maxProblems {
		tally.tell("problem %d", i)
	}
	if len(tally.Problems) != maxProblems || tally.more != maxProblems || tally.Good(false) {
		t.Errorf("got %d problems and %d more", len(tally.Problems), tally.more)
	}
}
