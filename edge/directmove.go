package edge

import (
	"slices"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// What becomes of direct channels in a move. What a client was shown of one follows from three things: the journal's word for the place, if it has
// one; what the channel's own bucket tells since the client's position; what the user's bucket tells since then of channels that came into the list.
// A channel without such a word that is in the list was shown, since openings come by the user's bucket alone, and what a session waits for is journaled.

// changes are what the span of a channel's bucket tells of the user's list.
type changes struct {
	any    bool
	first  bool     // whether the first one opens it
	hidden proto.ID // the first closing, 0: none
	shown  []proto.ID
}

func (v *move) changes(id proto.ID) (c changes) {
	sp := v.spans[id.Bucket()]
	if sp == nil {
		return c
	}
	sp.events(func(_ uint64, _ int, e *pb.Event) {
		opens := e.Type == proto.EventInternalDirectShown
		if proto.ID(e.Channel) != id || proto.ID(e.User) != v.session.user || !opens && e.Type != proto.EventInternalDirectHidden {
			return
		}
		if !c.any {
			c.any, c.first = true, opens
		}
		if opens {
			c.shown = append(c.shown, proto.ID(e.Id))
		} else if c.hidden == 0 {
			c.hidden = proto.ID(e.Id)
		}
	})
	return c
}

// had tells whether the client was shown a channel at its position.
func (v *move) had(id proto.ID, c changes) bool {
	if v.spans[id.Bucket()] == nil {
		return false // nobody followed it
	}
	if w := v.waiting[id]; w != nil {
		return w.Shown
	}
	if opened := v.opened[id]; len(opened) > 0 && (c.hidden == 0 || opened[0] < c.hidden) {
		return false // it came into the list since
	}
	if v.nothing { // what READY listed has a word, unless its record is lost: then the client may have been shown what was closed since
		return v.answer.Tail && c.any && !c.first
	}
	if c.any {
		return !c.first
	}
	return slices.Contains(v.listed, id) || v.closed[id] // else nobody says that it ever was
}

// seatDirects gives the session its seats, and finds which channels are to be opened once it is here, and from which message on.
func (l *loop) seatDirects(v *move, sc *scene) {
	s := v.session
	for _, id := range distinct(v.directs) {
		c, w := v.changes(id), v.waiting[id]
		had := v.had(id, c)
		over := c.hidden // openings up to it are
		switch {
		case had && c.hidden == 0:
			sc.directs[id] = struct{}{}
			p := &seat{session: s, channel: id, loaded: true, sequence: l.applied[id.Bucket()], last: slices.Max(append(c.shown, 0)),
				again: v.opened[id]} // of which the channel's bucket may be yet to tell
			if i := slices.Index(v.follows, id.Bucket()); i >= 0 {
				v.follows = slices.Delete(v.follows, i, i+1)
				p.followed = true
			}
			if w.GetShown() { // the user's bucket may be behind as before
				p.shown = l.now()
				v.sure = append(v.sure, &pb.JournalPlace{Place: uint64(id), Shown: true})
			}
			s.directs[id] = p
			continue
		case had:
			sc.directs[id] = struct{}{}
		case w != nil && !w.Gone && !w.Shown: // what was said since it was opened is yet to be told, whatever came after
			v.due[id] = proto.ID(w.Since)
			continue
		case w != nil && w.Gone:
			over = proto.ID(w.Since)
		case (v.nothing || v.spans[id.Bucket()] == nil) && v.answer.Tail && slices.Contains(v.listed, id):
			// READY may have listed it, in what is lost of the journal, or may not: what was said since is no older than what journals reach back.
			v.due[id] = saidSince(l.now().Add(-journalReach))
			continue
		default:
			over = 0
		}
		for _, since := range slices.Concat(c.shown, v.opened[id]) {
			if since > over && (v.due[id] == 0 || since < v.due[id]) {
				v.due[id] = since
			}
		}
		if over > 0 {
			s.closed[id], v.over[id] = closing{at: over}, closing{at: over, since: v.due[id]}.place(id)
		}
	}
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
