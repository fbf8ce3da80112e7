package edge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

var (
	errTooMany  = errors.New("more was removed at once than the log tells")
	errNoBefore = errors.New("the log does not tell what was before")
)

// clone is a copy of a loaded guild's tables that can go its own way: no places, no questions, nobody's presence. What lies behind rows,
// overwrites and fields is shared, since nobody changes it.
func (g *guild) clone() *guild {
	c := &guild{id: g.id, loaded: g.loaded, sequence: g.sequence, meta: g.meta, roles: maps.Clone(g.roles), own: maps.Clone(g.own), full: g.full,
		memberCount: g.memberCount, rowsChanged: g.rowsChanged, idle: g.idle, channels: make(map[proto.ID]*proto.Channel, len(g.channels)),
		members: make(map[proto.ID]*member, len(g.members)), classes: map[string]*class{},
		asked: map[proto.ID][]*membership{}, next: map[proto.ID][]*membership{}}
	for id, ch := range g.channels {
		c.channels[id] = new(*ch)
	}
	for id, m := range g.members {
		c.members[id] = new(*m)
	}
	return c
}

// rewind takes the tables of a copy back from what they are behind the last of events, which are all of this guild in a part of the log, to
// what they were before the first. Rows of users have to be known as of the last, or to be among those that the events tell of; where they
// cannot be known for certain it gives errTooMany, while rows of others are dropped then. Behind a GUILD_DELETE no rows are known at all.
// Sequences begin anew: whatever is applied next counts. A last message or pin may be a later one than it was, but no message of events.
func (g *guild) rewind(events []*pb.Event, users ...proto.ID) error {
	w := rewinding{guild: g, users: map[proto.ID]bool{}, doubtful: map[proto.ID]bool{}}
	for _, id := range users {
		w.users[id] = true
	}
	earlier := earlierMessages(events)
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		if proto.ID(e.Guild) != g.id {
			continue
		}
		if e.Type == proto.EventMessageCreate {
			g.unsay(e, earlier[i])
			continue
		}
		undo := undoing[e.Type]
		if undo == nil {
			continue
		}
		if err := undo(&w, e); err != nil {
			return fmt.Errorf("guild %d: before %s of %d: %w", g.id, e.Type, e.Id, err)
		}
	}
	for id := range w.doubtful {
		if w.users[id] {
			return fmt.Errorf("guild %d: member %d: %w", g.id, id, errTooMany)
		}
		delete(g.members, id)
		g.full = false
	}
	g.sequence, g.rowsChanged = 0, 0
	for _, m := range g.members {
		m.sequence = 0
	}
	return nil
}

// A rewinding is under way.
type rewinding struct {
	*guild
	users    map[proto.ID]bool // whose rows matter
	doubtful map[proto.ID]bool // whose rows may lack a role
}

// undoing by type of event. What is not here changes none of the tables.
var undoing = map[string]func(*rewinding, *pb.Event) error{
	proto.EventInternalGuildBorn: (*rewinding).unborn,
	proto.EventGuildUpdate:       (*rewinding).guildUpdate,
	proto.EventGuildDelete:       (*rewinding).guildDelete,
	proto.EventGuildRoleCreate:   (*rewinding).roleCreate,
	proto.EventGuildRoleUpdate:   (*rewinding).roleUpdate,
	proto.EventGuildRoleDelete:   (*rewinding).roleDelete,
	proto.EventChannelCreate:     (*rewinding).channelCreate,
	proto.EventChannelUpdate:     (*rewinding).channelSet,
	proto.EventChannelDelete:     (*rewinding).channelSet,
	proto.EventGuildMemberAdd:    (*rewinding).memberAdd,
	proto.EventGuildMemberUpdate: (*rewinding).memberSet,
	proto.EventGuildMemberRemove: (*rewinding).memberSet,
}

// was decodes what an event says of before.
func was(e *pb.Event, v any) error {
	if len(e.Before) == 0 {
		return errNoBefore
	}
	return json.Unmarshal(e.Before, v)
}

// unborn leaves a guild that is not there yet.
func (w *rewinding) unborn(*pb.Event) error {
	w.meta, w.memberCount = proto.Guild{ID: w.id}, 0
	clear(w.roles)
	clear(w.channels)
	clear(w.own)
	clear(w.members)
	clear(w.doubtful)
	for id := range w.users {
		w.setRow(id, nil)
	}
	return nil
}

func (w *rewinding) guildUpdate(e *pb.Event) error {
	var b proto.GuildBefore
	if err := was(e, &b); err != nil {
		return err
	}
	w.setMeta(b)
	return nil
}

// setMeta takes over the guild's own fields, and looks as they are where the event had no room for them.
func (w *rewinding) setMeta(b proto.GuildBefore) {
	next := b.Guild
	next.Roles, next.Channels, next.Members, next.MemberCount = nil, nil, nil, 0
	if b.Bare {
		next.Icon, next.Splash, next.DiscoverySplash, next.Banner = w.meta.Icon, w.meta.Splash, w.meta.DiscoverySplash, w.meta.Banner
	}
	w.meta = next
}

