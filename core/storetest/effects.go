package storetest

import (
	"encoding/json"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func checkEffect(t *testing.T, e core.Effect, a core.Applied, kind string, user, guild proto.ID) {
	t.Helper()
	c := e.Command
	if e.Bucket != a.Bucket || e.Sequence != a.Sequence || len(c.Id) != 16 || c.Kind != kind || proto.ID(c.Target) != user ||
		proto.ID(c.Guild) != guild || int(c.Bucket) != user.Bucket() {
		t.Fatalf("effect %+v of entry %d, want %s of user %d and guild %d", e, a.Sequence, kind, user, guild)
	}
	var link core.GuildLink
	ok(t, json.Unmarshal(c.Body, &link))
	if link.Sequence != a.Sequence || link.Epoch != a.Entry.Epoch || link.Counter != a.Entry.Counter {
		t.Fatalf("link %+v of entry %d", link, a.Sequence)
	}
}

// drain does all that a bucket owes.
func (w *town) drain(t *testing.T, bucket int) {
	t.Helper()
	for _, e := range must[[]core.Effect](t)(w.d.Outbox(w.ctx, bucket, 1000)) {
		ok(t, w.d.Done(w.ctx, e))
	}
}

func testOutbox(t *testing.T, w *town) {
	owed := must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 10))
	if len(owed) != 1 || owed[0].Command.Kind != core.KindGuildJoined || proto.ID(owed[0].Command.Target) != w.alice.ID {
		t.Fatalf("a birth owes %+v", owed)
	}
	w.drain(t, 7)
	a := w.apply(t, w.guilds, w.join(w.bob), w.leave(w.bob))
	w.guilds.remake() // later entries have lower sequences now
	b := w.apply(t, w.guilds, w.join(w.bob))
	w.reopen()

	owed = must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 10))
	if len(owed) != 3 {
		t.Fatalf("got %d effects, want 3", len(owed))
	}
	checkEffect(t, owed[0], a, core.KindGuildJoined, w.bob.ID, w.guild.ID)
	checkEffect(t, owed[1], a, core.KindGuildLeft, w.bob.ID, w.guild.ID)
	checkEffect(t, owed[2], b, core.KindGuildJoined, w.bob.ID, w.guild.ID)
	same(t, "limit", must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 2)), owed[:2])
	same(t, "another bucket", must[[]core.Effect](t)(w.d.Outbox(w.ctx, 9, 10)), []core.Effect{})

	ok(t, w.d.Done(w.ctx, owed[1]))
	ok(t, w.d.Done(w.ctx, owed[1]))
	same(t, "one done", must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 10)), []core.Effect{owed[0], owed[2]})
	ok(t, w.d.Apply(w.ctx, []core.Applied{a, b})) // a replay owes nothing again
	same(t, "after a replay", must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 10)), []core.Effect{owed[0], owed[2]})
	ids := map[string]bool{}
	for _, e := range owed {
		ids[string(e.Command.Id)] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d ids for 3 effects", len(ids))
	}
}

func testLinks(t *testing.T, w *town) {
	link := func(kind string, epoch, counter uint64, index int) *pb.Event {
		e := to(w.bob.ID, of(w.guild.ID, event(kind, core.GuildLink{Sequence: counter * 3, Epoch: epoch, Counter: counter, Index: index})))
		e.Id = counter * 3
		return e
	}
	other := newGuild(w.guilds, "Fish", w.alice).ID
	plain := to(w.bob.ID, of(other, event(proto.EventInternalGuildJoined, nil))) // a link without body
	plain.Id = 12
	both, one := []proto.ID{w.guild.ID, other}, []proto.ID{other}
	for i, c := range []struct {
		event *pb.Event
		want  []proto.ID
	}{
		{plain, one},
		{link(proto.EventInternalGuildJoined, 1, 10, 0), both},
		{link(proto.EventInternalGuildLeft, 1, 12, 1), one},
		{link(proto.EventInternalGuildJoined, 1, 11, 0), one}, // late
		{link(proto.EventInternalGuildJoined, 1, 12, 0), one}, // late, of the same entry
		{link(proto.EventInternalGuildJoined, 1, 12, 2), both},
		{link(proto.EventInternalGuildLeft, 2, 3, 0), one}, // the guild's log was made anew
		{link(proto.EventInternalGuildJoined, 1, 99, 0), one},
	} {
		w.apply(t, w.homes, c.event)
		same(t, shown(t, i), must[[]proto.ID](t)(w.d.GuildsOf(w.ctx, w.bob.ID)), c.want)
	}
	same(t, "Alice", must[[]proto.ID](t)(w.d.GuildsOf(w.ctx, w.alice.ID)), []proto.ID{})
}
