package edge

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A seat is a session's place in a direct channel. It holds one follow of the channel's bucket.
//
// No event is missed, and none comes twice: the bucket is followed first, and what comes from then on is kept. Then a core tells what the
// channel is as of a sequence, with the messages since it came into the user's list; kept events up to that sequence are dropped, the
// others are applied. What follows comes in order from the log, the user's own closing of the channel too: the user's bucket tells of it as
// well, but perhaps before messages that were said earlier. For the same reason a channel that was closed and came back waits, in again, until
// the log has come to the closing.
type seat struct {
	session  *session
	channel  proto.ID
	since    proto.ID // messages above are news to the session
	followed bool
	loaded   bool
	sequence uint64 // of the bucket, that it was loaded with
	buffer   []buffered
	restart  bool
	tries    int
	last     proto.ID   // highest id of the bucket then
	again    []proto.ID // openings later than what the seat knows
	closed   proto.ID   // the last closing that the user's bucket told of
	unlisted bool       // which has told of no opening since: the channel's own bucket is behind, or what the seat was loaded with is ahead
}

// Openings and closings of a channel have ids in the order in which they happened, which sequences do not tell: one entry may hold both. The
// id of an opening is below the messages that came after it.

// saidSince is an id that messages said from a moment on are above, whatever the clocks of cores and edges: what was said just before it comes too.
func saidSince(t time.Time) proto.ID { return proto.MakeID(t.Add(-5*time.Second), 0, 0) }

// A closing is the end of a seat, or what was found instead of a channel in the list.
type closing struct {
	at    proto.ID // openings up to this are over
	since proto.ID // if not 0, messages above have yet to be told
}

// directShard is the shard that gets direct messages (Discord: Sharding).
const directShard = 0

const (
	directTimeout = 4 * time.Second // for the channels of an IDENTIFY; those that take longer come after READY
	followsAtOnce = 16
	wantsPerCall  = 500
	maxAgain      = 1024

	maxDirectTries = 8 // to have a channel's snapshot and nothing but messages behind it
)

// openDirect gives s a seat in a channel that came into the user's list.
func (l *loop) openDirect(s *session, channel, since proto.ID) {
	if channel == 0 || s.dropped || s.shard[0] != directShard || l.sandbox != nil || s.held != nil && !s.held.fixed {
		return
	}
	if p := s.directs[channel]; p != nil {
		p.unlisted = p.unlisted && since <= p.closed
		if (!p.loaded || since > p.last) && len(p.again) < maxAgain {
			p.again = append(p.again, since)
		}
		return
	}
	if v := s.held; v != nil {
		v.listing[channel] = since
		v.openLater(l, channel, since)
		return
	}
	if was, ok := s.closed[channel]; ok {
		if since <= was.at {
			return // the user's bucket is behind: the channel was closed since
		}
		delete(s.closed, channel)
		if was.since != 0 {
			since = min(since, was.since)
		}
	}
	p := &seat{session: s, channel: channel, since: since}
	s.directs[channel] = p
	l.note(s, &pb.JournalPlace{Place: uint64(channel), Since: uint64(since)})
	l.loadDirect(p, 0)
}

// endDirect follows the end of a seat: the channel may be back in the list already.
func (l *loop) endDirect(p *seat, c closing) {
	l.note(p.session, c.place(p.channel))
	if c.since != 0 || p.closed < c.at { // else no opening up to it is still to come
		p.session.closed[p.channel] = c
	}
	for _, since := range p.again { // the first that is no older makes a new seat; those after it wait there
		if since > c.at {
			l.openDirect(p.session, p.channel, since)
		}
	}
	if now := p.session.directs[p.channel]; now != nil {
		now.closed, now.unlisted = p.closed, p.unlisted
	}
}

// closedDirect hears from the user's bucket that a channel left the list. In the channel's own bucket, in order with its messages, it has, or will.
func (l *loop) closedDirect(s *session, channel, at proto.ID) {
	if v := s.held; v != nil && v.fixed {
		delete(v.listing, channel)
		v.closings[channel] = at
	}
	if p := s.directs[channel]; p != nil {
		if at > p.closed {
			p.closed, p.unlisted = at, true
		}
		if p.loaded {
			l.note(s, &pb.JournalPlace{Place: uint64(channel), Shown: true})
		}
	}
	if was, ok := s.closed[channel]; ok && was.since == 0 && at >= was.at {
		delete(s.closed, channel)
	}
}

// loadDirect follows the channel's bucket and asks a core for a snapshot.
func (l *loop) loadDirect(p *seat, pause time.Duration) {
	user, follow := p.session.user, !p.followed
	l.task(func(ctx context.Context) {
		if !wait(ctx, pause) {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, loadTimeout)
		defer cancel()
		m := directLoaded{seat: p}
		if follow {
			m.err = l.interest.follow(ctx, p.channel.Bucket())
			m.followed = m.err == nil
		}
		if m.err == nil {
			var found map[proto.ID]*pb.DirectSnapshot
			found, m.err = l.cores.directs(ctx, user, []*pb.DirectWant{{Channel: uint64(p.channel), Since: uint64(p.since)}}, true)
			m.snapshot = found[p.channel]
		}
		l.post(m)
	})
}

