package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func testMembersByRole(t *testing.T, w *town) {
	mods, gulls := w.putRole(t, "mods", 1), w.putRole(t, "gulls", 2)
	var want []proto.ID
	for n := range 25 {
		u := proto.NewUser(w.homes.id(), fmt.Sprint("bird", n), false)
		roles := []proto.ID{gulls.ID}
		if n%2 == 0 {
			roles, want = append(roles, mods.ID), append(want, u.ID)
		}
		w.apply(t, w.guilds, w.join(u, roles...))
	}
	pages := func(role proto.ID, limit int) (ids []proto.ID) {
		t.Helper()
		for after := proto.ID(0); ; after = ids[len(ids)-1] {
			page := must[[]proto.Member](t)(w.d.MembersByRole(w.ctx, w.guild.ID, role, after, limit))
			for _, m := range page {
				if ids = append(ids, m.User.ID); !slices.Contains(m.Roles, role) {
					t.Fatalf("member %d holds %v, not %d", m.User.ID, m.Roles, role)
				}
			}
			if len(page) < limit {
				return ids
			}
		}
	}
	for _, limit := range []int{1, 4, 13, 100} {
		if got := pages(mods.ID, limit); !slices.Equal(got, want) {
			t.Errorf("pages of %d: got %v, want %v", limit, got, want)
		}
	}
	if got := pages(gulls.ID, 10); len(got) != 25 {
		t.Errorf("got %d holders of the other role, want 25", len(got))
	}
	// One loses the role, one leaves.
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildMemberUpdate, proto.GuildMember{GuildID: w.guild.ID,
		Member: newMember(proto.NewUser(want[3], "bird", false), gulls.ID)})), w.leave(proto.NewUser(want[0], "bird", false)))
	w.reopen()
	if got := pages(mods.ID, 5); !slices.Equal(got, slices.Concat(want[1:3], want[4:])) {
		t.Errorf("after changes: got %v", got)
	}
}

// Somebody joins a guild, as the API knew them a moment ago, and changes the name in the same moment. Whichever is written first, once the
// commands that follow are done the member is found by the new name, and by that alone.
func testRenameRace(t *testing.T, w *town) {
	for n := range 20 {
		before := proto.NewUser(w.homes.id(), fmt.Sprint("old", n), false)
		after := before
		after.Username = fmt.Sprint("new", n)
		w.apply(t, w.homes, to(before.ID, event(proto.EventInternalUserBorn, core.Account{User: before})))
		join, rename := w.guilds.entry(w.join(before)), w.homes.entry(to(before.ID, event(proto.EventUserUpdate, after)))
		var wg sync.WaitGroup
		for _, a := range []core.Applied{join, rename} {
			wg.Go(func() {
				if err := w.d.Apply(w.ctx, []core.Applied{a}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		// What owners make of the commands that are owed.
		for _, e := range must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 100)) {
			joined := to(proto.ID(e.Command.Target), of(w.guild.ID, &pb.Event{Type: proto.EventInternalGuildJoined, Body: e.Command.Body}))
			w.apply(t, w.homes, joined)
			ok(t, w.d.Done(w.ctx, e))
		}
		for _, e := range must[[]core.Effect](t)(w.d.Outbox(w.ctx, 9, 100)) {
			var u proto.User
			ok(t, json.Unmarshal(e.Command.Body, &u))
			if e.Command.Kind == core.KindMemberUser {
				w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildMemberUpdate, proto.GuildMember{GuildID: w.guild.ID, Member: newMember(u)})))
			}
			ok(t, w.d.Done(w.ctx, e))
		}
		for name, want := range map[string]int{before.Username: 0, after.Username: 1} {
			found := must[[]proto.Member](t)(w.d.FindMembers(w.ctx, w.guild.ID, name, 5))
			found = slices.DeleteFunc(found, func(m proto.Member) bool { return m.User.ID != before.ID })
			if len(found) != want || want == 1 && found[0].User.Username != after.Username {
				t.Fatalf("round %d: %q finds %d, want %d", n, name, len(found), want)
			}
		}
	}
}
