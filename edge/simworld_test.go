package edge

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A simLog is the truth: what every bucket's owner has stored, with what the guilds looked like before and after each event. The relay is not
// in it: its promise, every entry of a followed bucket once and in order, is taken for granted, and kept by simReader.
type simLog struct {
	r       *rand.Rand
	ids     int
	names   int
	buckets [][]*simEntry // by place in the world; sequence is index + 1, spread by stride
	guilds  []*simGuild
	directs []*simDirect
	users   []*simUser
	outbox  []simJoin // what homes have yet to hear of
}

type simEntry struct {
	sequence uint64
	entry    *pb.Entry
	events   []*simEvent
}

// A simEvent is one event of the log and what it did.
type simEvent struct {
	at            simPlace
	event         *pb.Event
	guild         *simGuild
	before, after *simState
}

// A simPlace is an event's place in its bucket.
type simPlace struct {
	sequence uint64
	event    int
}

func (p simPlace) less(q simPlace) bool {
	return p.sequence < q.sequence || p.sequence == q.sequence && p.event < q.event
}

func (p simPlace) String() string { return fmt.Sprintf("%d.%d", p.sequence, p.event) }

type simGuild struct {
	id     proto.ID
	bucket int
	large  bool // its snapshots hold only the rows asked for
	states []*simState
}

func (g *simGuild) now() *simState { return g.states[len(g.states)-1] }

// A simState is a guild from one event on.
type simState struct {
	at       simPlace
	meta     proto.Guild
	roles    map[proto.ID]proto.Role
	channels map[proto.ID]proto.Channel
	rows     map[proto.ID]proto.Member
	dead     bool
}

func (s *simState) clone() *simState {
	c := *s
	c.roles, c.channels, c.rows = maps.Clone(s.roles), maps.Clone(s.channels), maps.Clone(s.rows)
	return &c
}

type simUser struct {
	id      proto.ID
	bucket  int
	guilds  []proto.ID            // as the home bucket has it
	directs map[proto.ID]proto.ID // likewise, and the ids of openings
	self    proto.SelfUser
	states  []simHome
}

// A simHome is a user from one event of the home bucket on.
type simHome struct {
	at   simPlace
	name string
}

// A simJoin is a join of a guild, a direct channel that came into the list, or the end of either.
type simJoin struct {
	user   *simUser
	guild  proto.ID
	left   bool
	direct *simDirect
	since  proto.ID // id of the opening, or closing
}

func (l *simLog) id(bucket int) proto.ID {
	l.ids++
	return proto.MakeID(time.Now(), bucket, l.ids) // a step for each: they are fewer than there are
}

func (l *simLog) name() string {
	l.names++
	return fmt.Sprint("v", l.names)
}

func simJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // types of package proto
	}
	return b
}

// open begins an entry of a bucket; done stores it.
func (l *simLog) open(bucket int) *simEntry {
	seq := uint64(len(l.buckets[bucket])*3 + 3)
	return &simEntry{sequence: seq, entry: &pb.Entry{}}
}

func (l *simLog) done(bucket int, e *simEntry, ms int64) {
	if len(e.events) == 0 {
		return
	}
	e.entry.TimeMs = ms
	l.buckets[bucket] = append(l.buckets[bucket], e)
}

func (l *simLog) tail(bucket int) uint64 {
	if n := len(l.buckets[bucket]); n > 0 {
		return l.buckets[bucket][n-1].sequence
	}
	return 0
}

// say puts an event of a guild into an entry.
func (l *simLog) say(e *simEntry, g *simGuild, ev *pb.Event, change func(s *simState)) *simEvent {
	before := g.now()
	ev.Guild = uint64(g.id)
	x := &simEvent{at: simPlace{e.sequence, len(e.events)}, event: ev, guild: g, before: before}
	after := before.clone()
	after.at = x.at
	if change != nil {
		change(after)
	}
	x.after = after
	g.states = append(g.states, after)
	e.events, e.entry.Events = append(e.events, x), append(e.entry.Events, ev)
	return x
}

