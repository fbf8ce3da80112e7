package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// audits gives the actions of the guild's audit log, oldest first.
func (h *home) audits() (actions []int, entries []proto.AuditLogEntry) {
	h.w.t.Helper()
	entries, err := h.w.dir.AuditLog(context.Background(), h.guild, core.AuditQuery{After: 1, Limit: 100})
	if err != nil {
		h.w.t.Fatal(err)
	}
	for _, e := range entries {
		actions = append(actions, e.Action)
	}
	return actions, entries
}

func set[T any](v T) core.Optional[T] { return core.Optional[T]{Set: true, Value: &v} }

// Who may run a guild: the cases of TestRights for what moderators do.
func TestModeratorRights(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	olga, adam, mia, bob, eve := w.person("olga"), w.person("adam"), w.person("mia"), w.person("bob"), w.person("eve")
	victims := 0
	victim := func(h *home) proto.ID {
		victims++
		id := w.person(fmt.Sprint("victim", victims))
		h.join(id)
		return id
	}
	name := "Aviary"
	cases := []struct {
		kind string
		need proto.Permissions
		ok   int
		make func(h *home, who proto.ID) (*pb.Command, any)
	}{
		{core.KindGuildEdit, proto.PermManageGuild, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindGuildEdit, who, 0), core.GuildEdit{Name: &name}
		}},
		{core.KindChannelsMove, proto.PermManageChannels, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindChannelsMove, who, 0), core.ChannelsMove{Places: []core.ChannelPlace{{ID: h.general, Position: new(3)}}}
		}},
		{core.KindRolesMove, proto.PermManageRoles, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindRolesMove, who, 0), core.RolesMove{Places: []core.RolePlace{{ID: h.role(0, 0), Position: new(1)}}}
		}},
		{core.KindBanPut, proto.PermBanMembers, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindBanPut, who, victim(h)), nil
		}},
		{core.KindBanDelete, proto.PermBanMembers, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			v := victim(h)
			h.w.do(204, h.cmd(core.KindBanPut, h.owner, v), nil, nil)
			return h.cmd(core.KindBanDelete, who, v), nil
		}},
		{core.KindBanBulk, proto.PermBanMembers | proto.PermManageGuild, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindBanBulk, who, 0), core.BanBulk{Users: []proto.ID{victim(h)}}
		}},
		{core.KindMembersPrune, proto.PermKickMembers | proto.PermManageGuild, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindMembersPrune, who, 0), core.MembersPrune{Days: 1}
		}},
		{core.KindInviteDelete, proto.PermManageGuild, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			code := fmt.Sprintf("%x", newCommandID()[:8])
			h.w.do(200, h.cmd(core.KindInviteCreate, h.owner, 0), core.InviteCreate{Code: code}, nil)
			return h.cmd(core.KindInviteDelete, who, 0), core.InviteRef{Code: code}
		}},
		{core.KindMemberEdit, proto.PermModerateMembers, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindMemberEdit, who, victim(h)), core.MemberEdit{CommunicationDisabledUntil: set(proto.Time(time.Now().Add(time.Hour)))}
		}},
	}
	for _, c := range cases {
		t.Run(c.kind, func(t *testing.T) {
			w.t = t
			h := w.home(olga)
			h.join(adam)
			h.join(mia)
			h.join(bob)
			h.role(adam, proto.PermAdministrator)
			h.role(mia, c.need)
			for _, who := range []proto.ID{olga, adam, mia} {
				cmd, body := c.make(h, who)
				w.do(c.ok, cmd, body, nil)
			}
			cmd, body := c.make(h, bob)
			w.refused(proto.ErrMissingPermission, cmd, body)
			cmd, body = c.make(h, eve)
			w.refused(proto.ErrMissingAccess, cmd, body)
		})
	}
}

