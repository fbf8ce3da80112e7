package edge

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	presenceFlush = 100 * time.Millisecond // changes within it are told together
	maxReports    = 1000                   // users in one call
	refreshSlots  = 256                    // users are dealt out to them, so that a refresh of all is no storm
	staleAfter    = 2                      // refreshes after which the cores have forgotten a report by themselves
)

// A reporter tells the cores how the users of this edge look: changes at once, everybody once in PresenceRefresh. One call is under way at a
// time, so that no report overtakes a later one of the same user. What a core did not take is told again when the user's turn comes. Owned by the loop.
type reporter struct {
	loop    *loop
	users   map[proto.ID]*subject
	slots   [refreshSlots]map[proto.ID]struct{}
	turn    int64 // slots since the Unix epoch, up to the one that was refreshed last
	urgent  []proto.ID
	due     []proto.ID
	leaving []leaving // in order of time
	busy    bool
}

// A subject is a user of whom the cores were told, or will be.
type subject struct {
	sessions map[*session]struct{} // that count: connected, or lost a moment ago
	look     proto.Look
	version  int  // of look; the first is 1
	told     int  // version that the cores have taken
	urgent   bool // is on that list
	gone     time.Time
}

// leaving is a session without connection whose time to come back runs.
type leaving struct {
	session *session
	since   time.Time
}

func newReporter(l *loop) *reporter {
	return &reporter{loop: l, users: map[proto.ID]*subject{}}
}

// slotOf spreads users; the low bits of an id are a count within a millisecond, the next ones the bucket.
func slotOf(user proto.ID) int {
	return int(uint64(user) * 0x9e3779b97f4a7c15 >> 56) // golden ratio: near ids lie far apart
}

// show counts a session among those that make the user's presence, from its begin or resume on.
func (r *reporter) show(s *session) {
	u := r.users[s.user]
	if u == nil {
		u = &subject{sessions: map[*session]struct{}{}}
		r.users[s.user] = u
		slot := &r.slots[slotOf(s.user)]
		if *slot == nil { // a replay's loop has one user
			*slot = map[proto.ID]struct{}{}
		}
		(*slot)[s.user] = struct{}{}
	}
	u.sessions[s] = struct{}{}
	r.changed(s.user)
}

// lost begins the time in which a session may come back before it counts no more.
func (r *reporter) lost(s *session) { r.leaving = append(r.leaving, leaving{s, s.detached}) }

// changed merges the user's sessions anew, and has the cores told if that makes a difference.
func (r *reporter) changed(user proto.ID) {
	u := r.users[user]
	if u == nil {
		return
	}
	looks := make([]proto.Look, 0, len(u.sessions))
	for s := range u.sessions {
		looks = append(looks, s.look())
	}
	look := proto.MergeLooks(looks)
	if u.version > 0 && sameLook(look, u.look) {
		return
	}
	u.look = look
	u.version++
	if len(u.sessions) == 0 {
		u.gone = r.loop.now()
	}
	if !u.urgent {
		u.urgent = true
		r.urgent = append(r.urgent, user)
	}
}

func sameLook(a, b proto.Look) bool {
	return a.Status == b.Status && bytes.Equal(a.Activities, b.Activities) && maps.Equal(a.Devices, b.Devices)
}

func (r *reporter) forget(user proto.ID) {
	delete(r.users, user)
	delete(r.slots[slotOf(user)], user)
}

// flush does what has become due, and sends the next batch unless one is under way.
func (r *reporter) flush() {
	r.turnOver()
	if r.busy {
		return
	}
	call, batch := r.batch()
	if len(batch) == 0 {
		return
	}
	r.busy = true
	l := r.loop
	l.task(func(ctx context.Context) { l.post(reported{batch, l.cores.report(ctx, call)}) })
}