// sayHome puts an event of a user into an entry of the home bucket.
func (l *simLog) sayHome(e *simEntry, u *simUser, ev *pb.Event) {
	ev.User = uint64(u.id)
	e.events = append(e.events, &simEvent{at: simPlace{e.sequence, len(e.events)}, event: ev})
	e.entry.Events = append(e.entry.Events, ev)
}

// born makes a guild with a member as its owner; the log begins with it.
func (l *simLog) born(e *simEntry, bucket int, owner *simUser, large bool) *simGuild {
	id := l.id(bucket)
	g := &simGuild{id: id, bucket: bucket, large: large}
	meta := proto.NewGuild(id, l.name(), owner.id)
	s := &simState{meta: meta, roles: map[proto.ID]proto.Role{id: {ID: id, Name: l.name(), Permissions: proto.PermDefault}},
		channels: map[proto.ID]proto.Channel{}, rows: map[proto.ID]proto.Member{owner.id: l.row(owner)}}
	g.states = []*simState{{dead: true, rows: map[proto.ID]proto.Member{}}}
	l.guilds = append(l.guilds, g)
	l.say(e, g, &pb.Event{Type: proto.EventInternalGuildBorn, Id: uint64(id), Body: simJSON(s.whole())}, func(now *simState) {
		at := now.at
		*now = *s
		now.at = at
	})
	l.outbox = append(l.outbox, simJoin{user: owner, guild: id})
	return g
}

func (l *simLog) row(u *simUser) proto.Member {
	nick, user := l.name(), proto.NewUser(u.id, l.name(), true) // a name for each stay: no two ends look alike
	return proto.Member{User: &user, Nick: &nick, Roles: []proto.ID{}}
}

// whole is the guild as a snapshot has it.
func (s *simState) whole() proto.Guild {
	g := s.meta
	g.Roles = []proto.Role{}
	for _, id := range keysOf(s.roles) {
		g.Roles = append(g.Roles, s.roles[id])
	}
	for _, id := range keysOf(s.channels) {
		g.Channels = append(g.Channels, s.channels[id])
	}
	for _, id := range keysOf(s.rows) {
		g.Members = append(g.Members, s.rows[id])
	}
	g.MemberCount = len(s.rows)
	return g
}

func simPick[V any](r *rand.Rand, m map[proto.ID]V) proto.ID {
	if len(m) == 0 {
		return 0
	}
	return keysOf(m)[r.IntN(len(m))]
}

// speak has somebody say something in a channel.
func (l *simLog) speak(e *simEntry, g *simGuild) {
	s := g.now()
	channel, author := simPick(l.r, s.channels), simPick(l.r, s.rows)
	if channel == 0 || author == 0 {
		return
	}
	id := l.id(g.bucket)
	say := func(content string) []byte {
		return fmt.Appendf(nil, `{"id":"%d","channel_id":"%d","guild_id":"%d","content":"%s"}`, id, channel, g.id, content)
	}
	l.say(e, g, &pb.Event{Type: proto.EventMessageCreate, Id: uint64(id), Channel: uint64(channel), Author: uint64(author),
		Required: uint64(proto.PermViewChannel), Body: say("words"), BodyNoContent: say("")}, func(s *simState) {
		ch := s.channels[channel]
		ch.LastMessageID = &id
		s.channels[channel] = ch
	})
}

// setChannel makes or changes a channel.
func (l *simLog) setChannel(e *simEntry, g *simGuild, old proto.ID) {
	s := g.now()
	ch, kind := proto.Channel{ID: old, GuildID: g.id}, proto.EventChannelCreate
	ev := &pb.Event{}
	if was, ok := s.channels[old]; ok {
		ch, kind, ev.Before = was, proto.EventChannelUpdate, simJSON(was)
	} else {
		ch.ID = l.id(g.bucket)
		if l.r.IntN(6) == 0 {
			ch.Type = proto.ChannelCategory
		}
	}
	ch.Name, ch.Overwrites = l.name(), l.overwrites(s)
	if ch.Type == proto.ChannelText && l.r.IntN(3) == 0 {
		ch.ParentID = nil
		for _, id := range keysOf(s.channels) {
			if s.channels[id].Type == proto.ChannelCategory && l.r.IntN(2) == 0 {
				ch.ParentID = &id
			}
		}
	}
	ev.Type, ev.Id, ev.Channel, ev.Body = kind, uint64(ch.ID), uint64(ch.ID), simJSON(ch)
	l.say(e, g, ev, func(s *simState) { s.channels[ch.ID] = ch })
}

