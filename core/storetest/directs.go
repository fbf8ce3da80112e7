package storetest

import (
	"encoding/json"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func testDirects(t *testing.T, w *town) {
	pair := newJournal(3)
	id, marker := pair.id(), pair.id()
	seen := func(by proto.User) proto.DirectChannel {
		other := w.alice
		if by.ID == w.alice.ID {
			other = w.bob
		}
		return proto.DirectChannel{ID: id, Type: proto.ChannelDM, Recipients: []proto.User{other}}
	}
	list := func(what string, by proto.User, want ...proto.ID) {
		t.Helper()
		ids := []proto.ID{}
		for _, d := range must[[]core.Direct](t)(w.d.DirectsOf(w.ctx, by.ID)) {
			ids = append(ids, d.ID)
		}
		same(t, what, ids, append([]proto.ID{}, want...))
	}
	birth := event(proto.EventInternalDirectBorn, proto.DirectChannel{ID: id, Recipients: []proto.User{w.bob, w.alice}})
	birth.Channel = uint64(id)
	shown := to(w.alice.ID, event(proto.EventInternalDirectShown, seen(w.alice)))
	shown.Channel, shown.Id = uint64(id), uint64(marker)
	a := w.apply(t, pair, birth, shown)
	ok(t, w.d.Apply(w.ctx, []core.Applied{a}))
	w.reopen()
	list("Alice's", w.alice, id)
	list("Bob's", w.bob)
	d := must[core.Direct](t)(w.d.Direct(w.ctx, id))
	same(t, "of the pair", must[core.Direct](t)(w.d.DirectOf(w.ctx, w.bob.ID, w.alice.ID)), d)
	if ch, open, mine := d.For(w.alice.ID); !open || !mine || ch.Recipients[0].ID != w.bob.ID {
		t.Errorf("as Alice sees it: %+v, %t, %t", ch, open, mine)
	}
	if _, open, mine := d.For(w.bob.ID); open || !mine {
		t.Errorf("as Bob sees it: %t, %t", open, mine)
	}
	if g := must[proto.ID](t)(w.d.ChannelGuild(w.ctx, id)); g != 0 {
		t.Errorf("guild of a direct channel: %d", g)
	}
	_, err := w.d.Direct(w.ctx, w.lobby.ID)
	notFound(t, "a guild's channel", err)
	_, err = w.d.DirectOf(w.ctx, w.alice.ID, w.alice.ID)
	notFound(t, "a pair without channel", err)

	hidden := to(w.alice.ID, event(proto.EventInternalDirectHidden, seen(w.alice)))
	hidden.Channel, hidden.Id = uint64(id), uint64(pair.id())
	w.apply(t, pair, hidden)
	list("Alice's, closed", w.alice)
	owed := must[[]core.Effect](t)(w.d.Outbox(w.ctx, 3, 10))
	if len(owed) != 2 || owed[0].Command.Kind != core.KindDirectOpened || owed[1].Command.Kind != core.KindDirectClosed {
		t.Fatalf("owed: %+v", owed)
	}
	var link core.DirectLink
	c := owed[0].Command
	ok(t, json.Unmarshal(c.Body, &link))
	if proto.ID(c.Target) != w.alice.ID || proto.ID(c.Channel) != id || int(c.Bucket) != w.alice.ID.Bucket() || link.Sequence != a.Sequence ||
		link.Since != marker {
		t.Errorf("owed: %v, %+v", c, link)
	}
	// What Alice's home was told: the later of an opening and a closing stays, in whatever order they come.
	tell := func(kind string, since proto.ID, want ...core.ListedDirect) {
		t.Helper()
		e := to(w.alice.ID, event(kind, core.DirectLink{Sequence: 1, Since: since}))
		e.Channel = uint64(id)
		w.apply(t, w.homes, e)
		got := must[[]core.ListedDirect](t)(w.d.ListedDirects(w.ctx, w.alice.ID))
		same(t, "as Alice's home has it", append([]core.ListedDirect{}, got...), append([]core.ListedDirect{}, want...))
	}
	tell(proto.EventInternalDirectOpened, marker, core.ListedDirect{Channel: id, Since: marker})
	tell(proto.EventInternalDirectClosed, marker+1)
	tell(proto.EventInternalDirectOpened, marker)
	tell(proto.EventInternalDirectOpened, marker+2, core.ListedDirect{Channel: id, Since: marker + 2})
	tell(proto.EventInternalDirectClosed, marker+1, core.ListedDirect{Channel: id, Since: marker + 2})
	same(t, "as Bob's has it", len(must[[]core.ListedDirect](t)(w.d.ListedDirects(w.ctx, w.bob.ID))), 0)
}

func testRelationships(t *testing.T, w *town) {
	blocked := func(want bool) {
		t.Helper()
		if got := must[bool](t)(w.d.Blocked(w.ctx, w.bob.ID, w.alice.ID)); got != want {
			t.Errorf("blocked: %t", got)
		}
		if got := must[bool](t)(w.d.Blocked(w.ctx, w.alice.ID, w.bob.ID)); got != want {
			t.Errorf("blocked, the other way: %t", got)
		}
	}
	blocked(false)
	add := to(w.alice.ID, event(proto.EventRelationshipAdd, proto.Relationship{ID: w.bob.ID, Type: proto.RelationshipBlocked, User: w.bob}))
	w.apply(t, w.homes, add)
	w.apply(t, w.homes, add)
	w.reopen()
	blocked(true)
	same(t, "relationships", must[[]proto.Relationship](t)(w.d.Relationships(w.ctx, w.alice.ID)),
		[]proto.Relationship{{ID: w.bob.ID, Type: proto.RelationshipBlocked, User: w.bob}})
	same(t, "Bob's", must[[]proto.Relationship](t)(w.d.Relationships(w.ctx, w.bob.ID)), []proto.Relationship{})
	w.apply(t, w.homes, to(w.alice.ID, event(proto.EventRelationshipRemove, proto.RelationshipRemove{ID: w.bob.ID})))
	blocked(false)
}

// testProfile changes a user who is in one guild and on the way into another.
func testProfile(t *testing.T, w *town) {
	join := func(guild proto.ID, known proto.User) {
		w.apply(t, w.homes, to(w.bob.ID, of(guild, event(proto.EventInternalGuildJoined,
			core.GuildLink{Sequence: 1, Epoch: 1, Counter: 1, Profile: core.ProfilePrint(known)}))))
	}
	join(w.guild.ID, w.bob)
	shares := func(want bool) {
		t.Helper()
		if got := must[bool](t)(w.d.ShareGuild(w.ctx, w.alice.ID, w.bob.ID)); got != want {
			t.Errorf("share a guild: %t", got)
		}
	}
	shares(false)
	w.apply(t, w.guilds, w.join(w.bob))
	shares(true) // though Alice's bucket knows nothing of the guild
	w.apply(t, w.guilds, w.leave(w.bob))
	shares(false) // though Bob's does
	w.apply(t, w.homes, to(w.alice.ID, of(w.guild.ID, event(proto.EventInternalGuildJoined, core.GuildLink{Counter: 1}))))
	shares(false)
	w.apply(t, w.guilds, w.join(w.bob))
	shares(true)
	next := w.bob
	next.GlobalName = ptr("Bobby")
	w.apply(t, w.homes, to(w.bob.ID, event(proto.EventUserUpdate, next.Self())))
	other := newGuild(w.guilds, "Fish", w.alice).ID
	join(other, w.bob) // whose bucket read Bob before he changed
	join(newGuild(w.guilds, "Cats", w.alice).ID, next)
	owed := must[[]core.Effect](t)(w.d.Outbox(w.ctx, 9, 10))
	if len(owed) != 2 {
		t.Fatalf("owed: %+v", owed)
	}
	for i, guild := range []proto.ID{w.guild.ID, other} {
		c := owed[i].Command
		var u proto.User
		ok(t, json.Unmarshal(c.Body, &u))
		if c.Kind != core.KindMemberUser || proto.ID(c.Guild) != guild || proto.ID(c.Target) != w.bob.ID || int(c.Bucket) != guild.Bucket() {
			t.Errorf("owed: %v", c)
		}
		same(t, "profile", u, next)
	}
}
