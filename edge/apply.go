package edge

import (
	"encoding/json"
	"slices"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// guildEvent applies one event of the log to a guild, and hands it on. What the snapshot holds is dropped; what comes before it waits.
func (l *loop) guildEvent(g *guild, seq uint64, e *pb.Event) {
	if !g.loaded {
		if len(g.buffer) == maxBuffered {
			g.buffer, g.restart = nil, true
		}
		g.buffer = append(g.buffer, buffered{seq, e})
		return
	}
	if seq <= g.sequence {
		return
	}
	var err error
	switch e.Type {
	case proto.EventGuildUpdate:
		err = l.guildUpdate(g, e)
	case proto.EventGuildDelete:
		l.guildDelete(g, e)
	case proto.EventGuildRoleCreate, proto.EventGuildRoleUpdate:
		err = l.roleSet(g, e)
	case proto.EventGuildRoleDelete:
		g.rowsChanged = seq
		err = l.roleDelete(g, e)
	case proto.EventChannelCreate, proto.EventChannelUpdate:
		err = l.channelSet(g, e)
	case proto.EventChannelDelete:
		l.channelDelete(g, e)
	case proto.EventGuildMemberAdd, proto.EventGuildMemberUpdate:
		err = l.memberSet(g, seq, e)
	case proto.EventGuildMemberRemove:
		l.memberRemove(g, seq, e)
	case proto.EventMessageCreate:
		if ch := g.channels[proto.ID(e.Channel)]; ch != nil {
			id := proto.ID(e.Id)
			ch.LastMessageID = &id
		}
		l.fanOut(g, e, newEvent(e))
	case proto.EventChannelPinsUpdate:
		err = g.pinsSet(e)
		l.fanOut(g, e, newEvent(e))
	default:
		if e.Type != "" && e.Type[0] != '_' {
			l.fanOut(g, e, newEvent(e))
		}
	}
	if err != nil {
		// The table is no longer what the log says: begin again from a snapshot rather than show the wrong thing.
		l.log.Error("event not understood", "guild", g.id, "type", e.Type, "sequence", seq, "err", err)
		l.reload(g)
	}
}

func (l *loop) guildUpdate(g *guild, e *pb.Event) error {
	var meta proto.Guild
	if err := json.Unmarshal(e.Body, &meta); err != nil {
		return err
	}
	meta.Roles, meta.Channels, meta.Members, meta.MemberCount = nil, nil, nil, 0
	l.fanOut(g, e, newEvent(e))
	if meta.OwnerID == g.meta.OwnerID {
		g.meta = meta
		return nil
	}
	l.change(g, g.memberships(), nil, func() { g.meta = meta })
	return nil
}

// guildDelete also forgets the guild: what is left of it would open to whoever's own bucket has not heard of the end.
func (l *loop) guildDelete(g *guild, e *pb.Event) {
	gone := newEvent(e)
	if len(e.Body) == 0 {
		gone = ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: g.id})
	}
	for _, m := range g.places() {
		l.expel(m, gone)
	}
	l.forgetGuild(g)
}

func (l *loop) roleSet(g *guild, e *pb.Event) error {
	var d proto.GuildRole
	if err := json.Unmarshal(e.Body, &d); err != nil {
		return err
	}
	l.fanOut(g, e, newEvent(e))
	old, known := g.roles[d.Role.ID]
	if known && old.Permissions == d.Role.Permissions {
		g.roles[d.Role.ID] = d.Role
		return nil
	}
	l.change(g, g.memberships(), nil, func() {
		g.roles[d.Role.ID] = d.Role
		for _, c := range g.classes {
			c.forgetAll()
		}
	})
	return nil
}

func (l *loop) roleDelete(g *guild, e *pb.Event) error {
	var d proto.GuildRoleDelete
	if err := json.Unmarshal(e.Body, &d); err != nil {
		return err
	}
	l.fanOut(g, e, newEvent(e))
	l.change(g, g.memberships(), nil, func() {
		delete(g.roles, d.RoleID)
		for _, m := range g.members {
			if m.row != nil && slices.Contains(m.row.Roles, d.RoleID) {
				row := *m.row
				row.Roles = slices.DeleteFunc(slices.Clone(row.Roles), func(r proto.ID) bool { return r == d.RoleID })
				m.row = &row
			}
		}
		for id, ch := range g.channels {
			if slices.ContainsFunc(ch.Overwrites, func(o proto.Overwrite) bool { return o.ID == d.RoleID }) {
				fresh := *ch
				fresh.Overwrites = slices.DeleteFunc(slices.Clone(ch.Overwrites), func(o proto.Overwrite) bool { return o.ID == d.RoleID })
				g.channels[id] = &fresh
			}
		}
		for _, c := range g.classes {
			c.forgetAll()
		}
	})
	return nil
}