func (w *rewinding) guildDelete(e *pb.Event) error {
	var b proto.GuildBefore
	if err := was(e, &b); err != nil {
		return err
	}
	if b.Many {
		return errTooMany
	}
	w.setMeta(b)
	w.roles, w.channels, w.own = map[proto.ID]proto.Role{}, map[proto.ID]*proto.Channel{}, map[proto.ID]int{}
	for _, r := range b.Roles {
		w.roles[r.ID] = r
	}
	for _, ch := range b.Channels {
		w.setChannel(&ch)
	}
	if !w.loaded { // else the tables are of just before: nothing has changed them since
		w.members = map[proto.ID]*member{}
	}
	w.full, w.memberCount, w.loaded = false, b.MemberCount, true
	clear(w.doubtful)
	return nil
}

func (w *rewinding) roleCreate(e *pb.Event) error {
	delete(w.roles, proto.ID(e.Id))
	return nil
}

func (w *rewinding) roleUpdate(e *pb.Event) error {
	var r proto.Role
	if err := was(e, &r); err != nil {
		return err
	}
	w.roles[r.ID] = r
	return nil
}

// roleDelete gives the role back to those who held it, and to channels.
func (w *rewinding) roleDelete(e *pb.Event) error {
	var b proto.RoleBefore
	if err := was(e, &b); err != nil {
		return err
	}
	w.roles[b.Role.ID] = b.Role
	told := proto.ID(0)
	for _, id := range b.Holders {
		told = max(told, id)
		if m := w.members[id]; m != nil && m.row != nil && !slices.Contains(m.row.Roles, b.Role.ID) {
			row := *m.row
			row.Roles = append(slices.Clone(row.Roles), b.Role.ID)
			slices.Sort(row.Roles)
			m.row = &row
		}
	}
	if b.Many {
		for id, m := range w.members {
			if id > told && m.row != nil {
				w.doubtful[id] = true
			}
		}
	}
	for _, o := range b.Overwrites {
		old := w.channels[o.ChannelID]
		if old == nil {
			continue
		}
		ch := *old
		ch.Overwrites = slices.DeleteFunc(slices.Clone(ch.Overwrites), func(x proto.Overwrite) bool { return x.ID == o.ID })
		ch.Overwrites = append(ch.Overwrites, o.Overwrite)
		slices.SortFunc(ch.Overwrites, func(x, y proto.Overwrite) int { return cmp.Compare(x.ID, y.ID) })
		w.setChannel(&ch)
	}
	return nil
}

func (w *rewinding) channelCreate(e *pb.Event) error {
	w.dropChannel(proto.ID(e.Id))
	return nil
}

func (w *rewinding) channelSet(e *pb.Event) error {
	ch := new(proto.Channel)
	if err := was(e, ch); err != nil {
		return err
	}
	if now := w.channels[ch.ID]; now != nil && ch.LastMessageID == nil {
		ch.LastMessageID, ch.LastPinTimestamp = now.LastMessageID, now.LastPinTimestamp
	}
	w.setChannel(ch)
	return nil
}

func (w *rewinding) memberAdd(e *pb.Event) error {
	w.memberCount = max(w.memberCount-1, 0)
	w.setRow(proto.ID(e.Id), nil)
	return nil
}

func (w *rewinding) memberSet(e *pb.Event) error {
	row := new(proto.Member)
	if err := was(e, row); err != nil {
		return err
	}
	if row.User == nil {
		return errNoUser
	}
	if e.Type == proto.EventGuildMemberRemove {
		w.memberCount++
	}
	w.setRow(row.User.ID, row)
	return nil
}

// setRow notes what a member's row was, for certain; nil for a user who was none.
func (w *rewinding) setRow(id proto.ID, row *proto.Member) {
	delete(w.doubtful, id)
	switch {
	case w.full && row == nil:
		delete(w.members, id)
	case w.full || w.users[id] || w.members[id] != nil:
		w.members[id] = &member{row: row}
	}
}

// unsay takes a message back: the one before, if events tell it, is the channel's last again, else one of which nobody knows more than that
// it is older.
func (g *guild) unsay(e *pb.Event, earlier proto.ID) {
	if ch := g.channels[proto.ID(e.Channel)]; ch != nil {
		if earlier == 0 {
			earlier = proto.ID(e.Id) - 1
		}
		ch.LastMessageID = &earlier
	}
}

// earlierMessages tells, for each MESSAGE_CREATE by its place among events, the id of the one before it in its channel, 0 for the first.
func earlierMessages(events []*pb.Event) map[int]proto.ID {
	earlier, last := map[int]proto.ID{}, map[uint64]proto.ID{}
	for i, e := range events {
		if e.Type == proto.EventMessageCreate {
			earlier[i] = last[e.Channel]
			last[e.Channel] = proto.ID(e.Id)
		}
	}
	return earlier
}
