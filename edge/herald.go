package edge

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	// crowd is up to how many members a guild's people are told of each other's presence. Beyond, bots alone are, until clients can say whom they look at.
	crowd = 1000

	maxPresences = 1000 // users of whom one question asks
	maxHeard     = 4096 // of whom updates are kept while one is under way

	// When to ask for everybody again, in parts or multiples of PresenceRefresh.
	askRetry = 5  // part of it: after no answer
	askSoon  = 2  // part of it, after the first answer: what was published while the subscription was new may be lost
	askLate  = 24 // times it: presence is not logged, so nothing else finds what was lost

	lostBeat = 3 * time.Second // without the hub's beat the link was cut, and updates with it; then guilds ask within one PresenceRefresh
)

// A herald knows how members of guilds look, as far as sessions were told of them, and tells what changes. Cores publish changes beside the
// log; what is lost there it finds by asking. Owned by the loop.
type herald struct {
	loop      *loop
	newcomers map[*guild]struct{} // guilds with somebody to ask for
	cut       bool                // the hub is not heard
}

// regards is what is known of a guild's members: of all where the guild is held in full, else of those with sessions here. A guild has none until a
// session with the intent comes.
type regards struct {
	of     map[proto.ID]regard
	tried  bool                  // cores were asked: sessions need not wait any more
	asking int                   // questions under way
	heard  map[proto.ID]struct{} // of whom updates came meanwhile: they are newer than the answers
	want   map[proto.ID]struct{} // newcomers to ask for
	next   time.Time             // when to ask for everybody
}

// A regard is one member, as sessions were told last, and by which event: who was away then is told at RESUME.
type regard struct {
	presence proto.Presence
	index    int64
}

func newRegards() *regards {
	return &regards{of: map[proto.ID]regard{}, heard: map[proto.ID]struct{}{}, want: map[proto.ID]struct{}{}}
}

func offline(user proto.ID) proto.Presence {
	return proto.Presence{User: proto.PresenceUser{ID: user}, Status: proto.StatusOffline, Activities: json.RawMessage("[]"),
		ClientStatus: map[string]proto.Status{}}
}

func samePresence(a, b proto.Presence) bool {
	return a.Status == b.Status && bytes.Equal(a.Activities, b.Activities) && maps.Equal(a.ClientStatus, b.ClientStatus)
}

// seesPresence tells whether a session has the intent.
func (s *session) seesPresence() bool { return s.intents&proto.IntentGuildPresences != 0 }

// tracks tells whether the herald keeps a member's presence.
func (g *guild) tracks(user proto.ID) bool { return g.regards != nil && g.row(user) != nil }

// hear takes a PRESENCE_UPDATE of a core.
func (h *herald) hear(g *guild, e *pb.Event) {
	if g.regards == nil {
		return // nobody here wants to know
	}
	p, ok := readPresence(g.id, e.Body)
	if !ok {
		presenceUpdates.WithLabelValues("bad").Inc()
		return
	}
	user := p.User.ID
	if g.regards.asking > 0 {
		if len(g.regards.heard) == maxHeard {
			return // found by asking, later
		}
		g.regards.heard[user] = struct{}{}
	}
	if !g.loaded {
		g.regards.of[user] = regard{presence: p} // of one who is no member it goes again once members are known
		return
	}
	if g.full && g.row(user) == nil {
		return // left, or is not yet here: then the herald asks as soon as the log says so
	}
	ev := newEvent(e)
	h.tell(g, p, ev, "told")
}

// readPresence reads what cores publish. Whatever they say, nobody is shown as invisible.
func readPresence(guild proto.ID, body []byte) (proto.Presence, bool) {
	var p proto.Presence
	if json.Unmarshal(body, &p) != nil || p.User.ID == 0 || p.GuildID != guild || !p.Status.Visible() && p.Status != proto.StatusOffline ||
		len(p.Activities) == 0 || p.ClientStatus == nil {
		return p, false
	}
	p.GuildID = 0
	return p, true
}

