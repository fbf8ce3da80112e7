package bucket

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Every kind of command is tried by people with and without the right for it. The guild of Olga, the owner: Adam is administrator, Mia has
// the right of each row by a role, Bob has only what everyone has, Eve is no member. Cases share one mesh and make their own guilds.
func TestRights(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	olga, adam, mia, bob, eve := w.person("olga"), w.person("adam"), w.person("mia"), w.person("bob"), w.person("eve")
	crow := w.bot(olga, "crow")
	name := "name"
	perms := proto.PermSendMessages
	cases := []struct {
		kind string
		need proto.Permissions
		ok   int
		make func(h *home, who proto.ID) (*pb.Command, any)
	}{
		{core.KindChannelCreate, proto.PermManageChannels, 201, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindChannelCreate, who, 0), core.ChannelCreate{Name: name}
		}},
		{core.KindChannelEdit, proto.PermManageChannels, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindChannelEdit, who, 0), core.ChannelEdit{Name: &name}
		}},
		{core.KindChannelDelete, proto.PermManageChannels, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.in(h.attic(), core.KindChannelDelete, who, 0), nil
		}},
		{core.KindOverwritePut, proto.PermManageRoles, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindOverwritePut, who, h.guild), core.OverwritePut{Allow: perms}
		}},
		{core.KindOverwriteDelete, proto.PermManageRoles, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			h.w.do(204, h.cmd(core.KindOverwritePut, h.owner, h.owner), core.OverwritePut{Type: 1, Allow: perms}, nil)
			return h.cmd(core.KindOverwriteDelete, who, h.owner), nil
		}},
		{core.KindRoleCreate, proto.PermManageRoles, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindRoleCreate, who, 0), core.RoleEdit{Permissions: &perms}
		}},
		{core.KindRoleEdit, proto.PermManageRoles, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindRoleEdit, who, h.role(0, 0)), core.RoleEdit{Name: &name}
		}},
		{core.KindRoleDelete, proto.PermManageRoles, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindRoleDelete, who, h.role(0, 0)), nil
		}},
		{core.KindMemberAdd, proto.PermManageGuild, 201, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindMemberAdd, who, crow), nil
		}},
		{core.KindMemberRemove, proto.PermKickMembers, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			h.join(eve)
			return h.cmd(core.KindMemberRemove, who, eve), nil
		}},
		{core.KindMemberEdit, proto.PermManageNicknames, 200, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindMemberEdit, who, bob), core.MemberEdit{Nick: core.Optional[string]{Set: true, Value: &name}}
		}},
		{core.KindMemberRoleAdd, proto.PermManageRoles, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindMemberRoleAdd, who, bob), core.RoleRef{Role: h.role(0, 0)}
		}},
		{core.KindMessageDelete, proto.PermManageMessages, 204, func(h *home, who proto.ID) (*pb.Command, any) {
			return h.cmd(core.KindMessageDelete, who, h.say(olga, "x").ID), nil
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
			allowed := []proto.ID{olga, adam, mia}
			if c.kind == core.KindMemberAdd {
				allowed = allowed[2:] // the bot can join once
			}
			cmd, body := c.make(h, bob)
			if c.kind == core.KindMemberEdit {
				cmd.Target = uint64(adam) // one's own nick everybody may change
			}
			w.refused(proto.ErrMissingPermission, cmd, body)
			if c.kind == core.KindMemberRemove {
				w.do(204, h.cmd(core.KindMemberRemove, olga, eve), nil, nil)
			}
			for _, who := range allowed {
				cmd, body := c.make(h, who)
				w.do(c.ok, cmd, body, nil)
			}
			if c.kind != core.KindMemberRemove {
				cmd, body = c.make(h, eve)
				w.refused(proto.ErrMissingAccess, cmd, body)
			}
		})
	}
}

// attic makes a channel.
func (h *home) attic() proto.ID {
	h.w.t.Helper()
	var ch proto.Channel
	h.w.do(201, h.cmd(core.KindChannelCreate, h.owner, 0), core.ChannelCreate{Name: "attic"}, &ch)
	return ch.ID
}