// directLoaded brings a snapshot, or says why there is none.
type directLoaded struct {
	seat     *seat
	followed bool // by this try
	snapshot *pb.DirectSnapshot
	err      error
}

func (m directLoaded) apply(l *loop) {
	if l.await(m) {
		return
	}
	p, s := m.seat, m.seat.session
	p.followed = p.followed || m.followed
	if s.dropped || s.directs[p.channel] != p { // closed meanwhile
		l.unfollowDirect(p)
		return
	}
	switch {
	case m.err != nil:
		l.log.Warn("direct channel not loaded", "channel", p.channel, "err", m.err)
		p.buffer, p.restart = nil, false
		l.loadDirect(p, loadPause)
		return
	case p.restart || p.overtaken(m.snapshot) && p.tries < maxDirectTries:
		p.buffer, p.restart = nil, false
		p.tries++
		l.loadDirect(p, 0)
		return
	case len(m.snapshot.Body) == 0: // no longer in the list; if it comes back, the user's bucket says so
		l.leaveDirect(p)
		l.endDirect(p, closing{proto.ID(m.snapshot.LastId), p.since}) // what was said in between is to be told then
		return
	}
	p.loaded, p.sequence, p.last = true, m.snapshot.Sequence, proto.ID(m.snapshot.LastId)
	p.again = slices.DeleteFunc(p.again, func(since proto.ID) bool { return since <= p.last })
	if s.intents&(proto.IntentGuilds|proto.IntentDirectMessages) != 0 {
		l.give(s, &event{kind: proto.EventChannelCreate, body: m.snapshot.Body, asOf: []*pb.JournalEvent{l.here(p.channel.Bucket())}})
	}
	if s.intents&proto.IntentDirectMessages != 0 {
		for _, body := range m.snapshot.Messages { // whoever has got some of them is told the others
			ev := &event{kind: proto.EventMessageCreate, body: body}
			ev.places = []*pb.JournalPlace{{Place: uint64(p.channel), Since: uint64(messageID(body))}}
			l.give(s, ev)
		}
	}
	buffer := p.buffer
	p.buffer = nil
	for _, b := range buffer { // once the seat has ended the rest is its successor's, which asks for it
		ev := newDirectEvent(b.event)
		if b.event.Type == proto.EventMessageCreate {
			ev.places = []*pb.JournalPlace{{Place: uint64(p.channel), Since: b.event.Id}}
		}
		l.directFor(p, b.sequence, b.event, ev)
	}
	if s.directs[p.channel] == p { // behind all of it: the journal has the position of what comes from now on
		l.note(s, &pb.JournalPlace{Place: uint64(p.channel), Shown: true})
	}
}

// overtaken tells whether more than messages happened behind a snapshot while it was on its way. Who goes on elsewhere amid what was kept is told
// messages by their ids, since the journal has the log's positions only of what is applied as it comes; of all else there would be no word.
func (p *seat) overtaken(snap *pb.DirectSnapshot) bool {
	return slices.ContainsFunc(p.buffer, func(b buffered) bool {
		return snap != nil && len(snap.Body) > 0 && b.sequence > snap.Sequence && b.event.Type != proto.EventMessageCreate
	})
}

func messageID(body []byte) proto.ID {
	var m struct {
		ID proto.ID `json:"id"`
	}
	if json.Unmarshal(body, &m) != nil {
		return 0
	}
	return m.ID
}

// newDirectEvent wraps an event of a direct channel's log: all of it is for both users, whatever their intents.
func newDirectEvent(e *pb.Event) *event {
	ev := newEvent(e)
	ev.bare = nil
	if e.Type == proto.EventInternalDirectHidden {
		ev.kind = proto.EventChannelDelete
	}
	return ev
}

// directEvent applies an event of a direct channel to the sessions of its users, and keeps it for those that are just identifying.
func (l *loop) directEvent(seq uint64, e *pb.Event) {
	var ev *event
	for _, id := range e.Recipients {
		u := l.users[proto.ID(id)]
		if u == nil {
			continue
		}
		for p := range u.pending {
			p.keepDirect(seq, e)
		}
		for _, s := range u.each() {
			if p := s.directs[proto.ID(e.Channel)]; p != nil {
				if ev == nil {
					ev = newDirectEvent(e)
				}
				l.directFor(p, seq, e, ev)
			}
		}
	}
}