// tell hands on how a member looks, unless sessions know. ev is the update as a core published it, nil where none did.
func (h *herald) tell(g *guild, p proto.Presence, ev *event, how string) {
	user := p.User.ID
	tracked := g.tracks(user)
	if tracked {
		before, ok := g.regards.of[user]
		if !ok {
			before.presence = offline(user)
		}
		if samePresence(before.presence, p) {
			presenceUpdates.WithLabelValues("known").Inc()
			return
		}
	}
	if ev == nil {
		d := p
		d.GuildID = g.id
		ev = ownEvent(proto.EventPresenceUpdate, d)
	}
	ev.fleeting = true
	l := h.loop
	ev.index = l.fleetingIndex() // also where nobody is there: those who come back are told by it
	for _, c := range g.classes {
		for _, m := range c.members {
			if s := m.session; s.seesPresence() && (g.memberCount <= crowd || s.auth == 0) {
				l.give(s, ev)
			}
		}
	}
	presenceUpdates.WithLabelValues(how).Inc()
	if tracked || g.regards.asking > 0 { // somebody's row may be on its way
		g.regards.of[user] = regard{p, ev.index}
	}
}

// learn takes an answer: how those asked for look, offline where it does not name them. Of those whose row is on its way nobody is told yet.
func (h *herald) learn(g *guild, asked []uint64, found []proto.Presence) {
	now := make(map[proto.ID]proto.Presence, len(found))
	for _, p := range found {
		now[p.User.ID] = p
	}
	for _, id := range asked {
		user := proto.ID(id)
		if _, newer := g.regards.heard[user]; newer {
			continue
		}
		p, ok := now[user]
		switch {
		case ok && (g.tracks(user) || !g.full && !g.awaits(user)):
			h.tell(g, p, nil, "caught_up")
		case ok:
			g.regards.of[user] = regard{presence: p}
		case g.tracks(user):
			h.tell(g, offline(user), nil, "caught_up")
		}
	}
}

// begin notes a question; what is heard from now on is newer than its answer.
func (r *regards) begin() { r.asking++ }

// end notes its answer, once that is taken and the rows that came with it are there. Of everybody it is asked again, sooner where there was none.
func (h *herald) end(g *guild, everybody bool, err error) {
	r := g.regards
	if r.asking--; r.asking == 0 {
		clear(r.heard)
		maps.DeleteFunc(r.of, func(user proto.ID, _ regard) bool { return g.row(user) == nil })
	}
	if !everybody && err == nil {
		return
	}
	refresh := h.loop.cfg.PresenceRefresh
	pause := askLate * refresh
	switch {
	case err != nil:
		pause = refresh / askRetry
	case r.next.IsZero():
		pause = refresh / askSoon
	}
	r.next = h.loop.now().Add(pause/2 + rand.N(pause)) // not all guilds at once
}

// tracked lists whom to ask for.
func (g *guild) tracked() []uint64 {
	users := make([]uint64, 0, min(len(g.members), maxPresences))
	for id, m := range g.members {
		if m.row != nil && len(users) < maxPresences {
			users = append(users, uint64(id))
		}
	}
	return users
}

// presencesOf picks those of rows who are not offline.
func (g *guild) presencesOf(s *session, rows []proto.Member) []proto.Presence {
	out := []proto.Presence{}
	if g.regards == nil || !s.seesPresence() {
		return out
	}
	for _, row := range rows {
		if r, ok := g.regards.of[row.User.ID]; ok && r.presence.Status.Visible() {
			out = append(out, r.presence)
		}
	}
	return out
}

// joined has the herald ask how a new member looks: cores announce changes, and to be a member is none.
func (h *herald) joined(g *guild, user proto.ID) {
	if g.regards == nil || g.memberCount > crowd || len(g.regards.want) >= maxPresences {
		return
	}
	g.regards.want[user] = struct{}{}
	if h.newcomers == nil {
		h.newcomers = map[*guild]struct{}{}
	}
	h.newcomers[g] = struct{}{}
}

// disregard forgets a member, or one whose row is no longer kept.
func (g *guild) disregard(user proto.ID) {
	if g.regards != nil {
		delete(g.regards.of, user)
		delete(g.regards.want, user)
	}
}

// catchUp tells a session that was resumed what it missed: presence is not kept in rings.
func (l *loop) catchUp(s *session, from int64) {
	if !s.seesPresence() {
		return
	}
	for _, m := range s.guilds {
		g := m.guild
		if m.class == nil || g.regards == nil || g.memberCount > crowd && s.auth != 0 {
			continue
		}
		for _, user := range slices.Sorted(maps.Keys(g.regards.of)) {
			r := g.regards.of[user]
			if r.index < from {
				continue
			}
			d := r.presence
			d.GuildID = g.id
			ev := ownEvent(proto.EventPresenceUpdate, d)
			ev.fleeting = true
			l.give(s, ev)
			if s.client == nil {
				return // too slow, and resumes again
			}
		}
	}
}
