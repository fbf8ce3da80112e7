package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func (w *town) ban(u proto.User, reason *string) []*pb.Event {
	return []*pb.Event{of(w.guild.ID, event(proto.EventInternalBanned, proto.Ban{User: u, Reason: reason})), w.leave(u),
		of(w.guild.ID, event(proto.EventGuildBanAdd, proto.GuildBan{GuildID: w.guild.ID, User: u}))}
}

func (w *town) unban(u proto.User) *pb.Event {
	return of(w.guild.ID, event(proto.EventGuildBanRemove, proto.GuildBan{GuildID: w.guild.ID, User: u}))
}

func testBans(t *testing.T, w *town) {
	w.apply(t, w.guilds, w.join(w.bob))
	stranger := proto.NewUser(w.homes.id(), "unknown", false)
	w.apply(t, w.guilds, append(w.ban(w.bob, ptr("rude")), w.ban(stranger, nil)...)...)
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventInternalAnswer, []int{1}))) // nobody's business
	w.reopen()
	bob, other := proto.Ban{User: w.bob, Reason: ptr("rude")}, proto.Ban{User: stranger}
	same(t, "Bob's ban", must[proto.Ban](t)(w.d.Ban(w.ctx, w.guild.ID, w.bob.ID)), bob)
	_, err := w.d.Ban(w.ctx, w.guild.ID, w.alice.ID)
	notFound(t, "ban of a member", err)
	list := func(before, after proto.ID, limit int) []proto.Ban {
		t.Helper()
		return must[[]proto.Ban](t)(w.d.Bans(w.ctx, w.guild.ID, before, after, limit))
	}
	same(t, "bans", list(0, 0, 10), []proto.Ban{bob, other})
	same(t, "first", list(0, 0, 1), []proto.Ban{bob})
	same(t, "after", list(0, w.bob.ID, 10), []proto.Ban{other})
	same(t, "before", list(stranger.ID, 0, 1), []proto.Ban{bob})
	same(t, "last before", list(stranger.ID+1, 0, 1), []proto.Ban{other})
	w.count(t, 1)
	w.apply(t, w.guilds, w.unban(w.bob))
	same(t, "after the unban", list(0, 0, 10), []proto.Ban{other})
	w.apply(t, w.guilds, w.ban(stranger, ptr("again"))...)
	same(t, "banned twice", *must[proto.Ban](t)(w.d.Ban(w.ctx, w.guild.ID, stranger.ID)).Reason, "again")
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildDelete, proto.GuildStub{ID: w.guild.ID})))
	same(t, "of a deleted guild", list(0, 0, 10), []proto.Ban{})
}

func testAuditLog(t *testing.T, w *town) {
	add := func(by proto.User, action int, reason string) proto.AuditLogEntry {
		t.Helper()
		e := proto.AuditLogEntry{ID: w.guilds.id(), UserID: &by.ID, TargetID: &w.bob.ID, Action: action, Reason: reason,
			Changes: []proto.AuditChange{{Key: "nick", New: []byte(`"b"`)}}}
		w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventAuditLogEntry, proto.AuditLogEvent{AuditLogEntry: e, GuildID: w.guild.ID})))
		return e
	}
	a, b, c := add(w.alice, proto.AuditMemberKick, "rude"), add(w.bob, proto.AuditMemberUpdate, ""), add(w.alice, proto.AuditMemberUpdate, "")
	w.reopen()
	for _, want := range []struct {
		q    core.AuditQuery
		list []proto.AuditLogEntry
	}{
		{core.AuditQuery{}, []proto.AuditLogEntry{c, b, a}},
		{core.AuditQuery{User: w.alice.ID}, []proto.AuditLogEntry{c, a}},
		{core.AuditQuery{Action: proto.AuditMemberUpdate}, []proto.AuditLogEntry{c, b}},
		{core.AuditQuery{User: w.bob.ID, Action: proto.AuditMemberKick}, []proto.AuditLogEntry{}},
		{core.AuditQuery{Before: c.ID}, []proto.AuditLogEntry{b, a}},
		{core.AuditQuery{After: a.ID}, []proto.AuditLogEntry{b, c}},
		{core.AuditQuery{Limit: 1}, []proto.AuditLogEntry{c}},
	} {
		if want.q.Limit == 0 {
			want.q.Limit = 10
		}
		same(t, fmt.Sprintf("%+v", want.q), must[[]proto.AuditLogEntry](t)(w.d.AuditLog(w.ctx, w.guild.ID, want.q)), want.list)
	}
	// A year later none of them is remembered.
	late := proto.AuditLogEntry{ID: proto.MakeID(born.Add(365*24*time.Hour), 7, 1), Action: proto.AuditGuildUpdate}
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventAuditLogEntry, proto.AuditLogEvent{AuditLogEntry: late, GuildID: w.guild.ID})))
	same(t, "a year later", must[[]proto.AuditLogEntry](t)(w.d.AuditLog(w.ctx, w.guild.ID, core.AuditQuery{Limit: 10})), []proto.AuditLogEntry{late})
}