func (l *simLog) overwrites(s *simState) []proto.Overwrite {
	list := []proto.Overwrite{}
	for _, id := range keysOf(s.roles) {
		switch l.r.IntN(6) {
		case 0:
			list = append(list, proto.Overwrite{ID: id, Type: proto.OverwriteRole, Deny: proto.PermViewChannel})
		case 1:
			list = append(list, proto.Overwrite{ID: id, Type: proto.OverwriteRole, Allow: proto.PermViewChannel})
		}
	}
	for _, u := range l.users {
		switch l.r.IntN(10) {
		case 0:
			list = append(list, proto.Overwrite{ID: u.id, Type: proto.OverwriteMember, Deny: proto.PermViewChannel})
		case 1:
			list = append(list, proto.Overwrite{ID: u.id, Type: proto.OverwriteMember, Allow: proto.PermViewChannel})
		}
	}
	slices.SortFunc(list, func(a, b proto.Overwrite) int { return int(int64(a.ID) - int64(b.ID)) })
	return list
}

func (l *simLog) dropChannel(e *simEntry, g *simGuild) {
	id := simPick(l.r, g.now().channels)
	was, ok := g.now().channels[id]
	if !ok || len(g.now().channels) == 1 {
		return
	}
	l.say(e, g, &pb.Event{Type: proto.EventChannelDelete, Id: uint64(id), Channel: uint64(id), Body: simJSON(was), Before: simJSON(was)},
		func(s *simState) { delete(s.channels, id) })
}

// setRole makes or changes a role.
func (l *simLog) setRole(e *simEntry, g *simGuild, old proto.ID) {
	role, kind := proto.Role{ID: old}, proto.EventGuildRoleCreate
	ev := &pb.Event{}
	if was, ok := g.now().roles[old]; ok {
		role, kind, ev.Before = was, proto.EventGuildRoleUpdate, simJSON(was)
	} else {
		role.ID = l.id(g.bucket)
	}
	role.Name = l.name()
	role.Permissions = []proto.Permissions{0, proto.PermViewChannel, proto.PermDefault, proto.PermDefault, proto.PermAdministrator}[l.r.IntN(5)]
	ev.Type, ev.Id, ev.Body = kind, uint64(role.ID), simJSON(proto.GuildRole{GuildID: g.id, Role: role})
	l.say(e, g, ev, func(s *simState) { s.roles[role.ID] = role })
}

// dropRole takes a role from members and channels as owners do: by one event.
func (l *simLog) dropRole(e *simEntry, g *simGuild) {
	s := g.now()
	id := simPick(l.r, s.roles)
	if id == g.id || id == 0 {
		return
	}
	b, after := proto.RoleBefore{Role: s.roles[id]}, s.clone()
	delete(after.roles, id)
	for _, user := range keysOf(s.rows) {
		if m := s.rows[user]; slices.Contains(m.Roles, id) {
			b.Holders = append(b.Holders, user)
			m.Roles = slices.DeleteFunc(slices.Clone(m.Roles), func(r proto.ID) bool { return r == id })
			after.rows[user] = m
		}
	}
	for _, of := range keysOf(s.channels) {
		ch := s.channels[of]
		for _, o := range ch.Overwrites {
			if o.ID == id {
				b.Overwrites = append(b.Overwrites, proto.RoleOverwrite{ChannelID: of, Overwrite: o})
			}
		}
		ch.Overwrites = slices.DeleteFunc(slices.Clone(ch.Overwrites), func(o proto.Overwrite) bool { return o.ID == id })
		after.channels[of] = ch
	}
	l.say(e, g, &pb.Event{Type: proto.EventGuildRoleDelete, Id: uint64(id), Body: simJSON(proto.GuildRoleDelete{GuildID: g.id, RoleID: id}),
		Before: simJSON(b)}, func(s *simState) { s.roles, s.rows, s.channels = after.roles, after.rows, after.channels })
}