// directFor applies an event for one seat.
func (l *loop) directFor(p *seat, seq uint64, e *pb.Event, ev *event) {
	s := p.session
	switch {
	case !p.loaded:
		if len(p.buffer) == maxBuffered {
			p.buffer, p.restart = nil, true
		}
		p.buffer = append(p.buffer, buffered{seq, e})
	case seq <= p.sequence || s.directs[p.channel] != p:
	case e.Type == proto.EventInternalDirectHidden:
		if proto.ID(e.User) == s.user {
			l.expelDirect(p, ev)
			l.endDirect(p, closing{at: proto.ID(e.Id)})
		}
	case e.Type == "" || e.Type[0] == '_':
	default:
		if want := proto.DirectIntent(e.Type); s.intents&want == want {
			l.give(s, ev)
		}
	}
}

// directFleeting hands on what no log holds: typing.
func (l *loop) directFleeting(e *pb.Event) {
	ev := newDirectEvent(e)
	ev.fleeting = true
	want := proto.DirectIntent(e.Type)
	for _, id := range e.Recipients {
		if u := l.users[proto.ID(id)]; u != nil {
			for s := range u.sessions {
				if p := s.directs[proto.ID(e.Channel)]; p != nil && p.loaded && s.intents&want == want {
					l.give(s, ev)
				}
			}
		}
	}
}

// expelDirect takes a seat away and tells the session.
func (l *loop) expelDirect(p *seat, gone *event) {
	l.leaveDirect(p)
	if p.session.intents&(proto.IntentGuilds|proto.IntentDirectMessages) != 0 {
		l.give(p.session, gone)
	}
}

func (l *loop) leaveDirect(p *seat) {
	delete(p.session.directs, p.channel)
	l.unfollowDirect(p)
}

func (l *loop) unfollowDirect(p *seat) {
	if p.followed {
		p.followed = false
		l.interest.release(p.channel.Bucket())
	}
}

// A heldDirect is a channel of somebody who identifies: followed, and asked for.
type heldDirect struct {
	channel  proto.ID
	followed bool
	snapshot *pb.DirectSnapshot // nil: comes later
}

// askDirects follows the buckets of a user's direct channels and asks for their snapshots. It fails for none: what is missing comes later.
func (l *loop) askDirects(ctx context.Context, user *pb.UserSnapshot) []*heldDirect {
	if user == nil || len(user.Directs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, directTimeout)
	defer cancel()
	var held []*heldDirect
	for _, d := range user.Directs {
		held = append(held, &heldDirect{channel: proto.ID(d.Channel)})
	}
	var g errgroup.Group
	g.SetLimit(followsAtOnce)
	for _, h := range held {
		g.Go(func() error {
			h.followed = l.interest.follow(ctx, h.channel.Bucket()) == nil
			return nil
		})
	}
	g.Wait()
	l.askSnapshots(ctx, user, held)
	return held
}

// askSnapshots asks for snapshots of the channels that are followed. Those that do not come stay as they are.
func (l *loop) askSnapshots(ctx context.Context, user *pb.UserSnapshot, held []*heldDirect) {
	for part := range slices.Chunk(held, wantsPerCall) {
		var wants []*pb.DirectWant
		for _, h := range part {
			if h.followed {
				wants = append(wants, &pb.DirectWant{Channel: uint64(h.channel)})
			}
		}
		found, err := l.cores.directs(ctx, proto.ID(user.User), wants, false)
		if err != nil {
			l.log.Warn("direct channels not loaded", "user", user.User, "err", err)
		}
		for _, h := range part {
			if found[h.channel] != nil {
				h.snapshot = found[h.channel]
			}
		}
	}
}

func (l *loop) releaseDirects(held []*heldDirect) {
	for _, h := range held {
		if h.followed {
			l.interest.release(h.channel.Bucket())
		}
	}
}

// takeSeats seats a new session, before its READY, and gives the channels that READY lists and those that have to come later.
func (l *loop) takeSeats(s *session, held []*heldDirect) (listed []listing, later []proto.ID) {
	for _, h := range held {
		if s.shard[0] == directShard && h.snapshot != nil && len(h.snapshot.Body) > 0 && s.directs[h.channel] == nil {
			p := &seat{session: s, channel: h.channel, followed: true, loaded: true, sequence: h.snapshot.Sequence, last: proto.ID(h.snapshot.LastId)}
			s.directs[h.channel] = p
			listed = append(listed, listing{p, h.snapshot.Body})
			continue
		}
		if h.followed {
			l.interest.release(h.channel.Bucket())
		}
		switch {
		case h.snapshot == nil:
			later = append(later, h.channel)
		case s.directs[h.channel] == nil:
			s.closed[h.channel] = closing{at: proto.ID(h.snapshot.LastId)}
		}
	}
	return listed, later
}

// keepDirect is keep for events of direct channels.
func (p *pending) keepDirect(seq uint64, e *pb.Event) {
	if len(p.direct) == maxKept {
		p.stale = true
		return
	}
	p.direct = append(p.direct, buffered{seq, e})
}

// openingOf reads the id of the opening in _DM_OPENED.
func openingOf(e *pb.Event) proto.ID {
	var link struct {
		Since proto.ID `json:"since"`
	}
	if json.Unmarshal(e.Body, &link) != nil {
		return 0
	}
	return link.Since
}
