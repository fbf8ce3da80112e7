package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	loadTimeout = 10 * time.Second // then the waiting sessions are told that the guild is unavailable, and it goes on
	loadPause   = 2 * time.Second
	maxRows     = 1000 // members asked for in one call
)

// load follows the guild's bucket and asks for a snapshot, with the rows of those who wait. Events that come meanwhile are kept.
func (l *loop) load(g *guild, pause time.Duration) {
	g.loading, g.restart = true, false
	users := usersOf(g.waiting)
	follow := !g.followed
	look := slices.ContainsFunc(g.waiting, func(m *membership) bool { return m.session.seesPresence() })
	if g.regards = nil; look {
		g.regards = newRegards()
		g.regards.begin()
	}
	l.task(func(ctx context.Context) {
		if !wait(ctx, pause) {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, loadTimeout)
		defer cancel()
		m := guildLoaded{guild: g, followed: !follow}
		if follow {
			m.err = l.interest.follow(ctx, g.id.Bucket())
			m.followed = m.err == nil
		}
		if m.err == nil {
			m.snapshot, m.err = l.cores.guild(ctx, g.id, users, allMembers)
		}
		if m.err == nil && look {
			m.looks = looks{begun: true, everybody: true}
			m.looks.ask(ctx, l.cores, membersOf(m.snapshot))
		}
		if !l.post(m) && follow && m.followed {
			l.interest.release(g.id.Bucket())
		}
	})
}

func wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func usersOf(places []*membership) []uint64 {
	users := make([]uint64, 0, min(len(places), maxRows))
	for _, m := range places {
		if len(users) < maxRows && !slices.Contains(users, uint64(m.session.user)) {
			users = append(users, uint64(m.session.user))
		}
	}
	return users
}

// guildLoaded brings a snapshot, or says why there is none.
type guildLoaded struct {
	guild    *guild
	followed bool
	snapshot *pb.GuildSnapshot
	looks    looks
	err      error
}

func (m guildLoaded) apply(l *loop) {
	if l.await(m) {
		return
	}
	g := m.guild
	g.loading, g.followed = false, m.followed
	if m.err == nil && g.restart {
		g.buffer = nil
		l.load(g, 0)
		return
	}
	if m.err == nil {
		m.err = g.install(m.snapshot)
	}
	if m.err != nil {
		l.loadFailed(g, m.err)
		return
	}
	l.herald.take(g, m.looks)
	waiting, buffer := g.waiting, g.buffer
	g.waiting, g.buffer, g.idle, g.catching = nil, nil, l.now(), true
	for _, b := range buffer {
		l.guildEvent(g, b.sequence, b.event)
		now := l.guilds[g.id]
		if now == g {
			continue
		}
		waiting = append(waiting, g.waiting...) // who joined meanwhile
		g.waiting = nil
		if now == nil { // the event was the guild's end: those who waited for it hear of that alone
			gone := ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: g.id})
			for _, w := range waiting {
				if w.session.guilds[g.id] == w {
					l.expel(w, gone)
				}
			}
			return
		}
		for _, w := range waiting { // the event made it begin again
			w.guild = now
		}
		now.waiting = append(now.waiting, waiting...)
		return
	}
	waiting = append(waiting, g.waiting...)
	g.waiting, g.catching = nil, false
	for _, w := range waiting {
		if w.session.guilds[g.id] == w && w.class == nil {
			l.admit(g, w)
		}
	}
}

func (l *loop) loadFailed(g *guild, err error) {
	waiting := slices.Clone(g.waiting)
	if errors.Is(err, errNoGuild) {
		gone := ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: g.id})
		for _, w := range waiting {
			w.absent = true
			l.expel(w, gone)
		}
		g.waiting = slices.DeleteFunc(g.waiting, func(w *membership) bool { return w.settled })
	}
	if len(g.waiting) == 0 {
		l.forgetGuild(g)
		return
	}
	l.log.Warn("guild not loaded", "guild", g.id, "err", err)
	away := ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: g.id, Unavailable: true})
	for _, w := range waiting {
		l.tellAway(w, away)
	}
	l.load(g, loadPause)
}

// tellAway tells a session once that a guild which it waits for is unavailable. One that is on its way here was shown the guild, and has it yet.
func (l *loop) tellAway(m *membership, away *event) {
	if m.told || m.moving != nil {
		return
	}
	m.told = true
	l.giveAlone(m.session, away)
	l.note(m.session, m.waits())
}