// turnOver parts with sessions whose time to come back is over, and lists whose turn it is to be told again.
func (r *reporter) turnOver() {
	now := r.loop.now()
	for len(r.leaving) > 0 && now.Sub(r.leaving[0].since) >= r.loop.cfg.PresenceDelay {
		s, since := r.leaving[0].session, r.leaving[0].since
		r.leaving[0] = leaving{}
		r.leaving = r.leaving[1:]
		if u := r.users[s.user]; u != nil && s.client == nil && s.detached.Equal(since) {
			delete(u.sessions, s)
			r.changed(s.user)
		}
	}
	if len(r.leaving) == 0 {
		r.leaving = nil
	}
	r.refresh(now)
}

// refresh puts those on the list whose turn has come.
func (r *reporter) refresh(now time.Time) {
	span := max(r.loop.cfg.PresenceRefresh/refreshSlots, time.Millisecond)
	turn := now.UnixNano() / int64(span)
	if r.turn == 0 {
		r.turn = turn
	}
	if len(r.due) > 0 {
		return // the cores are slow, and shall not be told more often
	}
	for r.turn = max(r.turn, turn-refreshSlots); r.turn < turn; {
		r.turn++
		for user := range r.slots[r.turn%refreshSlots] {
			u := r.users[user]
			if len(u.sessions) == 0 && now.Sub(u.gone) > staleAfter*r.loop.cfg.PresenceRefresh {
				r.forget(user)
				continue
			}
			r.due = append(r.due, user)
		}
	}
}

// A sent report says which version of a look the cores were told.
type sent struct {
	user    proto.ID
	version int
}

// batch is the next call, of up to maxReports users, those that have changed first.
func (r *reporter) batch() (call *pb.PresenceCall, batch []sent) {
	call = &pb.PresenceCall{Edge: r.loop.cfg.Name}
	take := func(list []proto.ID) []proto.ID {
		for len(list) > 0 && len(batch) < maxReports {
			user := list[0]
			list = list[1:]
			if u := r.users[user]; u != nil {
				u.urgent = false
				call.Reports = append(call.Reports, u.report(user))
				batch = append(batch, sent{user, u.version})
			}
		}
		if len(list) == 0 {
			return nil
		}
		return list
	}
	r.urgent = take(r.urgent)
	if len(batch) < maxReports {
		r.due = take(r.due)
	}
	return call, batch
}

func (u *subject) report(user proto.ID) *pb.PresenceReport {
	p := &pb.PresenceReport{User: uint64(user), Gone: len(u.sessions) == 0}
	if p.Gone {
		return p
	}
	p.Status, p.Activities, p.Refresh = string(u.look.Status), u.look.Activities, u.told == u.version
	p.LastActiveMs, p.Devices = u.look.LastActive.UnixMilli(), map[string]string{}
	for d, s := range u.look.Devices {
		p.Devices[d] = string(s)
	}
	return p
}

// report tells the cores once: whoever is not heard says it again when its turn comes.
func (c *cores) report(ctx context.Context, call *pb.PresenceCall) error {
	ans := new(pb.PresenceAnswer)
	return c.once(ctx, "presence", call, ans, func() error {
		if ans.Error != "" {
			return errors.New(ans.Error)
		}
		return nil
	})
}

// reported ends a call.
type reported struct {
	batch []sent
	err   error
}

func (m reported) apply(l *loop) {
	r := l.reporter
	r.busy = false
	if m.err != nil {
		presenceReports.WithLabelValues("failed").Add(float64(len(m.batch)))
		r.away()
		return
	}
	presenceReports.WithLabelValues("ok").Add(float64(len(m.batch)))
	for _, b := range m.batch {
		u := r.users[b.user]
		if u == nil {
			continue
		}
		u.told = max(u.told, b.version)
		if u.told == u.version && len(u.sessions) == 0 {
			r.forget(b.user)
		}
	}
}

// away lets others do while the cores take nothing: the changes that wait would only fail likewise.
func (r *reporter) away() {
	for _, user := range r.urgent {
		if u := r.users[user]; u != nil {
			u.urgent = false
		}
	}
	r.urgent, r.due = nil, nil
}
