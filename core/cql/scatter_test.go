package cql_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
)

// Alice reacts to every third message of a channel that sees one in ten days. Whoever reads a page asks for all of them at once.
func TestReactionsFarApart(t *testing.T) {
	s := newSender(t, servers.Address(t, "cassandra"))
	const alice, messages = 77, 60
	channel := 1000 * day
	var all, rounds []proto.ID
	want := map[proto.ID]bool{} // messages with a reaction
	for n := range proto.ID(messages) {
		id := channel + 10*day*n + 1<<22
		all, rounds = append(all, id), append(rounds, id+1)
		s.apply(s.next(proto.EventMessageCreate, message(channel, id)))
		if n%3 == 0 {
			want[id] = true
			s.apply(s.next(proto.EventInternalReactions, core.ReactionChange{ChannelID: channel, MessageID: id,
				Tallies: []core.Tally{{Round: id + 1, Count: 1}}, Added: []core.Reactor{{Round: id + 1, User: alice}}}))
		}
	}
	for _, ask := range [][]proto.ID{all, all[:1], all[1:3], nil} {
		tallies, err := s.store.Reactions(t.Context(), channel, ask)
		if err != nil {
			t.Fatal(err)
		}
		expected := slices.DeleteFunc(slices.Clone(ask), func(id proto.ID) bool { return !want[id] })
		if got := slices.Sorted(maps.Keys(tallies)); !slices.Equal(got, expected) {
			t.Errorf("reactions of %d messages: got %v, want %v", len(ask), got, expected)
		}
		for id, list := range tallies {
			if len(list) != 1 || list[0].Round != id+1 {
				t.Errorf("message %d: %+v", id, list)
			}
		}
	}
	mine, err := s.store.Reacted(t.Context(), channel, rounds, alice)
	if err != nil || len(mine) != len(want) {
		t.Errorf("Alice is in %d rounds, %v, want %d", len(mine), err, len(want))
	}
	if none, err := s.store.Reacted(t.Context(), channel, rounds, alice+1); err != nil || len(none) != 0 {
		t.Errorf("Bob is in %v, %v", none, err)
	}
}

// The newest page of a channel is right whether its last message is of this moment, of the next windows as a clock that runs ahead makes
// them, or of long ago.
func TestNewestPage(t *testing.T) {
	s := newSender(t, servers.Address(t, "cassandra"))
	now := proto.ID(time.Now().UnixMilli()-proto.Epoch) << 22
	channel := now - 900*day
	var want []proto.ID
	for _, at := range []proto.ID{channel + day, now - 400*day, now - 11*day, now - 1<<22, now, now + 15*day} {
		s.apply(s.next(proto.EventMessageCreate, message(channel, at)))
		want = append([]proto.ID{at}, want...)
		for n := 1; n <= len(want)+1; n++ {
			page, err := s.store.Before(t.Context(), channel, 0, n)
			if got := ids(page); err != nil || !slices.Equal(got, want[:min(n, len(want))]) {
				t.Errorf("newest %d of %d: got %v, %v, want %v", n, len(want), got, err, want[:min(n, len(want))])
			}
		}
	}
}
