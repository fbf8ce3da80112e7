package bucket

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// before is what ev is about to change, as the state has it at this moment: see core.CarriesBefore. Handlers have read what they change.
func (t *turn) before(ev *pb.Event) []byte {
	g := t.b.state.guilds[proto.ID(ev.Guild)]
	if g == nil {
		return nil
	}
	id := proto.ID(ev.Id)
	switch ev.Type {
	case proto.EventGuildUpdate, proto.EventGuildDelete:
		return g.before(ev)
	case proto.EventGuildRoleUpdate:
		return encode(g.roles[id])
	case proto.EventGuildRoleDelete:
		return encode(t.roleBefore(g, id))
	case proto.EventChannelUpdate, proto.EventChannelDelete:
		if ch := g.channels[id]; ch != nil {
			return encode(ch.before())
		}
	case proto.EventGuildMemberUpdate, proto.EventGuildMemberRemove:
		if m, err := t.b.state.member(t.ctx, g, id); err == nil && m != nil {
			return encode(m)
		}
	}
	t.b.log.Error("nothing known before an event", "guild", ev.Guild, "type", ev.Type, "id", ev.Id)
	return nil
}

// before is the guild with as much as ev has room for: a client sees its images and topics, rights hang on the rest.
func (g *guild) before(ev *pb.Event) []byte {
	v := proto.GuildBefore{Guild: g.info}
	v.MemberCount = 0
	if ev.Type == proto.EventGuildDelete {
		v.MemberCount, v.Roles = g.info.MemberCount, g.sortedRoles()
		for _, ch := range g.sortedChannels() {
			v.Channels = append(v.Channels, ch.before())
		}
	}
	if b := encode(v); fits(ev, b) {
		return b
	}
	v.Guild, v.Bare = v.WithoutImages(), true
	for i := range v.Channels {
		v.Channels[i].Topic = nil
	}
	if b := encode(v); fits(ev, b) {
		return b
	}
	v.Roles, v.Channels, v.Many = nil, nil, true
	return encode(v)
}

// fits tells whether an entry can hold ev with b as what was before.
func fits(ev *pb.Event, b []byte) bool { return relay.Weight(ev)+len(b)+16 <= relay.EventRoom }

// before is the channel with its last message and pin, if they are known.
func (ch *channel) before() proto.Channel {
	c := ch.Channel
	c.LastPinTimestamp = ch.pinned
	if ch.last != 0 {
		c.LastMessageID = new(ch.last)
	}
	return c
}

func (t *turn) roleBefore(g *guild, role proto.ID) proto.RoleBefore {
	v := proto.RoleBefore{Role: g.roles[role]}
	v.Holders, v.Many = t.holders(g, role)
	for _, ch := range g.channels {
		for _, o := range ch.Overwrites {
			if o.ID == role {
				v.Overwrites = append(v.Overwrites, proto.RoleOverwrite{ChannelID: ch.ID, Overwrite: o})
			}
		}
	}
	slices.SortFunc(v.Overwrites, func(x, y proto.RoleOverwrite) int { return cmp.Compare(x.ChannelID, y.ChannelID) })
	return v
}

// holders lists those who hold a role, by what the directory holds and what is pending, at most so many; many tells that of members above the
// last of them nothing is known.
func (t *turn) holders(g *guild, role proto.ID) (ids []proto.ID, many bool) {
	ctx, cancel := t.read()
	defer cancel()
	page, err := t.b.state.directory.MembersByRole(ctx, g.info.ID, role, 0, core.MaxHolders+1)
	if err != nil {
		return nil, true // the role goes all the same: who asks how it was will hear that nobody knows
	}
	upTo := proto.ID(math.MaxUint64)
	if many = len(page) > core.MaxHolders; many {
		page = page[:core.MaxHolders]
		upTo = page[len(page)-1].User.ID
	}
	held := map[proto.ID]struct{}{}
	for _, m := range page {
		if pending, ok := g.members.get(m.User.ID); !ok || pending != nil && slices.Contains(pending.Roles, role) {
			held[m.User.ID] = struct{}{}
		}
	}
	g.members.each(func(id proto.ID, m *proto.Member) {
		if id <= upTo && slices.Contains(m.Roles, role) {
			held[id] = struct{}{}
		}
	})
	ids = slices.Sorted(maps.Keys(held))
	if len(ids) > core.MaxHolders {
		return ids[:core.MaxHolders], true
	}
	return ids, many
}
