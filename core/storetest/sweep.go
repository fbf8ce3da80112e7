package storetest

import (
	"fmt"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A role of everybody and then the guild are deleted, one with more members than any page of a store has. It is as if it were done at once,
// however much of it is left for later; in the end nothing is left, and every member was told once.
func testSweep(t *testing.T, w *town) {
	const many = 1201
	mods, gulls := w.putRole(t, "mods", 1), w.putRole(t, "gulls", 2)
	var joins []*pb.Event
	users := map[proto.ID]proto.User{w.alice.ID: w.alice}
	for n := range many - 1 {
		u := proto.NewUser(w.homes.id(), fmt.Sprintf("bird%d", n), false)
		users[u.ID] = u
		joins = append(joins, w.join(u, gulls.ID, mods.ID))
	}
	w.apply(t, w.guilds, joins...)
	for len(must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 1))) > 0 {
		ok(t, w.d.Done(w.ctx, must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 1000))...))
	}
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildBanAdd, nil)),
		of(w.guild.ID, event(proto.EventInternalBanned, proto.Ban{User: w.bob})))

	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildRoleDelete, proto.GuildRoleDelete{GuildID: w.guild.ID, RoleID: mods.ID})))
	one := w.join(w.bob, gulls.ID) // amid
	w.apply(t, w.guilds, one)
	withoutRole := func() {
		t.Helper()
		if l := must[[]proto.Member](t)(w.d.MembersByRole(w.ctx, w.guild.ID, mods.ID, 0, 10)); len(l) != 0 {
			t.Fatalf("%d members hold a deleted role", len(l))
		}
		if l := must[[]proto.Member](t)(w.d.MembersByRole(w.ctx, w.guild.ID, gulls.ID, 0, 2*many)); len(l) != many {
			t.Fatalf("%d members hold the other role, want %d", len(l), many)
		}
		all := must[[]proto.Member](t)(w.d.Members(w.ctx, w.guild.ID, 0, 2*many))
		if len(all) != many+1 {
			t.Fatalf("got %d members, want %d", len(all), many+1)
		}
		for _, m := range append(all, must[proto.Member](t)(w.d.Member(w.ctx, w.guild.ID, all[5].User.ID)),
			must[[]proto.Member](t)(w.d.FindMembers(w.ctx, w.guild.ID, "bird7", 10))[3]) {
			want := []proto.ID{gulls.ID}
			if m.User.ID == w.alice.ID {
				want = []proto.ID{}
			}
			same(t, m.User.Username, m.Roles, want)
		}
	}
	withoutRole()
	parts := 0
	for must[bool](t)(w.d.Sweep(w.ctx, 7)) {
		if parts++; parts == 2 {
			withoutRole()
		}
	}
	withoutRole()
	if parts < 3 {
		t.Errorf("swept in %d parts: nothing was left for later", parts)
	}
	if must[bool](t)(w.d.Sweep(w.ctx, 9)) {
		t.Error("another bucket has something to sweep")
	}

	ok(t, w.d.Done(w.ctx, must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 10))...)) // Bob's join
	users[w.bob.ID] = w.bob
	a := w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildDelete, proto.GuildStub{ID: w.guild.ID})))
	w.apply(t, w.homes, to(w.alice.ID, of(w.guild.ID, event(proto.EventInternalGuildJoined, core.GuildLink{Counter: 1}))))
	if must[bool](t)(w.d.ShareGuild(w.ctx, w.alice.ID, w.bob.ID)) {
		t.Error("Alice and Bob share a guild that is deleted")
	}
	told, ids := map[proto.ID]bool{}, map[string]bool{}
	for {
		if l := must[[]proto.Member](t)(w.d.Members(w.ctx, w.guild.ID, 0, 10)); len(l) != 0 {
			t.Fatalf("a deleted guild has %d members", len(l))
		}
		if l := must[[]proto.Member](t)(w.d.FindMembers(w.ctx, w.guild.ID, "bird", 10)); len(l) != 0 {
			t.Fatalf("a deleted guild has %d birds", len(l))
		}
		if l := must[[]proto.Ban](t)(w.d.Bans(w.ctx, w.guild.ID, 0, 0, 10)); len(l) != 0 {
			t.Fatalf("a deleted guild has %d bans", len(l))
		}
		if n := must[int](t)(w.d.PruneCount(w.ctx, w.guild.ID, core.PruneQuery{Joined: everAfter})); n != 0 {
			t.Fatalf("a deleted guild has %d to prune", n)
		}
		page := must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 500))
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			user := proto.ID(e.Command.Target)
			if told[user] {
				t.Fatalf("user %d is told twice", user)
			}
			told[user], ids[string(e.Command.Id)] = true, true
			checkEffect(t, e, a, core.KindGuildLeft, user, w.guild.ID)
		}
		same(t, "asked again", must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 500)), page)
		ok(t, w.d.Done(w.ctx, page...))
		_ = must[bool](t)(w.d.Sweep(w.ctx, 7))
		w.reopen()
	}
	if len(told) != many+1 || len(ids) != len(told) {
		t.Fatalf("%d users told by %d commands, want %d", len(told), len(ids), many+1)
	}
	for user := range told {
		if _, ok := users[user]; !ok {
			t.Errorf("user %d was no member", user)
		}
	}
	for n := 0; must[bool](t)(w.d.Sweep(w.ctx, 7)); n++ {
		if n > 100 {
			t.Fatal("sweeping does not end")
		}
	}
}
