package bucket

import (
	"time"

	"github.com/starling-chat/starling/proto"
)

// access is what the actor of a command may do in a guild.
type access struct {
	g      *guild
	member *proto.Member
	base   proto.Permissions // in the guild as a whole
	most   proto.Permissions // that the actor has anywhere at present
}

// timedOut is what is left to a member whose communication is disabled, owner and administrators aside (Discord: Timed Out Members).
const timedOut = proto.PermViewChannel | proto.PermReadMessageHistory

// guild gives the command's guild if this bucket is its home.
func (t *turn) guild() (*guild, error) {
	id := proto.ID(t.cmd.Guild)
	if id == 0 || id.Bucket() != t.b.n {
		return nil, proto.ErrUnknownGuild
	}
	return t.b.state.guild(t.ctx, id, t.now)
}

// access checks that the actor is a member.
func (t *turn) access() (*access, error) {
	if t.cmd.Guild == 0 && t.cmd.Channel != 0 {
		if _, err := t.directChannel(); err != nil {
			return nil, err
		}
		return nil, proto.ErrDirectChannel
	}
	g, err := t.guild()
	if err != nil {
		return nil, err
	}
	m, err := t.b.state.member(t.ctx, g, t.actor())
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, proto.ErrMissingAccess
	}
	a := &access{g: g, member: m, base: g.permissions(t.actor(), m), most: proto.PermAll}
	if until := m.CommunicationDisabledUntil; until != nil && t.now.Before(time.Time(*until)) && !a.base.Has(proto.PermAdministrator) {
		a.most = timedOut
		a.base &= timedOut
	}
	return a, nil
}

// accessTo checks that the actor may see the command's channel, and tells what else there.
func (t *turn) accessTo() (*access, *channel, proto.Permissions, error) {
	if t.cmd.Guild == 0 {
		return t.accessToDirect()
	}
	a, err := t.access()
	if err != nil {
		return nil, nil, 0, err
	}
	ch := a.g.channels[t.channel()]
	if ch == nil {
		return nil, nil, 0, proto.ErrUnknownChannel
	}
	p := a.in(ch)
	if !p.Has(proto.PermViewChannel) {
		return nil, nil, 0, proto.ErrMissingAccess
	}
	return a, ch, p, nil
}

// permissions of a member in the guild as a whole.
func (g *guild) permissions(user proto.ID, m *proto.Member) proto.Permissions {
	return proto.GuildPermissions(g.info.ID, user == g.info.OwnerID, m.Roles, g.roles)
}

// in tells what the actor may do in a channel.
func (a *access) in(ch *channel) proto.Permissions {
	return proto.ChannelPermissions(a.g.info.ID, a.base, a.user(), a.member.Roles, ch.Overwrites) & a.most
}

func (a *access) user() proto.ID { return a.member.User.ID }

func (a *access) owner() bool { return a.user() == a.g.info.OwnerID }

// need is nil if the actor has p in the guild as a whole.
func (a *access) need(p proto.Permissions) error {
	if !a.base.Has(p) {
		return proto.ErrMissingPermission
	}
	return nil
}

// above is nil if the actor may touch the role: it stands below the actor's own highest, or the actor owns the guild.
func (a *access) above(r proto.Role) error {
	if a.owner() {
		return nil
	}
	if top := proto.HighestRole(a.g.info.ID, a.member.Roles, a.g.roles); top.ID == a.g.info.ID || !top.Above(r) {
		return proto.ErrMissingPermission
	}
	return nil
}

// aboveMember is nil if the actor may act on another member: the owner on everybody, nobody on the owner, others on those whose highest
// role stands below their own.
func (a *access) aboveMember(user proto.ID, m *proto.Member) error {
	if user == a.g.info.OwnerID {
		return proto.ErrMissingPermission
	}
	return a.above(proto.HighestRole(a.g.info.ID, m.Roles, a.g.roles))
}

// grant is nil if every permission that changes is one that the actor has, by have.
func grant(have, changed proto.Permissions) error {
	if !have.Has(changed) {
		return proto.ErrMissingPermission
	}
	return nil
}