// Nobody but the owner bans, times out, or reorders what stands at or above the own highest role.
func TestModeratorHierarchy(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga, mia, moe, bob, zoe := w.person("olga"), w.person("mia"), w.person("moe"), w.person("bob"), w.person("zoe")
	h := w.home(olga)
	for _, id := range []proto.ID{mia, moe, bob} {
		h.join(id)
	}
	rights := proto.PermBanMembers | proto.PermManageGuild | proto.PermManageRoles | proto.PermModerateMembers
	high := h.role(moe, rights)
	own := h.role(mia, rights)
	mid, low := h.role(bob, 0), h.role(0, 0)
	later := core.MemberEdit{CommunicationDisabledUntil: set(proto.Time(time.Now().Add(time.Hour)))}
	for _, target := range []proto.ID{olga, moe, mia} {
		w.refused(proto.ErrMissingPermission, h.cmd(core.KindBanPut, mia, target), nil)
		w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberEdit, mia, target), later)
	}
	var bulk proto.BulkBan
	w.do(200, h.cmd(core.KindBanBulk, mia, 0), core.BanBulk{Users: []proto.ID{olga, zoe, moe, 12345, zoe, mia}}, &bulk)
	if !slices.Equal(bulk.Banned, []proto.ID{zoe}) || !slices.Equal(bulk.Failed, []proto.ID{olga, moe, 12345, mia}) {
		t.Errorf("bulk ban: %+v", bulk)
	}
	w.refused(errNobodyBanned, h.cmd(core.KindBanBulk, mia, 0), core.BanBulk{Users: []proto.ID{olga}})
	w.refused(&proto.Error{Status: 400, Code: 50035}, h.cmd(core.KindBanBulk, mia, 0), core.BanBulk{})

	ladder := func() []proto.ID {
		g, _ := h.snapshot()
		var ids []proto.ID
		for i, r := range g.Roles {
			if r.Position != i {
				t.Errorf("role %d: position %d at place %d", r.ID, r.Position, i)
			}
			if r.ID != h.guild {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	move := func(who proto.ID, places ...core.RolePlace) (*pb.Command, any) {
		return h.cmd(core.KindRolesMove, who, 0), core.RolesMove{Places: places}
	}
	at := func(id proto.ID, n int) core.RolePlace { return core.RolePlace{ID: id, Position: &n} }
	for _, c := range []struct {
		who    proto.ID
		places []core.RolePlace
		want   []proto.ID // nil: refused
	}{
		{mia, []core.RolePlace{at(mid, 1)}, []proto.ID{mid, low, own, high}},
		{mia, []core.RolePlace{at(low, 1), at(mid, 2), at(h.guild, 0)}, []proto.ID{low, mid, own, high}},
		{mia, []core.RolePlace{at(low, 3)}, nil}, // above oneself
		{mia, []core.RolePlace{at(high, 1)}, nil},
		{mia, []core.RolePlace{at(own, 4)}, nil},
		{mia, []core.RolePlace{at(own, 1)}, nil},
		{mia, []core.RolePlace{at(low, 1), at(mid, 2), at(own, 3), at(high, 4)}, []proto.ID{low, mid, own, high}}, // as it is
		{bob, []core.RolePlace{at(low, 1)}, nil},
		{olga, []core.RolePlace{at(low, 100)}, []proto.ID{mid, own, high, low}},
		{olga, []core.RolePlace{at(high, 0)}, []proto.ID{high, mid, own, low}},
	} {
		cmd, body := move(c.who, c.places...)
		if c.want == nil {
			w.refused(proto.ErrMissingPermission, cmd, body)
			continue
		}
		w.do(204, cmd, body, nil)
		if got := ladder(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %v, want %v", c.places, got, c.want)
		}
	}
	cmd, body := move(olga, at(h.guild, 2))
	w.refused(proto.ErrInvalidRole, cmd, body)
	cmd, body = move(olga, at(777, 2))
	w.refused(proto.ErrUnknownRole, cmd, body)
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

func TestGuildLife(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga, adam, bob := w.person("olga"), w.person("adam"), w.person("bob")
	crow := w.bot(olga, "crow")
	h := w.home(olga)
	h.join(adam)
	h.role(adam, proto.PermAdministrator)
	w.do(201, h.cmd(core.KindMemberAdd, olga, crow), nil, nil)
	name, icon, long := "Aviary", "data:image/png;base64,AAAA", string(make([]byte, maxImage+1))
	var g proto.Guild
	cmd := h.cmd(core.KindGuildEdit, adam, 0)
	cmd.Reason = "a\x00 better name"
	w.do(200, cmd, core.GuildEdit{Name: &name, Icon: set(icon), Description: set("birds"), VerificationLevel: set(2)}, &g)
	if g.Name != name || *g.Icon != icon || *g.Description != "birds" || g.VerificationLevel != 2 || len(g.Roles) != 2 || g.ID != h.guild {
		t.Errorf("edited guild: %+v", g)
	}
	form := &proto.Error{Status: 400, Code: 50035}
	short := "x"
	for _, e := range []core.GuildEdit{{Name: &short}, {Icon: set(long)}, {VerificationLevel: set(5)}, {SystemChannelID: set(proto.ID(5))},
		{AFKTimeout: new(7)}, {DefaultMessageNotifications: set(-1)}, {OwnerID: &crow}} {
		w.refused(form, h.cmd(core.KindGuildEdit, olga, 0), e)
	}
	w.do(200, h.cmd(core.KindGuildEdit, adam, 0), core.GuildEdit{Icon: core.Optional[string]{Set: true}, SystemChannelID: core.Optional[proto.ID]{Set: true}}, &g)
	if g.Icon != nil || g.SystemChannelID != nil || g.Name != name {
		t.Errorf("null clears: %+v", g)
	}

	attic := h.attic()
	w.do(200, h.cmd(core.KindGuildEdit, adam, 0), core.GuildEdit{RulesChannelID: set(attic), SystemChannelID: set(attic)}, nil)
	w.do(200, h.in(attic, core.KindChannelDelete, adam, 0), nil, nil)
	if g, _ := h.snapshot(); g.RulesChannelID != nil || g.SystemChannelID != nil {
		t.Errorf("the guild names a deleted channel: %+v", g)
	}
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindGuildEdit, adam, 0), core.GuildEdit{OwnerID: &adam})
	w.refused(proto.ErrUnknownMember, h.cmd(core.KindGuildEdit, olga, 0), core.GuildEdit{OwnerID: &bob})
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindGuildDelete, adam, 0), nil)
	w.do(200, h.cmd(core.KindGuildEdit, olga, 0), core.GuildEdit{OwnerID: &adam}, &g)
	if g.OwnerID != adam {
		t.Errorf("owner is %d, want Adam %d", g.OwnerID, adam)
	}
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindGuildEdit, olga, 0), core.GuildEdit{Name: &name})
	_, entries := h.audits()
	found := false
	for _, e := range entries {
		if e.Action == proto.AuditGuildUpdate && e.Reason == "a better name" {
			found = len(e.Changes) == 4 && e.Changes[0].Key == "name" && string(e.Changes[0].New) == `"Aviary"`
		}
	}
	if !found {
		t.Errorf("audit log: %+v", entries)
	}

	w.refused(proto.ErrMissingPermission, h.cmd(core.KindGuildDelete, olga, 0), nil)
	w.do(204, h.cmd(core.KindGuildDelete, adam, 0), nil, nil)
	w.refused(proto.ErrUnknownGuild, h.cmd(core.KindMessageCreate, adam, 0), core.MessageCreate{Content: "x"})
	w.refused(proto.ErrUnknownGuild, h.cmd(core.KindSnapshotGuild, 0, 0), core.SnapshotGuild{})
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// Commands that come in one group with a guild's deletion, or a ban, meet a guild that is gone and a banned user.
func TestPendingModeration(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga, bob := w.person("olga"), w.person("bob")
	h := w.home(olga)
	w.do(200, h.cmd(core.KindInviteCreate, olga, 0), core.InviteCreate{Code: "door"}, nil)
	b := o.buckets[h.guild.Bucket()]
	together := func(cmds ...*pb.Command) []*pb.Result {
		t.Helper()
		gate := make(chan struct{})
		b.between(func(context.Context) { <-gate })
		out := make([]*pb.Result, len(cmds))
		done := make(chan struct{})
		go func() { // in order, as each is in the queue before the next is sent
			defer close(done)
			answers := make([]chan *pb.Result, len(cmds))
			for i, cmd := range cmds {
				answers[i] = make(chan *pb.Result, 1)
				before := queued(b)
				go func() {
					r, err := w.ask(cmd, nil)
					if err != nil {
						r = &pb.Result{}
					}
					answers[i] <- r
				}()
				for deadline := time.Now().Add(5 * time.Second); queued(b) == before && time.Now().Before(deadline); {
					<-time.After(time.Millisecond)
				}
			}
			close(gate)
			for i := range answers {
				out[i] = <-answers[i]
			}
		}()
		<-done
		return out
	}
	ref := encode(core.InviteRef{Code: "door"})
	join := func() *pb.Command { c := h.cmd(core.KindMemberJoin, bob, 0); c.Body = ref; return c }
	got := together(h.cmd(core.KindBanPut, olga, bob), join())
	if got[0].Status != 204 || got[1].Status != 403 {
		t.Errorf("ban and join: %d, %d %s", got[0].Status, got[1].Status, got[1].Body)
	}
	w.refused(proto.ErrBanned, join(), nil)
	revoke := h.cmd(core.KindInviteDelete, olga, 0)
	revoke.Body = ref
	got = together(h.cmd(core.KindBanDelete, olga, bob), revoke, join())
	if got[0].Status != 204 || got[1].Status != 200 || got[2].Status != 404 {
		t.Errorf("unban, revoke and join: %d, %d, %d", got[0].Status, got[1].Status, got[2].Status)
	}
	say := h.cmd(core.KindMessageCreate, olga, 0)
	say.Body = encode(core.MessageCreate{Content: "x"})
	got = together(h.cmd(core.KindGuildDelete, olga, 0), say)
	if got[0].Status != 204 || got[1].Status != 404 {
		t.Errorf("delete and say: %d, %d %s", got[0].Status, got[1].Status, got[1].Body)
	}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

func queued(b *bucket) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// Bans, kicks, prunes: what they change, who hears of it, what the audit log says; and a repeat is answered as the first time.
func TestBansAndPrunes(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga, bob, eve := w.person("olga"), w.person("bob"), w.person("eve")
	h := w.home(olga)
	h.join(bob)
	h.join(eve)
	ban := h.cmd(core.KindBanPut, olga, bob)
	ban.Reason = "rude"
	w.do(204, ban, nil, nil)
	w.do(204, h.cmd(core.KindBanPut, olga, bob), nil, nil) // is banned
	if b, err := w.dir.Ban(context.Background(), h.guild, bob); err != nil || b.Reason == nil || *b.Reason != "rude" || b.User.Username != "bob" {
		t.Errorf("ban: %+v, %v", b, err)
	}
	if g, _ := h.snapshot(); g.MemberCount != 2 {
		t.Errorf("got %d members, want 2", g.MemberCount)
	}
	w.refused(proto.ErrUnknownBan, h.cmd(core.KindBanDelete, olga, eve), nil)
	w.do(204, h.cmd(core.KindBanDelete, olga, bob), nil, nil)
	h.join(bob)
	w.do(204, h.cmd(core.KindMemberRemove, olga, bob), nil, nil)
	h.join(bob)
	role := h.role(bob, 0)

	var pruned core.Pruned
	w.do(200, h.cmd(core.KindMembersPrune, olga, 0), core.MembersPrune{Days: 1}, &pruned)
	if *pruned.Pruned != 0 {
		t.Errorf("%d members were pruned who joined today", *pruned.Pruned)
	}
	// What Bob and Eve wrote: of those who are banned it goes.
	rude, fine := h.say(bob, "rude"), h.say(eve, "fine")
	w.do(204, h.cmd(core.KindBanPut, olga, bob), nil, nil)
	purge := core.MessagesPurge{Users: []proto.ID{bob, eve}, Messages: []proto.ID{fine.ID, rude.ID, rude.ID, 5}}
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMessagesPurge, eve, 0), purge)
	w.do(204, h.cmd(core.KindMessagesPurge, olga, 0), purge, nil)
	if page, err := w.hist.Before(context.Background(), h.general, 0, 10); err != nil || len(page) != 1 || page[0].ID != fine.ID {
		t.Errorf("after the purge: %+v, %v", page, err)
	}
	w.do(204, h.cmd(core.KindBanDelete, olga, bob), nil, nil)
	h.join(bob)
	w.do(204, h.cmd(core.KindMemberRoleAdd, olga, bob), core.RoleRef{Role: role}, nil)

	o.stop()
	w.ahead = 48 * time.Hour
	o = w.own("core")
	for _, c := range []struct {
		roles []proto.ID
		want  int
	}{{nil, 1}, {nil, 0}, {[]proto.ID{role}, 1}} {
		cmd := h.cmd(core.KindMembersPrune, olga, 0)
		cmd.Id = newCommandID()
		cmd.DeadlineMs = time.Now().Add(w.ahead + 10*time.Second).UnixMilli()
		for range 2 { // the repeat gets the first answer
			w.do(200, cmd, core.MembersPrune{Days: 1, IncludeRoles: c.roles}, &pruned)
			if c.want > 0 && *pruned.Pruned != c.want {
				t.Errorf("roles %v: got %d pruned, want %d", c.roles, *pruned.Pruned, c.want)
			}
		}
	}
	actions, entries := h.audits()
	want := []int{proto.AuditInviteCreate, proto.AuditInviteCreate, proto.AuditMemberBanAdd, proto.AuditMemberBanRemove, proto.AuditInviteCreate,
		proto.AuditMemberKick, proto.AuditInviteCreate, proto.AuditRoleCreate, proto.AuditMemberRoleUpdate, proto.AuditMemberBanAdd,
		proto.AuditMemberBanRemove, proto.AuditInviteCreate, proto.AuditMemberRoleUpdate, proto.AuditMemberPrune, proto.AuditMemberPrune}
	if !slices.Equal(actions, want) {
		t.Errorf("audit log: got %v, want %v", actions, want)
	}
	if e := entries[2]; e.Reason != "rude" || *e.UserID != olga || *e.TargetID != bob {
		t.Errorf("entry of the ban: %+v", e)
	}
	if e := entries[13]; e.Options == nil || e.Options.MembersRemoved != "1" || e.Options.DeleteMemberDays != "1" {
		t.Errorf("entry of the prune: %+v", e)
	}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// A member in time-out sees and reads, and does nothing else, until the time has come.
