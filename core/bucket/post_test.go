package bucket

import (
	"context"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// While the history stands still, reactions and pins are counted as the log has them; a new owner finds them again.
func TestPostsAheadOfTheHistory(t *testing.T) {
	w := newWorld(t)
	o := w.own("first")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	h.join(bob)
	m := h.say(alice, "vote")
	release := w.hist.halt()
	react := func(kind string, who proto.ID, emoji string) *pb.Command {
		c := h.cmd(kind, who, m.ID)
		c.Body = encode(core.ReactionRef{Emoji: emoji})
		return c
	}
	twice := react(core.KindReactionAdd, alice, "🔥")
	twice.Id = newCommandID()
	for range 2 { // the same command, then others of the same effect
		w.do(204, twice, nil, nil)
		w.do(204, react(core.KindReactionAdd, alice, "🔥"), nil, nil)
		w.do(204, react(core.KindReactionAdd, bob, "🔥"), nil, nil)
	}
	w.do(204, react(core.KindReactionAdd, bob, "❤️"), nil, nil)
	w.do(204, react(core.KindReactionRemove, bob, "❤️"), nil, nil)
	w.do(204, react(core.KindReactionRemove, bob, "❤️"), nil, nil)
	w.do(204, h.cmd(core.KindPin, alice, m.ID), nil, nil)
	w.do(204, h.cmd(core.KindPin, alice, m.ID), nil, nil)
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindPin, bob, m.ID), nil)
	w.refused(proto.ErrUnknownEmoji, react(core.KindReactionAdd, bob, "gull"), nil)
	release()

	check := func(name string) {
		t.Helper()
		relaytest.Until(t, name+": the history has the reactions", func() bool {
			tallies, err := w.hist.Reactions(context.Background(), h.general, []proto.ID{m.ID})
			list := tallies[m.ID]
			if err != nil || len(list) != 1 || list[0].Emoji != "🔥" || list[0].Count != 2 {
				return false
			}
			users, err := w.hist.Reactors(context.Background(), h.general, list[0].Round, 0, 10)
			return err == nil && len(users) == 2
		})
		pins, err := w.hist.Pins(context.Background(), h.general)
		if err != nil || len(pins) != 1 || pins[0].MessageID != m.ID {
			t.Errorf("%s: pins %+v, %v", name, pins, err)
		}
	}
	check("first owner")
	if err := o.Check(); err != nil {
		t.Error(err)
	}
	o.stop()
	second := w.own("second")
	w.do(204, twice, nil, nil)
	w.do(204, react(core.KindReactionAdd, bob, "🔥"), nil, nil)
	check("second owner")

	// The message goes, and with it what was done with it.
	w.do(204, h.cmd(core.KindMessageDelete, alice, m.ID), nil, nil)
	w.refused(proto.ErrUnknownMessage, react(core.KindReactionAdd, bob, "🔥"), nil)
	tallies, err := w.hist.Reactions(context.Background(), h.general, []proto.ID{m.ID})
	if err != nil || len(tallies) != 0 {
		t.Errorf("reactions of a deleted message: %v, %v", tallies, err)
	}
	if pins, err := w.hist.Pins(context.Background(), h.general); err != nil || len(pins) != 0 {
		t.Errorf("pins of a deleted message: %v, %v", pins, err)
	}
	if err := second.Check(); err != nil {
		t.Error(err)
	}
}

// The overlay holds posts until the history has them, and every message of a bulk delete.
func TestOverlayPosts(t *testing.T) {
	o := newOverlay()
	first, second := &pb.Event{Id: 9}, &pb.Event{Id: 9}
	key := postKey{id: 9}
	o.pendPost(key, 1, first)
	o.appended([]*pb.Event{first}, 5)
	o.pendPost(key, 2, second)
	o.applied(5)
	if v, ok := o.post(key); !ok || v != 2 {
		t.Errorf("pending: got %v, %v", v, ok)
	}
	o.appended([]*pb.Event{second}, 6)
	o.applied(6)
	if _, ok := o.post(key); ok || len(o.posts)+len(o.postOrder)+len(o.pending) != 0 {
		t.Errorf("applied: got %+v", o)
	}
	bulk := &pb.Event{Id: 1}
	o.pendDeleted([]proto.ID{1, 2, 3}, bulk)
	o.appended([]*pb.Event{bulk}, 7)
	if ev, ok := o.get(3); !ok || ev != nil {
		t.Errorf("deleted with others: got %v, %v", ev, ok)
	}
	o.applied(7)
	if len(o.messages)+len(o.order)+len(o.pending) != 0 {
		t.Errorf("applied: got %+v", o)
	}
}
