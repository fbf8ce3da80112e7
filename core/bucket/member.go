package bucket

import (
	"slices"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxNick    = 32 // characters
	maxTimeOut = 28 * 24 * time.Hour
)

// memberAdd makes a bot a member; people join by invite.
func memberAdd(t *turn) error {
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermManageGuild); err != nil {
		return err
	}
	m, err := t.b.state.member(t.ctx, a.g, t.target())
	if err != nil {
		return err
	}
	if m != nil {
		return t.just(204, nil)
	}
	bot, err := t.user(t.target())
	if err != nil {
		return err
	}
	if !bot.Bot {
		return proto.ErrMissingPermission
	}
	if err := t.notBanned(a.g, bot.ID); err != nil {
		return err
	}
	ev := t.addMember(a.g, bot)
	if err := t.audit(a.g, proto.AuditBotAdd, bot.ID, nil, nil); err != nil {
		return err
	}
	return t.answered(ev, 201)
}

func memberRemove(t *turn) error {
	a, err := t.access()
	if err != nil {
		return err
	}
	m, err := t.other(a)
	if err != nil {
		return err
	}
	if t.target() != a.user() {
		if err := a.need(proto.PermKickMembers); err != nil {
			return err
		}
		if err := a.aboveMember(t.target(), m); err != nil {
			return err
		}
	} else if a.owner() {
		return proto.ErrMissingPermission // a guild is never without its owner
	}
	ev := t.removeMember(a.g, *m.User)
	if t.target() != a.user() {
		if err := t.audit(a.g, proto.AuditMemberKick, m.User.ID, nil, nil); err != nil {
			return err
		}
	}
	return t.answered(ev, 204)
}

// removeMember emits GUILD_MEMBER_REMOVE.
func (t *turn) removeMember(g *guild, user proto.User) *pb.Event {
	return t.emit(&pb.Event{Type: proto.EventGuildMemberRemove, Guild: uint64(g.info.ID), Id: uint64(user.ID)},
		proto.GuildMemberRemove{GuildID: g.info.ID, User: user}, func() {
			g.members.put(user.ID, nil)
			g.info.MemberCount--
		})
}

func memberEdit(t *turn) error {
	var body core.MemberEdit
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	m, err := t.other(a)
	if err != nil {
		return err
	}
	next := *m
	if body.Nick.Set {
		if err := a.mayNick(t.target(), m); err != nil {
			return err
		}
		next.Nick = nil
		if body.Nick.Value != nil && *body.Nick.Value != "" {
			nick, err := text("nick", *body.Nick.Value, 0, maxNick)
			if err != nil {
				return err
			}
			if nick != "" {
				next.Nick = &nick
			}
		}
	}
	if body.Roles != nil {
		if next.Roles, err = a.changeRoles(m.Roles, *body.Roles); err != nil {
			return err
		}
	}
	if body.CommunicationDisabledUntil.Set {
		if err := t.timeOut(a, m, &next, body.CommunicationDisabledUntil.Value); err != nil {
			return err
		}
	}
	ev, err := t.changeMember(a.g, *m, next)
	if err != nil {
		return err
	}
	return t.answered(ev, 200)
}

func memberRoleAdd(t *turn) error {
	return memberRole(t, func(roles []proto.ID, id proto.ID) []proto.ID { return append(without(roles, id), id) })
}

func memberRoleDrop(t *turn) error { return memberRole(t, without) }

func memberRole(t *turn, change func(roles []proto.ID, id proto.ID) []proto.ID) error {
	var body core.RoleRef
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermManageRoles); err != nil {
		return err
	}
	m, err := t.other(a)
	if err != nil {
		return err
	}
	if _, ok := a.g.roles[body.Role]; !ok {
		return proto.ErrUnknownRole
	}
	next := *m
	if next.Roles, err = a.changeRoles(m.Roles, change(m.Roles, body.Role)); err != nil {
		return err
	}
	if len(next.Roles) == len(m.Roles) {
		return t.just(204, nil) // it was so already
	}
	ev, err := t.changeMember(a.g, *m, next)
	if err != nil {
		return err
	}
	return t.answered(ev, 204)
}

