package edge

import (
	"slices"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// join gives s a place in a guild, as soon as the guild and the member's row are known; nil if it gets none now. A session that has one keeps it.
// Where its client knows of the guild it will be told of the end, too.
func (l *loop) join(s *session, id proto.ID, known bool) *membership {
	if id == 0 || s.dropped || s.guilds[id] != nil || !s.inShard(id) || l.sandbox != nil {
		return nil
	}
	if s.held != nil { // once it is here
		s.held.joins = append(s.held.joins, id)
		if s.held.fixed {
			l.note(s, &pb.JournalPlace{Place: uint64(id), Guild: true})
		}
		return nil
	}
	g := l.guilds[id]
	if g == nil {
		g = &guild{id: id, idle: l.now()}
		l.guilds[id] = g
		guildsGauge.Inc()
	}
	m := &membership{session: s, guild: g, listed: known || lostTail(s.record)}
	_, m.homed = s.past[id] // the list has an earlier stay
	s.guilds[id] = m
	delete(s.past, id)
	l.note(s, m.waits())
	if g.loaded && !g.catching {
		l.admit(g, m)
		return m
	}
	g.waiting = append(g.waiting, m)
	if !g.loaded && !g.loading {
		l.load(g, 0)
	}
	return m
}

// waits is the journal's word for a place that the session is yet to be shown.
func (m *membership) waits() *pb.JournalPlace {
	return &pb.JournalPlace{Place: uint64(m.guild.id), Guild: true, Known: m.listed || m.told}
}

// admit places m, and says GUILD_CREATE before any later event. Where the member's row is not known a core is asked first: the guild may be
// large, or the join not yet here. Likewise for presence, where this is the first session that wants to see it.
func (l *loop) admit(g *guild, m *membership) {
	if g.row(m.session.user) == nil || g.mustAsk(m.session) {
		l.fetch(g, m)
		return
	}
	if m.moving != nil {
		l.settle(m)
		return
	}
	g.place(m)
	create := ownEvent(proto.EventGuildCreate, g.create(m))
	create.places, create.asOf = []*pb.JournalPlace{{Place: uint64(g.id), Shown: true, Guild: true}}, []*pb.JournalEvent{l.here(g.id.Bucket())}
	l.giveAlone(m.session, create)
}

// leave takes a place away.
func (l *loop) leave(m *membership) {
	g, user := m.guild, m.session.user
	delete(m.session.guilds, g.id)
	if m.class != nil {
		g.unplace(m)
	} else {
		delete(g.guests, m)
		g.waiting = slices.DeleteFunc(g.waiting, func(w *membership) bool { return w == m })
		for _, list := range []map[proto.ID][]*membership{g.asked, g.next} {
			if ms, ok := list[user]; ok {
				list[user] = slices.DeleteFunc(ms, func(w *membership) bool { return w == m })
			}
		}
	}
	if g.loaded && !g.full && !l.needs(g, user) {
		delete(g.members, user)
		g.disregard(user)
	}
	g.idle = l.now()
}

// needs tells whether a session of a user has a place in the guild, waits for one, or is on its way here with one.
func (l *loop) needs(g *guild, id proto.ID) bool {
	if u := l.users[id]; u != nil {
		for s := range u.sessions {
			if s.guilds[g.id] != nil {
				return true
			}
		}
	}
	return false
}

// expel takes a place away and tells the session, if it has heard of the guild, that it is no member.
func (l *loop) expel(m *membership, gone *event) {
	if m.moving != nil {
		l.settle(m) // the replay tells of the end
		return
	}
	s, known := m.session, m.class != nil || m.listed || m.told
	l.leave(m)
	if known { // else the guild ended before the session heard of it
		l.give(s, gone)
	}
	l.note(s, &pb.JournalPlace{Place: uint64(m.guild.id), Gone: true, Guild: true})
	if m.homed {
		s.end(m.guild.id)
	}
}

// forgetGuild drops a loaded guild that nobody needs.
func (l *loop) forgetGuild(g *guild) {
	delete(l.guilds, g.id)
	if l.sandbox != nil {
		return
	}
	guildsGauge.Dec()
	if g.followed {
		l.interest.release(g.id.Bucket())
	}
}

// fanOut hands ev to every session that e is meant for: rights by class, intents by session.
func (l *loop) fanOut(g *guild, e *pb.Event, ev *event) {
	want, intent, channel := proto.Permissions(e.Required), proto.Intent(e.Type), proto.ID(e.Channel)
	either := proto.EitherRight(e.Type)
	for _, c := range g.classes {
		if want != 0 && !c.can(g, channel, want) || either != 0 && c.inGuild(g)&either == 0 {
			continue
		}
		for _, m := range c.members {
			if m.session.intents&intent == intent {
				l.give(m.session, ev)
			}
		}
	}
}