func TestTimeOut(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	olga, adam, bob := w.person("olga"), w.person("adam"), w.person("bob")
	h := w.home(olga)
	h.join(adam)
	h.join(bob)
	h.role(adam, proto.PermAdministrator)
	mute := func(d time.Duration) core.MemberEdit {
		return core.MemberEdit{CommunicationDisabledUntil: set(proto.Time(time.Now().Add(d)))}
	}
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberEdit, olga, adam), mute(time.Hour))
	w.refused(&proto.Error{Status: 400, Code: 50035}, h.cmd(core.KindMemberEdit, olga, bob), mute(29*24*time.Hour))
	var m proto.Member
	w.do(204, h.cmd(core.KindOverwritePut, olga, bob), core.OverwritePut{Type: 1, Allow: proto.PermSendMessages}, nil)
	w.do(200, h.cmd(core.KindMemberEdit, olga, bob), mute(time.Hour), &m)
	if m.CommunicationDisabledUntil == nil {
		t.Error("no time-out in the answer")
	}
	nick := "b"
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMessageCreate, bob, 0), core.MessageCreate{Content: "x"})
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberEdit, bob, bob), core.MemberEdit{Nick: set(nick)})
	w.do(200, h.cmd(core.KindMemberEdit, adam, bob), core.MemberEdit{CommunicationDisabledUntil: core.Optional[proto.Time]{Set: true}}, &m)
	if m.CommunicationDisabledUntil != nil {
		t.Error("null does not end a time-out")
	}
	h.say(bob, "free")
	w.do(200, h.cmd(core.KindMemberEdit, bob, bob), core.MemberEdit{Nick: set(nick)}, nil)
}