// changeMember emits GUILD_MEMBER_UPDATE and notes in the audit log what it changes.
func (t *turn) changeMember(g *guild, was, is proto.Member) (*pb.Event, error) {
	ev := t.updateMember(g, is)
	if diff := changes(was, is, auditedMember...); diff != nil {
		if err := t.audit(g, proto.AuditMemberUpdate, is.User.ID, diff, nil); err != nil {
			return nil, err
		}
	}
	if diff := g.roleChanges(was.Roles, is.Roles); diff != nil {
		if err := t.audit(g, proto.AuditMemberRoleUpdate, is.User.ID, diff, nil); err != nil {
			return nil, err
		}
	}
	return ev, nil
}

// timeOut takes a member's voice until a time, or gives it back.
func (t *turn) timeOut(a *access, m, next *proto.Member, until *proto.Time) error {
	if err := a.need(proto.PermModerateMembers); err != nil {
		return err
	}
	if err := a.aboveMember(m.User.ID, m); err != nil {
		return err
	}
	next.CommunicationDisabledUntil = nil
	if until == nil || !t.now.Before(time.Time(*until)) {
		return nil
	}
	if a.g.permissions(m.User.ID, m).Has(proto.PermAdministrator) {
		return proto.ErrMissingPermission
	}
	if time.Time(*until).Sub(t.now) > maxTimeOut {
		return proto.InvalidForm("communication_disabled_until", "BASE_TYPE_MAX", "Must be within 28 days.")
	}
	next.CommunicationDisabledUntil = new(*until)
	return nil
}

// other gives the member that the command is about.
func (t *turn) other(a *access) (*proto.Member, error) {
	m, err := t.b.state.member(t.ctx, a.g, t.target())
	if err == nil && m == nil {
		err = proto.ErrUnknownMember
	}
	return m, err
}

// mayNick is nil if the actor may change a member's nick.
func (a *access) mayNick(user proto.ID, m *proto.Member) error {
	if user == a.user() {
		return a.need(proto.PermChangeNickname)
	}
	if err := a.need(proto.PermManageNicknames); err != nil {
		return err
	}
	return a.aboveMember(user, m)
}

// changeRoles checks that the actor may manage every role that comes or goes, and gives the new list, sorted, without repeats.
func (a *access) changeRoles(old, next []proto.ID) ([]proto.ID, error) {
	if err := a.need(proto.PermManageRoles); err != nil {
		return nil, err
	}
	if len(next) > 4*maxRoles {
		return nil, proto.InvalidForm("roles", "BASE_TYPE_MAX_LENGTH", "Too many roles.")
	}
	list := slices.DeleteFunc(slices.Clone(next), func(id proto.ID) bool {
		_, ok := a.g.roles[id]
		return !ok && slices.Contains(old, id) // deleted meanwhile
	})
	slices.Sort(list)
	list = slices.Compact(list)
	for _, id := range list {
		r, ok := a.g.roles[id]
		if !ok || id == a.g.info.ID {
			return nil, proto.ErrInvalidRole
		}
		if !slices.Contains(old, id) {
			if err := a.above(r); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range old {
		if r, ok := a.g.roles[id]; ok && !slices.Contains(list, id) {
			if err := a.above(r); err != nil {
				return nil, err
			}
		}
	}
	if list == nil {
		list = []proto.ID{}
	}
	return list, nil
}

// addMember emits GUILD_MEMBER_ADD.
func (t *turn) addMember(g *guild, user proto.User) *pb.Event {
	m := proto.Member{User: &user, Roles: []proto.ID{}, JoinedAt: proto.Time(t.now)}
	return t.emit(&pb.Event{Type: proto.EventGuildMemberAdd, Guild: uint64(g.info.ID), Id: uint64(user.ID)},
		proto.GuildMember{Member: m, GuildID: g.info.ID}, func() {
			g.members.put(user.ID, &m)
			g.info.MemberCount++
		})
}

// updateMember emits GUILD_MEMBER_UPDATE.
func (t *turn) updateMember(g *guild, m proto.Member) *pb.Event {
	return t.emit(&pb.Event{Type: proto.EventGuildMemberUpdate, Guild: uint64(g.info.ID), Id: uint64(m.User.ID)},
		proto.GuildMember{Member: m, GuildID: g.info.ID}, func() { g.members.put(m.User.ID, &m) })
}
