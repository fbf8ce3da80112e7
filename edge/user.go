package edge

import (
	"slices"
	"strings"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A user has sessions here, or somebody is identifying as them.
type user struct {
	sessions map[*session]struct{}
	pending  map[*pending]struct{}
	asked    map[proto.ID]time.Time // guilds whose whole member list was asked for, and when
}

// user returns the entry of id, making it.
func (l *loop) user(id proto.ID) *user {
	u := l.users[id]
	if u == nil {
		u = &user{sessions: map[*session]struct{}{}, pending: map[*pending]struct{}{}}
		l.users[id] = u
	}
	return u
}

// each lists the sessions in one order, so that the same things happening give the same numbers: a run that a simulator has found can be had again.
func (u *user) each() []*session {
	list := make([]*session, 0, len(u.sessions))
	for s := range u.sessions {
		list = append(list, s)
	}
	if len(list) > 1 {
		slices.SortFunc(list, func(a, b *session) int { return strings.Compare(a.id, b.id) })
	}
	return list
}

func (l *loop) forgetUser(id proto.ID, u *user) {
	if len(u.sessions) == 0 && len(u.pending) == 0 {
		delete(l.users, id)
	}
}

// ofUser tells the events of a user's home bucket from those of a guild: a join names both.
func ofUser(e *pb.Event) bool {
	switch e.Type {
	case proto.EventInternalGuildJoined, proto.EventInternalGuildLeft, proto.EventInternalTokenReset, proto.EventInternalSessionRevoke,
		proto.EventInternalUserBorn:
		return true
	}
	return e.Guild == 0
}

// addressee is the user of an event of a user's home bucket.
func addressee(e *pb.Event) proto.ID {
	if e.User != 0 {
		return proto.ID(e.User)
	}
	return proto.ID(e.Id) // token resets name the bot
}

// userEvent applies an event of a user's home bucket to the sessions of that user, and keeps it for those that are just identifying.
func (l *loop) userEvent(seq uint64, e *pb.Event) {
	u := l.users[addressee(e)]
	if u == nil {
		return
	}
	for p := range u.pending {
		p.keep(seq, e)
	}
	ev := newEvent(e)
	for _, s := range u.each() {
		if seq > s.since {
			l.userEventFor(s, e, ev)
		}
	}
}

// userEventFor applies e to one session. It reports false if the session is no more.
func (l *loop) userEventFor(s *session, e *pb.Event, ev *event) bool {
	switch e.Type {
	case proto.EventInternalTokenReset:
		if s.auth == 0 { // a bot's: people have logins
			l.closeSession(s, proto.CloseAuthFailed)
			return false
		}
	case proto.EventInternalSessionRevoke:
		if s.auth != 0 && s.auth == proto.ID(e.Id) {
			l.closeSession(s, proto.CloseAuthFailed)
			return false
		}
	case proto.EventInternalGuildJoined:
		l.join(s, proto.ID(e.Guild), false)
		if s.held != nil {
			s.held.in = append(slices.Clone(s.held.in), proto.ID(e.Guild))
		}
		if m := s.guilds[proto.ID(e.Guild)]; m != nil {
			m.homed = true
		}
	case proto.EventInternalGuildLeft: // takes effect in the guild's bucket, in order with its messages
		if s.held != nil {
			s.held.in = slices.DeleteFunc(slices.Clone(s.held.in), func(id proto.ID) bool { return id == proto.ID(e.Guild) })
		}
		if m := s.guilds[proto.ID(e.Guild)]; m != nil {
			m.homed = false // of a later membership it has not told yet
			if s.held == nil || s.held.fixed {
				l.note(s, &pb.JournalPlace{Place: e.Guild, Shown: m.class != nil, Guild: true}) // the guild's bucket may be behind
			}
		}
		delete(s.past, proto.ID(e.Guild))
	case proto.EventInternalDirectOpened:
		l.openDirect(s, proto.ID(e.Channel), openingOf(e))
	case proto.EventInternalDirectClosed:
		l.closedDirect(s, proto.ID(e.Channel), openingOf(e))
	default:
		if e.Type != "" && e.Type[0] != '_' {
			l.give(s, ev)
		}
	}
	return true
}
