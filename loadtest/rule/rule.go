// Package rule says what the permission rule allows of one guild, moment by moment, from the events that a session of the guild's owner saw:
// in the order of the guild's log. It looks at nothing but the public wire, and judges nobody: tests and labs compare it with what others saw.
package rule

import (
	"maps"
	"slices"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A Guild is what the rule says of one guild at one moment. It is for one goroutine.
type Guild struct {
	guild    proto.Guild
	roles    map[proto.ID]proto.Role
	channels map[proto.ID]proto.Channel
	members  map[proto.ID][]proto.ID // roles of who is in
}

// New starts from a guild as its owner was given it.
func New(g proto.GuildCreate) *Guild {
	r := &Guild{guild: g.Guild, roles: map[proto.ID]proto.Role{}, channels: map[proto.ID]proto.Channel{}, members: map[proto.ID][]proto.ID{}}
	for _, x := range g.Roles {
		r.roles[x.ID] = x
	}
	for _, x := range g.Channels {
		r.channels[x.ID] = x
	}
	for _, x := range g.Members {
		r.members[x.User.ID] = x.Roles
	}
	return r
}

// Sees is proto.ChannelPermissions, asked for VIEW_CHANNEL.
func (r *Guild) Sees(user, channel proto.ID) bool {
	roles, member := r.members[user]
	ch, known := r.channels[channel]
	if !member || !known {
		return false
	}
	base := proto.GuildPermissions(r.guild.ID, user == r.guild.OwnerID, roles, r.roles)
	return proto.ChannelPermissions(r.guild.ID, base, user, roles, ch.Overwrites).Has(proto.PermViewChannel)
}

// Apply takes the next event of the owner's session.
func (r *Guild) Apply(e client.Event) error {
	switch e.T {
	case "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE":
		var d proto.GuildRole
		if err := e.Into(&d); err != nil {
			return err
		}
		r.roles[d.Role.ID] = d.Role
	case "GUILD_ROLE_DELETE":
		var d proto.GuildRoleDelete
		if err := e.Into(&d); err != nil {
			return err
		}
		delete(r.roles, d.RoleID)
		for user, roles := range r.members {
			r.members[user] = slices.DeleteFunc(slices.Clone(roles), func(id proto.ID) bool { return id == d.RoleID })
		}
	case "CHANNEL_CREATE", "CHANNEL_UPDATE":
		var d proto.Channel
		if err := e.Into(&d); err != nil {
			return err
		}
		r.channels[d.ID] = d
	case "CHANNEL_DELETE":
		var d proto.Channel
		if err := e.Into(&d); err != nil {
			return err
		}
		delete(r.channels, d.ID)
	case "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE":
		var d proto.GuildMember
		if err := e.Into(&d); err != nil {
			return err
		}
		r.members[d.User.ID] = d.Roles
	case "GUILD_MEMBER_REMOVE":
		var d proto.GuildMemberRemove
		if err := e.Into(&d); err != nil {
			return err
		}
		delete(r.members, d.User.ID)
	}
	return nil
}

// Clone is the same moment, apart from what comes after it.
func (r *Guild) Clone() *Guild {
	return &Guild{guild: r.guild, roles: maps.Clone(r.roles), channels: maps.Clone(r.channels), members: maps.Clone(r.members)}
}

// Changes tells whether an event may change what anybody sees.
func Changes(event string) bool {
	switch event {
	case "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE", "CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE",
		"GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE":
		return true
	}
	return false
}

// Channels there are, in no order.
func (r *Guild) Channels() []proto.ID { return slices.Collect(maps.Keys(r.channels)) }

// Member tells whether a user is in.
func (r *Guild) Member(user proto.ID) bool { _, in := r.members[user]; return in }
