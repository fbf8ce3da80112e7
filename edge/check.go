package edge

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/starling-chat/starling/proto"
)

// checkTables compares the loop's tables with each other, between two messages.
func (l *loop) checkTables() error {
	answer := make(chan error, 1)
	if !l.post(checkAsk{answer}) {
		return errors.New("edge: stopped")
	}
	select {
	case err := <-answer:
		return err
	case <-l.ctx.Done():
		return errors.New("edge: stopped")
	}
}

type checkAsk struct{ answer chan<- error }

func (m checkAsk) apply(l *loop) {
	var errs []error
	fail := func(format string, args ...any) {
		if len(errs) < 20 {
			errs = append(errs, fmt.Errorf("edge: "+format, args...))
		}
	}
	for id, s := range l.sessions {
		l.checkSession(id, s, fail)
	}
	for id, u := range l.users {
		if len(u.sessions)+len(u.pending) == 0 {
			fail("user %d: kept for nothing", id)
		}
		for s := range u.sessions {
			if l.sessions[s.id] != s || s.user != id {
				fail("user %d: holds session %s of user %d", id, s.id, s.user)
			}
		}
	}
	for id, g := range l.guilds {
		if g.id != id {
			fail("guild %d: filed as %d", g.id, id)
		}
		l.checkGuild(g, fail)
	}
	for id, u := range l.reporter.users {
		if _, ok := l.reporter.slots[slotOf(id)][id]; !ok || u.told > u.version {
			fail("user %d: presence is never refreshed", id)
		}
		for s := range u.sessions {
			if s.user != id {
				fail("user %d: presence of user %d", id, s.user)
			}
		}
	}
	for id, s := range l.sessions {
		if u := l.reporter.users[s.user]; s.client != nil && s.held == nil && (u == nil || !has(u.sessions, s)) {
			fail("session %s: adds nothing to presence", id)
		}
	}
	for c := range l.clients {
		if (c.session != nil) != (c.phase == live) || c.session != nil && c.session.client != c {
			fail("client in phase %d: session and phase differ", c.phase)
		}
	}
	m.answer <- errors.Join(errs...)
}

func (l *loop) checkSession(id string, s *session, fail func(string, ...any)) {
	if s.id != id || s.dropped {
		fail("session %s: filed as %s, dropped %v", s.id, id, s.dropped)
	}
	if u := l.users[s.user]; u == nil {
		fail("session %s: user %d unknown", id, s.user)
	} else if _, ok := u.sessions[s]; !ok {
		fail("session %s: not among those of user %d", id, s.user)
	}
	if s.client != nil && s.client.session != s {
		fail("session %s: its client holds another", id)
	}
	if s.last > l.index || s.last < s.gen.base {
		fail("session %s: last index %d, of %d, base %d", id, s.last, l.index, s.gen.base)
	}
	for id, p := range s.directs {
		if p.session != s || p.channel != id || p.loaded && !p.followed {
			fail("session %s: seat in channel %d is broken", s.id, id)
		}
	}
	for gid, m := range s.guilds {
		if m.session != s || l.guilds[gid] != m.guild {
			fail("session %s: place in guild %d is not its own", id, gid)
		}
		if m.class != nil && (m.at >= len(m.class.members) || m.class.members[m.at] != m) {
			fail("session %s: guild %d: class does not hold it", id, gid)
		}
		if m.class == nil && !m.guild.waits(m) {
			fail("session %s: guild %d: neither placed nor waiting", id, gid)
		}
	}
}

// waits tells whether m is on one of the guild's lists.
func (g *guild) waits(m *membership) bool {
	return has(g.guests, m) || slices.Contains(g.waiting, m) || slices.Contains(g.asked[m.session.user], m) || slices.Contains(g.next[m.session.user], m)
}

func (l *loop) checkGuild(g *guild, fail func(string, ...any)) {
	for key, c := range g.classes {
		if c.key != key || len(c.members) == 0 {
			fail("guild %d: class of %d places filed wrongly", g.id, len(c.members))
		}
		for i, m := range c.members {
			row := g.row(m.session.user)
			if m.at != i || m.class != c || m.session.guilds[g.id] != m || row == nil {
				fail("guild %d: place of user %d is broken", g.id, m.session.user)
				continue
			}
			if g.classFor(m.session.user, row) != c {
				fail("guild %d: user %d is in the wrong class", g.id, m.session.user)
			}
		}
		for ch, p := range c.perms {
			if g.channels[ch] == nil {
				fail("guild %d: permissions in channel %d, which is gone", g.id, ch)
			} else if now := (&class{roles: c.roles, owner: c.owner, user: c.user, perms: map[proto.ID]proto.Permissions{}}).permissions(g, ch); now != p {
				fail("guild %d: channel %d: permissions %d, computed anew %d", g.id, ch, p, now)
			}
		}
	}
	if r := g.regards; r != nil && g.loaded {
		for user, known := range r.of {
			if s := known.presence.Status; !s.Visible() && s != proto.StatusOffline || known.presence.GuildID != 0 || r.asking == 0 && g.row(user) == nil {
				fail("guild %d: user %d is kept as %q, with %d questions under way", g.id, user, s, r.asking)
			}
		}
	}
	own := map[proto.ID]int{}
	for _, ch := range g.channels {
		for _, o := range ch.Overwrites {
			if o.Type == proto.OverwriteMember {
				own[o.ID]++
			}
		}
	}
	if g.loaded && !maps.Equal(own, g.own) {
		fail("guild %d: overwrites of users counted wrongly", g.id)
	}
}

func has[K comparable](set map[K]struct{}, k K) bool {
	_, ok := set[k]
	return ok
}