// reload throws a guild's tables away and begins again: its sessions see it go and come back.
func (l *loop) reload(g *guild) {
	if l.sandbox != nil {
		l.sandbox.failed = errReplay
		return
	}
	places := g.places()
	l.forgetGuild(g)
	fresh := &guild{id: g.id, idle: l.now()}
	l.guilds[g.id] = fresh
	guildsGauge.Inc()
	away := ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: g.id, Unavailable: true})
	for m := range g.guests {
		m.settled = false
		m.moving.unsettled++
		places = append(places, m)
	}
	for _, m := range places {
		m.guild, m.class, m.told = fresh, nil, false
		l.tellAway(m, away)
		fresh.waiting = append(fresh.waiting, m)
	}
	l.load(fresh, firstPause)
}

// fetch asks a core for the row of m's user. While one call is under way the next collects, so that a thousand make few.
func (l *loop) fetch(g *guild, m *membership) {
	user := m.session.user
	g.next[user] = append(g.next[user], m)
	if !g.fetching {
		l.fetchNext(g)
	}
}

func (l *loop) fetchNext(g *guild) {
	users := make([]uint64, 0, min(len(g.next), maxRows))
	for id, ms := range g.next {
		if len(users) == maxRows {
			break
		}
		delete(g.next, id)
		if len(ms) > 0 {
			g.asked[id] = ms
			users = append(users, uint64(id))
		}
	}
	if g.fetching = len(users) > 0; !g.fetching {
		return
	}
	missing := slices.DeleteFunc(slices.Clone(users), func(id uint64) bool { return g.row(proto.ID(id)) != nil })
	want := g.wanted(users)
	l.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, loadTimeout)
		defer cancel()
		m := rowsFetched{guild: g, looks: want}
		if len(missing) > 0 {
			m.snapshot, m.err = l.cores.guild(ctx, g.id, missing, 0)
		}
		if want.begun {
			m.looks.ask(ctx, l.cores, want.asked)
		}
		l.post(m)
	})
}

// awaits tells whether a row of the user is on its way.
func (g *guild) awaits(user proto.ID) bool { return len(g.asked[user]) > 0 }

// rowsFetched brings rows of members, as of the sequence of a snapshot of their own.
type rowsFetched struct {
	guild    *guild
	snapshot *pb.GuildSnapshot // nil: all rows were known
	looks    looks
	err      error
}

func (m rowsFetched) apply(l *loop) {
	if l.await(m) {
		return
	}
	g := m.guild
	if l.guilds[g.id] != g {
		return
	}
	rows, err := rowsOf(m.snapshot, m.err)
	l.herald.takeEarly(g, m.looks)
	asked := g.asked
	g.asked = map[proto.ID][]*membership{}
	for _, user := range slices.Sorted(maps.Keys(asked)) {
		l.fetched(g, user, asked[user], rows, err)
	}
	l.herald.takeLate(g, m.looks)
	l.fetchNext(g)
}

// fetched admits the places of one user with the row that came, unless an event that came meanwhile knows better.
func (l *loop) fetched(g *guild, user proto.ID, places []*membership, rows map[proto.ID]*member, err error) {
	got := rows[user]
	if got != nil && got.row != nil {
		got.row.Roles = slices.DeleteFunc(got.row.Roles, func(id proto.ID) bool { _, there := g.roles[id]; return !there }) // deleted since
	}
	if known := g.members[user]; known != nil && (got == nil || known.row != nil || known.sequence > got.sequence) {
		if known.row == nil {
			delete(g.members, user)
		}
		got = known
	}
	if got != nil && got.row != nil && len(places) > 0 {
		g.members[user] = got
	}
	gone := ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: g.id, Unavailable: err != nil && !errors.Is(err, errNoGuild)})
	for _, p := range places {
		switch {
		case got != nil && got.row != nil:
			l.admit(g, p)
		case err == nil || errors.Is(err, errNoGuild):
			p.absent = err != nil
			l.expel(p, gone)
		default:
			l.tellAway(p, gone)
			g.next[user] = append(g.next[user], p)
		}
	}
}

// admitAsked admits those who wait for the row of a user, since an event has just brought it: what follows in the log is theirs already.
func (l *loop) admitAsked(g *guild, user proto.ID) {
	for _, list := range []map[proto.ID][]*membership{g.asked, g.next} {
		places := list[user]
		delete(list, user)
		for _, p := range places {
			l.admit(g, p)
		}
	}
}

func rowsOf(snap *pb.GuildSnapshot, err error) (map[proto.ID]*member, error) {
	if err != nil || snap == nil {
		return nil, err
	}
	var g proto.Guild
	if err := json.Unmarshal(snap.Body, &g); err != nil {
		return nil, fmt.Errorf("guild %d: rows: %w", snap.Guild, err)
	}
	rows := make(map[proto.ID]*member, len(g.Members))
	for _, m := range g.Members {
		if m.User != nil {
			rows[m.User.ID] = &member{row: &m, sequence: snap.Sequence, whole: true}
		}
	}
	return rows, nil
}