// channelSet handles creation and update alike: who gains the view gets CHANNEL_CREATE, who loses it CHANNEL_DELETE, who keeps it the event.
func (l *loop) channelSet(g *guild, e *pb.Event) error {
	ch := new(proto.Channel)
	if err := json.Unmarshal(e.Body, ch); err != nil {
		return err
	}
	if old := g.channels[ch.ID]; old != nil && ch.LastMessageID == nil {
		ch.LastMessageID, ch.LastPinTimestamp = old.LastMessageID, old.LastPinTimestamp
	}
	l.change(g, g.memberships(), newEvent(e), func() {
		g.setChannel(ch)
		for _, c := range g.classes {
			c.forget(ch.ID)
		}
	})
	return nil
}

// pinsSet notes when a channel's newest pin was pinned.
func (g *guild) pinsSet(e *pb.Event) error {
	var u proto.ChannelPinsUpdate
	if err := json.Unmarshal(e.Body, &u); err != nil {
		return err
	}
	if ch := g.channels[u.ChannelID]; ch != nil {
		ch.LastPinTimestamp = u.LastPinTimestamp
	}
	return nil
}

func (l *loop) channelDelete(g *guild, e *pb.Event) {
	id := proto.ID(e.Channel)
	if id == 0 {
		id = proto.ID(e.Id)
	}
	l.change(g, g.memberships(), newEvent(e), func() {
		g.dropChannel(id)
		for _, c := range g.classes {
			c.forget(id)
		}
	})
}

func (l *loop) memberSet(g *guild, seq uint64, e *pb.Event) error {
	var d proto.GuildMember
	if err := json.Unmarshal(e.Body, &d); err != nil {
		return err
	}
	if d.User == nil {
		return errNoUser
	}
	id, row := d.User.ID, d.Member
	g.noteRow(seq, id, &row)
	if e.Type == proto.EventGuildMemberAdd {
		g.memberCount++
		l.herald.joined(g, id)
	}
	ev := newEvent(e)
	l.fanOut(g, e, ev)
	places := l.placesOf(g, id)
	if e.Type == proto.EventGuildMemberUpdate {
		// One's own changes are told whatever the intents.
		for _, m := range places {
			if m.session.intents&proto.IntentGuildMembers == 0 {
				l.give(m.session, ev)
			}
		}
	}
	if g.members[id].knows(seq) {
		return nil
	}
	if u := l.users[id]; g.full || u != nil && len(u.sessions) > 0 {
		l.change(g, places, nil, func() { g.members[id] = &member{row: &row, sequence: seq} })
		l.admitAsked(g, id)
	} else if g.members[id] != nil { // a row that nobody here needs, of a snapshot that somebody waited for who is gone: it is not kept up
		delete(g.members, id)
		g.disregard(id)
	}
	g.trimMembers()
	if u := l.users[id]; u != nil && e.Type == proto.EventGuildMemberAdd {
		for _, s := range u.each() {
			l.join(s, g.id, false) // also told by the user's own bucket, sooner or later: whoever is first
		}
	}
	return nil
}

func (l *loop) memberRemove(g *guild, seq uint64, e *pb.Event) {
	id := proto.ID(e.Id)
	var d proto.GuildMemberRemove
	if json.Unmarshal(e.Body, &d) == nil && d.User.ID != 0 {
		id = d.User.ID
	}
	g.noteRow(seq, id, nil)
	if g.memberCount > 0 {
		g.memberCount--
	}
	if !g.members[id].knows(seq) {
		if places := l.placesOf(g, id); len(places) > 0 {
			gone := ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: g.id})
			for _, m := range places {
				l.expel(m, gone)
			}
		}
		delete(g.members, id)
		g.disregard(id)
		if g.awaits(id) {
			g.members[id] = &member{sequence: seq} // an older row may be on its way
		}
	}
	l.fanOut(g, e, newEvent(e))
}