func testFindMembers(t *testing.T, w *town) {
	find := func(prefix, want string) {
		t.Helper()
		var names []string
		for _, m := range must[[]proto.Member](t)(w.d.FindMembers(w.ctx, w.guild.ID, prefix, 3)) {
			names = append(names, m.User.Username)
		}
		if got := strings.Join(names, " "); got != want {
			t.Fatalf("%q: got %q, want %q", prefix, got, want)
		}
	}
	w.apply(t, w.guilds, w.join(w.bob))
	find("ali", "Alice")
	find("", "Alice Bob")
	find("BO", "Bob")
	find("ob", "")
	nicked := newMember(w.bob)
	nicked.Nick = ptr("Älisander Bö")
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildMemberUpdate, proto.GuildMember{GuildID: w.guild.ID, Member: nicked})))
	find("äLI", "Bob")
	find("b", "Bob") // one of several names, told once
	w.reopen()
	renamed := w.bob
	renamed.GlobalName = ptr("Allen")
	w.apply(t, w.homes, to(w.bob.ID, event(proto.EventUserUpdate, renamed)))
	find("al", "Alice Bob")
	find("äli", "Bob")
	for n := range 5 {
		w.apply(t, w.guilds, w.join(proto.NewUser(w.homes.id(), fmt.Sprint("zoe", n), false)))
	}
	find("z", "unknown unknown unknown") // whose birth the directory never heard of; no more than asked for
	w.apply(t, w.guilds, w.leave(w.bob))
	find("al", "Alice")
	find("äli", "")
	find("%", "")
	find("_", "")
}

func testPrune(t *testing.T, w *town) {
	mods, gulls := w.putRole(t, "mods", 1), w.putRole(t, "gulls", 2)
	w.apply(t, w.guilds, w.join(w.bob, mods.ID))
	both := proto.NewUser(w.homes.id(), "unknown", false)
	w.apply(t, w.guilds, w.join(both, mods.ID, gulls.ID))
	late := newMember(proto.NewUser(w.homes.id(), "unknown", false))
	late.JoinedAt = proto.Time(born.Add(time.Hour))
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildMemberAdd, proto.GuildMember{GuildID: w.guild.ID, Member: late})))
	for _, c := range []struct {
		joined time.Time
		roles  []proto.ID
		want   []proto.ID
	}{
		{born, nil, nil},
		{born.Add(time.Minute), nil, []proto.ID{w.alice.ID}},
		{born.Add(2 * time.Hour), nil, []proto.ID{w.alice.ID, late.User.ID}},
		{born.Add(time.Minute), []proto.ID{mods.ID}, []proto.ID{w.alice.ID, w.bob.ID}},
		{born.Add(time.Minute), []proto.ID{mods.ID, gulls.ID}, []proto.ID{w.alice.ID, w.bob.ID, both.ID}},
	} {
		q := core.PruneQuery{Joined: c.joined, Roles: c.roles}
		var got []proto.ID
		for _, m := range must[[]proto.Member](t)(w.d.Prunable(w.ctx, w.guild.ID, q, 10)) {
			got = append(got, m.User.ID)
		}
		same(t, fmt.Sprintf("%+v", q), got, c.want)
		if n := must[int](t)(w.d.PruneCount(w.ctx, w.guild.ID, q)); n != len(c.want) {
			t.Errorf("%+v: counted %d, want %d", q, n, len(c.want))
		}
	}
	if got := must[[]proto.Member](t)(w.d.Prunable(w.ctx, w.guild.ID, core.PruneQuery{Joined: born.Add(2 * time.Hour)}, 1)); len(got) != 1 {
		t.Errorf("got %d members, want 1", len(got))
	}
}