// A channel that is hidden from a role is closed to its members for everything, and opens again.
func TestHiddenChannel(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	h.join(bob)
	m := h.say(bob, "x")
	text := "y"
	hide := func(deny proto.Permissions) {
		w.do(204, h.cmd(core.KindOverwritePut, alice, h.guild), core.OverwritePut{Deny: deny}, nil)
	}
	hide(proto.PermViewChannel)
	for kind, body := range map[string]any{core.KindMessageCreate: core.MessageCreate{Content: "x"},
		core.KindMessageEdit: core.MessageEdit{Content: &text}, core.KindMessageDelete: nil, core.KindTyping: nil,
		core.KindInviteCreate: core.InviteCreate{Code: "abc"}} {
		w.refused(proto.ErrMissingAccess, h.cmd(kind, bob, m.ID), body)
	}
	hide(proto.PermSendMessages)
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMessageCreate, bob, 0), core.MessageCreate{Content: "x"})
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindTyping, bob, 0), nil)
	w.do(204, h.cmd(core.KindMessageDelete, bob, m.ID), nil, nil)
	w.do(204, h.cmd(core.KindOverwritePut, alice, bob), core.OverwritePut{Type: 1, Allow: proto.PermSendMessages}, nil)
	h.say(bob, "my own overwrite lets me")
	w.do(204, h.cmd(core.KindOverwriteDelete, alice, h.guild), nil, nil)
	w.refused(proto.ErrUnknownOverwrite, h.cmd(core.KindOverwriteDelete, alice, h.guild), nil)
	h.say(alice, "x")
}

// Nobody but the owner touches what stands at or above the own highest role, and nobody grants what one lacks.
func TestHierarchy(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga, mia, bob := w.person("olga"), w.person("mia"), w.person("bob")
	h := w.home(olga)
	h.join(mia)
	h.join(bob)
	high := h.role(0, 0) // older, so above
	own := h.role(mia, proto.PermManageRoles|proto.PermKickMembers|proto.PermManageNicknames)
	low := h.role(0, 0)
	name, admin := "n", proto.PermAdministrator
	for _, role := range []proto.ID{high, own} {
		w.refused(proto.ErrMissingPermission, h.cmd(core.KindRoleEdit, mia, role), core.RoleEdit{Name: &name})
		w.refused(proto.ErrMissingPermission, h.cmd(core.KindRoleDelete, mia, role), nil)
		w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberRoleAdd, mia, bob), core.RoleRef{Role: role})
		w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberEdit, mia, bob), core.MemberEdit{Roles: &[]proto.ID{low, role}})
	}
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindRoleEdit, mia, low), core.RoleEdit{Permissions: &admin})
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindRoleCreate, mia, 0), core.RoleEdit{Permissions: &admin})
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindOverwritePut, mia, h.guild), core.OverwritePut{Allow: proto.PermManageMessages})
	w.refused(proto.ErrInvalidRole, h.cmd(core.KindRoleDelete, olga, h.guild), nil)
	w.refused(proto.ErrUnknownRole, h.cmd(core.KindRoleDelete, olga, 12345), nil)
	w.do(204, h.cmd(core.KindMemberRoleAdd, mia, bob), core.RoleRef{Role: low}, nil)

	w.do(204, h.cmd(core.KindMemberRoleAdd, olga, bob), core.RoleRef{Role: high}, nil)
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberRemove, mia, bob), nil)
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberRemove, mia, olga), nil)
	w.refused(proto.ErrMissingPermission, h.cmd(core.KindMemberRemove, olga, olga), nil)
	w.do(204, h.cmd(core.KindRoleDelete, olga, high), nil, nil)
	var m proto.Member
	w.do(200, h.cmd(core.KindMemberEdit, olga, bob), core.MemberEdit{}, &m)
	if len(m.Roles) != 1 || m.Roles[0] != low {
		t.Errorf("Bob's roles after the deletion: got %v, want [%d]", m.Roles, low)
	}
	w.do(204, h.cmd(core.KindMemberRemove, mia, bob), nil, nil)
	w.refused(proto.ErrUnknownMember, h.cmd(core.KindMemberRemove, mia, bob), nil)
	w.refused(proto.ErrMissingAccess, h.cmd(core.KindMessageCreate, bob, 0), core.MessageCreate{Content: "x"})
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