// member has a user join, leave, or get other roles.
func (l *simLog) member(e *simEntry, g *simGuild, u *simUser, leave bool) {
	s := g.now()
	was, is := s.rows[u.id]
	switch {
	case !is:
		row := l.row(u)
		l.say(e, g, &pb.Event{Type: proto.EventGuildMemberAdd, Id: uint64(u.id), User: uint64(u.id), Body: simJSON(proto.GuildMember{Member: row, GuildID: g.id})},
			func(s *simState) { s.rows[u.id] = row })
		l.outbox = append(l.outbox, simJoin{user: u, guild: g.id})
	case leave && u.id != s.meta.OwnerID:
		l.say(e, g, &pb.Event{Type: proto.EventGuildMemberRemove, Id: uint64(u.id), User: uint64(u.id), Before: simJSON(was),
			Body: simJSON(proto.GuildMemberRemove{GuildID: g.id, User: *was.User})}, func(s *simState) { delete(s.rows, u.id) })
		l.outbox = append(l.outbox, simJoin{user: u, guild: g.id, left: true})
	default:
		row, nick := was, l.name()
		row.Nick, row.Roles = &nick, []proto.ID{}
		for _, id := range keysOf(s.roles) {
			if id != g.id && l.r.IntN(2) == 0 {
				row.Roles = append(row.Roles, id)
			}
		}
		l.say(e, g, &pb.Event{Type: proto.EventGuildMemberUpdate, Id: uint64(u.id), User: uint64(u.id), Before: simJSON(was),
			Body: simJSON(proto.GuildMember{Member: row, GuildID: g.id})}, func(s *simState) { s.rows[u.id] = row })
	}
}

// rename changes the guild, and perhaps its owner.
func (l *simLog) rename(e *simEntry, g *simGuild) {
	was := g.now().meta
	is := was
	is.Name = l.name()
	if l.r.IntN(2) == 0 {
		is.OwnerID = simPick(l.r, g.now().rows)
	}
	l.say(e, g, &pb.Event{Type: proto.EventGuildUpdate, Id: uint64(g.id), Body: simJSON(is), Before: simJSON(proto.GuildBefore{Guild: was})},
		func(s *simState) { s.meta = is })
}

// end deletes a guild.
func (l *simLog) end(e *simEntry, g *simGuild) {
	was := g.now().whole()
	was.Members = nil
	for _, id := range keysOf(g.now().rows) {
		l.outbox = append(l.outbox, simJoin{user: l.userOf(id), guild: g.id, left: true})
	}
	l.say(e, g, &pb.Event{Type: proto.EventGuildDelete, Id: uint64(g.id), Body: simJSON(proto.GuildStub{ID: g.id}), Before: simJSON(proto.GuildBefore{Guild: was})},
		func(s *simState) { s.dead, s.rows = true, map[proto.ID]proto.Member{} })
}

func (l *simLog) userOf(id proto.ID) *simUser {
	return l.users[slices.IndexFunc(l.users, func(u *simUser) bool { return u.id == id })]
}

// deliver has a home hear of something.
func (l *simLog) deliver(e *simEntry, j simJoin) {
	if j.direct != nil {
		l.tellDirect(e, j)
		return
	}
	kind := proto.EventInternalGuildJoined
	j.user.guilds = slices.DeleteFunc(slices.Clone(j.user.guilds), func(id proto.ID) bool { return id == j.guild })
	if j.left {
		kind = proto.EventInternalGuildLeft
	} else {
		j.user.guilds = append(j.user.guilds, j.guild)
	}
	l.sayHome(e, j.user, &pb.Event{Type: kind, Guild: uint64(j.guild), Id: uint64(j.guild)})
}

// renameUser changes how a user sees itself.
func (l *simLog) renameUser(e *simEntry, u *simUser) {
	u.self.Username = l.name()
	u.states = append(u.states, simHome{simPlace{e.sequence, len(e.events)}, u.self.Username})
	l.sayHome(e, u, &pb.Event{Type: "USER_UPDATE", Id: uint64(u.id), Body: simJSON(u.self)})
}
