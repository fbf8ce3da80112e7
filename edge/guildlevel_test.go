package edge

import (
	"encoding/json"
	"testing"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// An event without a channel that requires a right goes to those who have it in the guild as a whole, and who have the intent.
func TestGuildLevelRequired(t *testing.T) {
	l := &loop{encoder: &encoder{}, guilds: map[proto.ID]*guild{}, users: map[proto.ID]*user{}, gen: &generation{}}
	const moderators, admins, bouncers = guildID + 1, guildID + 2, guildID + 3
	const owner, mia, adam, bob, deaf, bea proto.ID = 1, 2, 3, 4, 5, 6
	g := &guild{id: guildID, loaded: true, roles: map[proto.ID]proto.Role{guildID: {ID: guildID, Permissions: proto.PermDefault},
		moderators: {ID: moderators, Permissions: proto.PermViewAuditLog}, admins: {ID: admins, Permissions: proto.PermAdministrator},
		bouncers: {ID: bouncers, Permissions: proto.PermBanMembers}},
		channels: map[proto.ID]*proto.Channel{}, own: map[proto.ID]int{}, members: map[proto.ID]*member{}, full: true, classes: map[string]*class{},
		meta: proto.NewGuild(guildID, "g", owner)}
	l.guilds[guildID] = g
	sessions := map[proto.ID]*session{}
	for id, roles := range map[proto.ID][]proto.ID{owner: nil, mia: {moderators}, adam: {admins}, bob: nil, deaf: {moderators}, bea: {bouncers}} {
		g.members[id] = &member{row: &proto.Member{User: &proto.User{ID: id}, Roles: roles}}
		s := &session{user: id, gen: l.gen, guilds: map[proto.ID]*membership{}, intents: proto.IntentsAll, ring: ring{maxEvents: 100, maxBytes: 1 << 20}}
		if id == deaf {
			s.intents &^= proto.IntentGuildModeration
		}
		m := &membership{session: s, guild: g}
		s.guilds[guildID] = m
		g.place(m)
		sessions[id] = s
	}
	seq := uint64(0)
	happen := func(kind string, required proto.Permissions, d any) {
		t.Helper()
		seq++
		body, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		l.guildEvent(g, seq, &pb.Event{Type: kind, Guild: uint64(guildID), Required: uint64(required), Body: body})
	}
	// heard counts events of a kind by user.
	heard := func(kind string) map[proto.ID]int {
		n := map[proto.ID]int{}
		for id, s := range sessions {
			s.ring.after(0, func(e *event) {
				if e.kind == kind {
					n[id]++
				}
			})
		}
		return n
	}
	want := func(kind string, want map[proto.ID]int) {
		t.Helper()
		got := heard(kind)
		for id := range sessions {
			if got[id] != want[id] {
				t.Errorf("%s: user %d got %d, want %d", kind, id, got[id], want[id])
			}
		}
	}
	entry := proto.AuditLogEvent{AuditLogEntry: proto.AuditLogEntry{ID: 9, Action: proto.AuditMemberKick}, GuildID: guildID}
	happen(proto.EventAuditLogEntry, proto.PermViewAuditLog, entry)
	want(proto.EventAuditLogEntry, map[proto.ID]int{owner: 1, mia: 1, adam: 1})
	happen(proto.EventGuildBanAdd, 0, proto.GuildBan{GuildID: guildID, User: proto.User{ID: 77}})
	want(proto.EventGuildBanAdd, map[proto.ID]int{owner: 1, mia: 1, adam: 1, bea: 1}) // either right will do
	happen(proto.EventGuildBanRemove, 0, proto.GuildBan{GuildID: guildID, User: proto.User{ID: 77}})
	want(proto.EventGuildBanRemove, map[proto.ID]int{owner: 1, mia: 1, adam: 1, bea: 1})

	happen(proto.EventGuildRoleUpdate, 0, proto.GuildRole{GuildID: guildID, Role: proto.Role{ID: moderators}}) // the right is gone
	happen(proto.EventAuditLogEntry, proto.PermViewAuditLog, entry)
	want(proto.EventAuditLogEntry, map[proto.ID]int{owner: 2, mia: 1, adam: 2})
	meta := g.meta
	meta.OwnerID = bob // who the owner is counts from the next event on
	happen(proto.EventGuildUpdate, 0, meta)
	happen(proto.EventAuditLogEntry, proto.PermViewAuditLog, entry)
	want(proto.EventAuditLogEntry, map[proto.ID]int{owner: 2, mia: 1, adam: 3, bob: 1})
}
