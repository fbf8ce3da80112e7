package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func (s *shelf) reactions(c core.ReactionChange) *pb.Event {
	return of(s.guild, event(proto.EventInternalReactions, c))
}

func (s *shelf) tallies(t *testing.T, messages ...proto.ID) map[proto.ID][]core.Tally {
	t.Helper()
	return must[map[proto.ID][]core.Tally](t)(s.h.Reactions(s.ctx, s.lobby, messages))
}

// testReactions has Alice and Bob react; replays, late writes and a second life of an emoji change nothing that they should not.
func testReactions(t *testing.T, s *shelf) {
	m, n, bob := s.message(s.lobby, "tern"), s.message(s.lobby, "knot"), newJournal(9).id()+1
	fire, wave := s.log.id(), s.log.id()
	change := func(tallies []core.Tally) core.ReactionChange {
		return core.ReactionChange{ChannelID: s.lobby, MessageID: m.ID, Tallies: tallies}
	}
	one, both := change([]core.Tally{{Round: fire, Emoji: "🔥", Count: 1}}), change([]core.Tally{{Round: fire, Emoji: "🔥", Count: 2},
		{Round: wave, Emoji: "👋🏽", Count: 1}})
	one.Added = []core.Reactor{{Round: fire, User: s.alice.ID}}
	both.Added = []core.Reactor{{Round: fire, User: bob}, {Round: wave, User: bob}}
	s.apply(t, s.create(m), s.create(n))
	first := s.apply(t, s.reactions(one))
	second := s.apply(t, s.reactions(both))
	check := func(what string) {
		t.Helper()
		same(t, what+": tallies", s.tallies(t, n.ID, m.ID, 1), map[proto.ID][]core.Tally{m.ID: both.Tallies})
		same(t, what+": Alice", must[map[proto.ID]bool](t)(s.h.Reacted(s.ctx, s.lobby, []proto.ID{fire, wave}, s.alice.ID)),
			map[proto.ID]bool{fire: true})
		same(t, what+": Bob", must[map[proto.ID]bool](t)(s.h.Reacted(s.ctx, s.lobby, []proto.ID{fire, wave}, bob)),
			map[proto.ID]bool{fire: true, wave: true})
		users := []proto.ID{s.alice.ID, bob}
		slices.Sort(users)
		same(t, what+": users", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, fire, 0, 100)), users)
		same(t, what+": first user", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, fire, 0, 1)), users[:1])
		same(t, what+": second user", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, fire, users[0], 5)), users[1:])
		same(t, what+": no more users", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, fire, users[1], 5)), []proto.ID{})
	}
	check("reacted")
	ok(t, s.h.Apply(s.ctx, []core.Applied{first}))
	ok(t, s.h.Apply(s.ctx, []core.Applied{first, second}))
	s.reopen()
	check("replayed")

	// Alice takes hers back; the entries before come once more.
	less := change([]core.Tally{{Round: fire, Emoji: "🔥", Count: 1}, both.Tallies[1]})
	less.Removed = one.Added
	s.apply(t, s.reactions(less))
	ok(t, s.h.Apply(s.ctx, []core.Applied{first, second}))
	same(t, "without Alice", s.tallies(t, m.ID)[m.ID], less.Tallies)
	same(t, "users without Alice", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, fire, 0, 9)), []proto.ID{bob})

	// All gone, and in the same entry one of them again, under a round of its own.
	none, anew := change(nil), change([]core.Tally{{Round: s.log.id(), Emoji: "🔥", Count: 1}})
	none.Ended = []proto.ID{fire, wave}
	anew.Added = []core.Reactor{{Round: anew.Tallies[0].Round, User: s.alice.ID}}
	last := s.apply(t, s.reactions(none), s.reactions(anew))
	for range 2 {
		same(t, "anew", s.tallies(t, m.ID)[m.ID], anew.Tallies)
		same(t, "its users", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, anew.Tallies[0].Round, 0, 9)), []proto.ID{s.alice.ID})
		ok(t, s.h.Apply(s.ctx, []core.Applied{first, second, last}))
		s.reopen()
	}
	none.Ended = []proto.ID{anew.Tallies[0].Round}
	s.apply(t, s.reactions(none))
	same(t, "none", s.tallies(t, m.ID), map[proto.ID][]core.Tally{})
	same(t, "nobody", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, anew.Tallies[0].Round, 0, 9)), []proto.ID{})
}

// testPins keeps the newest list, and a deleted channel takes pins and reactions along.
func testPins(t *testing.T, s *shelf) {
	m := s.message(s.lobby, "pinned")
	list := func(ids ...proto.ID) []core.Pin {
		pins := []core.Pin{}
		for i, id := range ids {
			pins = append(pins, core.Pin{MessageID: id, PinnedAt: proto.Time(born.Add(time.Duration(i) * time.Second))})
		}
		return pins
	}
	pins := func() []core.Pin { return must[[]core.Pin](t)(s.h.Pins(s.ctx, s.lobby)) }
	put := func(p []core.Pin) *pb.Event {
		return of(s.guild, event(proto.EventInternalPins, core.PinChange{ChannelID: s.lobby, Pins: p}))
	}
	same(t, "none", pins(), list())
	first := s.apply(t, s.create(m), put(list(m.ID)))
	same(t, "one", pins(), list(m.ID))
	s.apply(t, put(list(7, m.ID)))
	ok(t, s.h.Apply(s.ctx, []core.Applied{first}))
	s.reopen()
	same(t, "two", pins(), list(7, m.ID))
	s.apply(t, put(nil))
	ok(t, s.h.Apply(s.ctx, []core.Applied{first}))
	same(t, "none again", pins(), list())

	round := s.log.id()
	late := s.apply(t, put(list(m.ID)), s.reactions(core.ReactionChange{ChannelID: s.lobby, MessageID: m.ID,
		Tallies: []core.Tally{{Round: round, Emoji: "🔥", Count: 1}}, Added: []core.Reactor{{Round: round, User: s.alice.ID}}}))
	s.apply(t, s.removeChannel(s.lobby))
	for range 2 {
		same(t, "pins of a deleted channel", pins(), list())
		same(t, "its reactions", s.tallies(t, m.ID), map[proto.ID][]core.Tally{})
		same(t, "its reactors", must[[]proto.ID](t)(s.h.Reactors(s.ctx, s.lobby, round, 0, 9)), []proto.ID{})
		ok(t, s.h.Apply(s.ctx, []core.Applied{late}))
	}
}
