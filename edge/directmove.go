package edge

import (
	"slices"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// What becomes of direct channels in a move. What a client was shown of one follows from the journal's word for the place; where it has none, from the
// list of the user's own bucket at the client's position, since openings come by that bucket alone, and where what a session was shown is not what the
// list says, the journal does. Nothing here depends on when it is asked: a replay is made again after a second death.

// changes are what the span of a channel's bucket tells of the user's list.
type changes struct {
	hidden proto.ID // the first closing, 0: none
	shown  []proto.ID
}

func (v *move) changes(id proto.ID) (c changes) {
	sp := v.spans[id.Bucket()]
	if sp == nil {
		return c
	}
	sp.events(func(_ uint64, _ int, e *pb.Event) {
		if proto.ID(e.Channel) != id || proto.ID(e.User) != v.session.user {
			return
		}
		switch {
		case e.Type == proto.EventInternalDirectShown:
			c.shown = append(c.shown, proto.ID(e.Id))
		case e.Type == proto.EventInternalDirectHidden && c.hidden == 0:
			c.hidden = proto.ID(e.Id)
		}
	})
	return c
}

// had tells whether the client was shown a channel at its position.
func (v *move) had(id proto.ID) bool {
	if v.spans[id.Bucket()] == nil {
		return false // nobody followed it
	}
	if w := v.waiting[id]; w != nil {
		return w.Shown
	}
	return !v.unready && v.inList(id)
}

// inList tells whether the user's own bucket had a channel in its list at the client's position.
func (v *move) inList(id proto.ID) bool {
	if opens, told := v.turned[id]; told {
		return !opens
	}
	_, in := v.listed[id]
	return in
}

// lists tells whether the user's own bucket has a channel in its list now.
func (v *move) lists(id proto.ID) bool {
	_, in := v.listing[id]
	return in
}

// seatDirects gives the session its seats, and finds which channels are to be opened once it is here, and from which message on.
func (l *loop) seatDirects(v *move, sc *scene) {
	s := v.session
	v.listing = directsAfter(v.listed, v.homeEvents())
	for _, id := range distinct(v.directs) {
		c, w, had := v.changes(id), v.waiting[id], v.had(id)
		over := c.hidden // openings up to it are
		switch {
		case had && c.hidden == 0:
			sc.directs[id] = struct{}{}
			l.seatDirect(v, id, c)
			continue
		case had:
			sc.directs[id] = struct{}{}
		case w != nil && !w.Gone && !w.Shown: // what was said since it was opened is yet to be told, whatever came after
			v.due[id] = proto.ID(w.Since)
			continue
		case w != nil && w.Gone:
			over = proto.ID(w.Since)
		case v.spans[id.Bucket()] == nil && v.answer.Tail && v.inList(id):
			// It may have been shown, in what is lost of the journal, or may not: what was said since is no older than what journals reach back.
			v.due[id] = saidSince(l.now().Add(-journalReach))
			continue
		default:
			over = 0
		}
		openings := slices.Clone(v.opened[id])
		for _, since := range c.shown { // of those above the user's bucket has yet to tell, and of others, perhaps, before them
			if since <= v.listing[id] {
				openings = append(openings, since)
			}
		}
		for _, since := range openings {
			if since > over && (v.due[id] == 0 || since < v.due[id]) {
				v.due[id] = since
			}
		}
		if over > 0 {
			s.closed[id], v.over[id] = closing{at: over}, closing{at: over, since: v.due[id]}.place(id)
		}
	}
}

// seatDirect gives the session a seat in a channel that the client has.
func (l *loop) seatDirect(v *move, id proto.ID, c changes) {
	p := &seat{session: v.session, channel: id, loaded: true, sequence: l.applied[id.Bucket()], last: slices.Max(append(c.shown, 0)),
		again:  v.opened[id], // of which the channel's bucket may be yet to tell
		closed: v.closings[id], unlisted: !v.lists(id)}
	if i := slices.Index(v.follows, id.Bucket()); i >= 0 {
		v.follows = slices.Delete(v.follows, i, i+1)
		p.followed = true
	}
	if p.unlisted {
		v.sure = append(v.sure, &pb.JournalPlace{Place: uint64(id), Shown: true})
	}
	v.session.directs[id] = p
}

// openLater takes note of an opening while the session is on its way here.
func (v *move) openLater(l *loop, id, since proto.ID) {
	if was, ok := v.session.closed[id]; ok && since <= was.at {
		return
	}
	if was, ok := v.due[id]; ok && was <= since {
		return
	}
	v.due[id] = since
	p := &pb.JournalPlace{Place: uint64(id), Since: uint64(since)}
	v.late = append(v.late, p)
	l.note(v.session, p)
}

// openDirects opens what is due, in one order.
func (l *loop) openDirects(v *move) {
	ids := make([]proto.ID, 0, len(v.due))
	for id := range v.due {
		ids = append(ids, id)
	}
	for _, id := range distinct(ids) {
		l.openDirect(v.session, id, v.due[id])
		if p := v.session.directs[id]; p != nil && !v.lists(id) { // there is more to be told than that it was closed
			p.closed, p.unlisted = v.closings[id], true
		}
	}
}

// directsLeft are the direct channels that the client has not at ic, or whose end it was told.
func (v *move) directsLeft() (left []*pb.JournalPlace) {
	for id, since := range v.due {
		left = append(left, &pb.JournalPlace{Place: uint64(id), Since: uint64(since)})
	}
	for id, p := range v.over {
		if _, due := v.due[id]; !due {
			left = append(left, p)
		}
	}
	return append(left, v.sure...)
}

// place is the journal's word for a channel that is not in the list.
func (c closing) place(id proto.ID) *pb.JournalPlace {
	if c.since != 0 {
		return &pb.JournalPlace{Place: uint64(id), Since: uint64(c.since)}
	}
	return &pb.JournalPlace{Place: uint64(id), Since: uint64(c.at), Gone: true}
}
