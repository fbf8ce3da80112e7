package edge

import (
	"encoding/binary"
	"slices"

	"github.com/starling-chat/starling/proto"
)

// A class is the places of a guild that see the same: same roles, owner or not, and, for users with overwrites of their own, the same user.
// Permissions are computed once per class and channel, when somebody asks.
type class struct {
	key     string
	roles   []proto.ID // sorted
	owner   bool
	user    proto.ID // only where overwrites name the user; else 0
	members []*membership

	base    proto.Permissions
	hasBase bool
	perms   map[proto.ID]proto.Permissions
	seen    *view
}

// A view is the set of channels that a class sees. It never changes once made, so what was can be compared with what is.
type view struct{ ids map[proto.ID]struct{} }

func (v *view) has(channel proto.ID) bool {
	_, ok := v.ids[channel]
	return ok
}

// classFor finds or makes the class of a member's row.
func (g *guild) classFor(user proto.ID, row *proto.Member) *class {
	roles := slices.Clone(row.Roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	owner := g.meta.OwnerID == user
	var own proto.ID
	if g.own[user] > 0 {
		own = user
	}
	key := make([]byte, 0, 9+8*len(roles))
	key = append(key, byte(b2i(owner)))
	key = binary.BigEndian.AppendUint64(key, uint64(own))
	for _, r := range roles {
		key = binary.BigEndian.AppendUint64(key, uint64(r))
	}
	c := g.classes[string(key)]
	if c == nil {
		c = &class{key: string(key), roles: roles, owner: owner, user: own, perms: map[proto.ID]proto.Permissions{}}
		g.classes[c.key] = c
	}
	return c
}

// can tells whether the class holds want in a channel, or in the guild as a whole if channel is 0; nobody holds anything in a channel that
// does not exist.
func (c *class) can(g *guild, channel proto.ID, want proto.Permissions) bool {
	if channel == 0 {
		return c.inGuild(g).Has(want)
	}
	return c.permissions(g, channel).Has(want)
}

// inGuild is what the class may do in the guild as a whole.
func (c *class) inGuild(g *guild) proto.Permissions {
	if !c.hasBase {
		c.base, c.hasBase = proto.GuildPermissions(g.id, c.owner, c.roles, g.roles), true
	}
	return c.base
}

func (c *class) permissions(g *guild, channel proto.ID) proto.Permissions {
	if p, ok := c.perms[channel]; ok {
		return p
	}
	ch := g.channels[channel]
	if ch == nil {
		return 0
	}
	p := proto.ChannelPermissions(g.id, c.inGuild(g), c.user, c.roles, ch.Overwrites)
	c.perms[channel] = p
	return p
}

// visible lists the channels that the class sees, and the categories that they are in.
func (c *class) visible(g *guild) *view {
	if c.seen != nil {
		return c.seen
	}
	seen := make(map[proto.ID]struct{}, len(g.channels))
	for id, ch := range g.channels {
		if !c.can(g, id, proto.PermViewChannel) {
			continue
		}
		seen[id] = struct{}{}
		if ch.ParentID != nil && g.channels[*ch.ParentID] != nil {
			seen[*ch.ParentID] = struct{}{}
		}
	}
	c.seen = &view{seen}
	return c.seen
}

// forget drops what was computed for a channel.
func (c *class) forget(channel proto.ID) {
	delete(c.perms, channel)
	c.seen = nil
}

// forgetAll drops all that was computed.
func (c *class) forgetAll() {
	clear(c.perms)
	c.hasBase, c.seen = false, nil
}

// place puts m into the class of its row, and takes it out of the one where it was.
func (g *guild) place(m *membership) {
	row := g.row(m.session.user)
	c := g.classFor(m.session.user, row)
	if m.class == c {
		return
	}
	g.unplace(m)
	m.class, m.at = c, len(c.members)
	c.members = append(c.members, m)
}

// unplace takes m out of its class; a class without places goes.
func (g *guild) unplace(m *membership) {
	c := m.class
	if c == nil {
		return
	}
	last := len(c.members) - 1
	c.members[m.at] = c.members[last]
	c.members[m.at].at = m.at
	c.members[last] = nil
	c.members = c.members[:last]
	if last == 0 {
		delete(g.classes, c.key)
	}
	m.class = nil
}