func TestChannelsMove(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga, mia := w.person("olga"), w.person("mia")
	h := w.home(olga)
	h.join(mia)
	h.role(mia, proto.PermManageChannels)
	var loft proto.Channel
	w.do(201, h.cmd(core.KindChannelCreate, olga, 0), core.ChannelCreate{Name: "loft", Type: proto.ChannelCategory,
		Overwrites: []proto.Overwrite{{ID: h.guild, Deny: proto.PermSendMessages}}}, &loft)
	attic := h.attic()
	places := func(who proto.ID, p ...core.ChannelPlace) (*pb.Command, any) {
		return h.cmd(core.KindChannelsMove, who, 0), core.ChannelsMove{Places: p}
	}
	cmd, body := places(mia, core.ChannelPlace{ID: attic, Position: new(0), ParentID: set(loft.ID)}, core.ChannelPlace{ID: h.general, Position: new(5)})
	w.do(204, cmd, body, nil)
	g, _ := h.snapshot()
	at := map[proto.ID]proto.Channel{}
	for _, ch := range g.Channels {
		at[ch.ID] = ch
	}
	if at[attic].ParentID == nil || *at[attic].ParentID != loft.ID || at[attic].Position != 0 || at[h.general].Position != 5 || len(at[attic].Overwrites) != 0 {
		t.Errorf("channels: %+v", g.Channels)
	}
	lock := core.ChannelPlace{ID: attic, LockPermissions: true}
	cmd, body = places(mia, lock)
	w.refused(proto.ErrMissingPermission, cmd, body)
	cmd, body = places(olga, lock)
	w.do(204, cmd, body, nil)
	if g, _ = h.snapshot(); len(g.Channels[0].Overwrites)+len(g.Channels[1].Overwrites) != 2 {
		t.Errorf("channels: %+v", g.Channels)
	}
	cmd, body = places(olga, core.ChannelPlace{ID: 5, Position: new(0)})
	w.refused(proto.ErrUnknownChannel, cmd, body)
	cmd, body = places(olga, core.ChannelPlace{ID: attic, ParentID: set(h.general)})
	w.refused(&proto.Error{Status: 400, Code: 50035}, cmd, body)
	w.do(204, h.in(attic, core.KindOverwritePut, olga, mia), core.OverwritePut{Type: 1, Deny: proto.PermViewChannel}, nil)
	cmd, body = places(mia, core.ChannelPlace{ID: attic, Position: new(9)})
	w.refused(proto.ErrMissingPermission, cmd, body)
	cmd, body = places(mia, core.ChannelPlace{ID: attic, Position: new(0)}, core.ChannelPlace{ID: h.general, Position: new(1)})
	w.do(204, cmd, body, nil) // a list may name what stays
	_, entries := h.audits()
	var overwrites int
	for _, e := range entries {
		if e.Action == proto.AuditOverwriteCreate && e.Options != nil && e.Options.ID != nil {
			overwrites++
		}
		if raw, err := json.Marshal(e); err != nil || len(raw) == 0 {
			t.Error(err)
		}
	}
	if overwrites != 2 {
		t.Errorf("%d overwrites in the audit log, want 2", overwrites)
	}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}