func TestChannels(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga := w.person("olga")
	h := w.home(olga)
	make := func(c core.ChannelCreate) (ch proto.Channel) {
		t.Helper()
		w.do(201, h.cmd(core.KindChannelCreate, olga, 0), c, &ch)
		return ch
	}
	loft := make(core.ChannelCreate{Name: "Loft", Type: proto.ChannelCategory,
		Overwrites: []proto.Overwrite{{ID: h.guild, Deny: proto.PermSendMessages}}})
	room := make(core.ChannelCreate{Name: "room", ParentID: &loft.ID})
	if len(room.Overwrites) != 1 || room.Overwrites[0].Deny != proto.PermSendMessages {
		t.Errorf("a channel in a category begins with %+v", room.Overwrites)
	}
	w.refused(proto.ErrNonTextChannel, h.in(loft.ID, core.KindMessageCreate, olga, 0), core.MessageCreate{Content: "x"})
	form := &proto.Error{Status: 400, Code: 50035}
	for _, c := range []core.ChannelCreate{{}, {Name: "x", Type: 2}, {Name: "x", ParentID: &room.ID}, {Name: "x", RateLimitPerUser: -1},
		{Name: "a\x00b"}} {
		w.refused(form, h.cmd(core.KindChannelCreate, olga, 0), c)
	}
	w.do(200, h.in(loft.ID, core.KindChannelDelete, olga, 0), nil, nil)
	g, _ := h.snapshot()
	for _, ch := range g.Channels {
		if ch.ParentID != nil {
			t.Errorf("channel %s is in category %d, which is gone", ch.Name, *ch.ParentID)
		}
	}
	for n := len(g.Channels); n < maxChannels; n++ {
		make(core.ChannelCreate{Name: fmt.Sprint(n)})
	}
	w.refused(proto.ErrMaxChannels, h.cmd(core.KindChannelCreate, olga, 0), core.ChannelCreate{Name: "one too many"})
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

func TestInvites(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	olga, bob, eve := w.person("olga"), w.person("bob"), w.person("eve")
	crow := w.bot(olga, "crow")
	h := w.home(olga)
	w.do(200, h.cmd(core.KindInviteCreate, olga, 0), core.InviteCreate{Code: "once", MaxUses: 1}, nil)
	join := func(who proto.ID, code string) *pb.Command { return h.cmd(core.KindMemberJoin, who, 0) }
	w.refused(proto.ErrUnknownInvite, join(bob, "none"), core.InviteRef{Code: "none"})
	w.refused(errBotInvite, join(crow, "once"), core.InviteRef{Code: "once"})
	var inv proto.Invite
	w.do(200, join(bob, "once"), core.InviteRef{Code: "once"}, &inv)
	if inv.Guild.ID != h.guild || inv.Channel.ID != h.general || inv.Guild.Name != "Roost" {
		t.Errorf("invite %+v", inv)
	}
	w.refused(proto.ErrUnknownInvite, join(eve, "once"), core.InviteRef{Code: "once"})
	w.do(200, h.cmd(core.KindInviteCreate, olga, 0), core.InviteCreate{Code: "many"}, nil)
	w.do(200, join(bob, "many"), core.InviteRef{Code: "many"}, nil) // is one already
	if g, _ := h.snapshot(); g.MemberCount != 2 {
		t.Errorf("got %d members, want 2", g.MemberCount)
	}
	// Bob leaves, and his own bucket hears of both.
	w.do(204, h.cmd(core.KindMemberRemove, bob, bob), nil, nil)
	relaytest.Until(t, "Bob's bucket knows that he left", func() bool {
		ids, err := w.dir.GuildsOf(context.Background(), bob)
		return err == nil && len(ids) == 0
	})
}

func TestUsers(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	olga := w.person("olga")
	birth := func() *pb.Command {
		id := newCommandID()
		return &pb.Command{Id: id, Kind: core.KindUserCreate, Bucket: uint32(core.BirthBucket(id))}
	}
	w.refused(&proto.Error{Status: 400, Code: 50035}, birth(), core.Account{User: proto.User{Username: "Olga"}})
	w.refused(&proto.Error{Status: 400, Code: 50035}, birth(), core.Account{User: proto.User{Username: "o"}})
	w.refused(&proto.Error{Status: 400, Code: 50035}, birth(), core.Account{User: proto.User{Username: "nobody"}}) // nobody reserved it
	w.refused(proto.ErrMissingPermission, birth(), core.Account{User: proto.User{Username: "crow", Bot: true}, TokenHash: make([]byte, 32)})
	crow := w.bot(olga, "crow")
	reset := &pb.Command{Kind: core.KindTokenReset, Actor: uint64(crow), Target: uint64(crow), Bucket: uint32(crow.Bucket())}
	w.refused(proto.ErrUnknownApp, reset, core.TokenReset{TokenHash: make([]byte, 32)})
	gone := &pb.Command{Kind: core.KindSessionGone, Actor: uint64(olga), Target: uint64(olga), Bucket: uint32(olga.Bucket())}
	w.do(204, gone, core.SessionGone{Session: proto.MakeID(time.Now(), 1, 1)}, nil)
	r := w.do(200, &pb.Command{Kind: core.KindSnapshotUser, Target: uint64(olga), Bucket: uint32(olga.Bucket())}, nil, nil)
	if r.Sequence == 0 {
		t.Error("a user's snapshot names no sequence")
	}
	forged := &pb.Command{Kind: core.KindGuildJoined, Actor: uint64(olga), Target: uint64(olga), Guild: 5, Bucket: uint32(olga.Bucket())}
	w.refused(proto.ErrMissingPermission, forged, core.GuildLink{Sequence: 1})
}
