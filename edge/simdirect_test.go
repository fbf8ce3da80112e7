package edge

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// This file has the direct channels of a world, and holds what clients are told of them against what they are entitled to.

// A simDirect is a direct channel of two users. A message opens it for whoever has it closed.
type simDirect struct {
	id     proto.ID
	bucket int
	users  [2]*simUser
	open   [2]bool
	last   proto.ID // highest id of an opening, a closing or a message
	said   []simSaid
}

type simSaid struct {
	id   proto.ID
	body []byte
}

func (d *simDirect) place(user proto.ID) int {
	return slices.IndexFunc(d.users[:], func(u *simUser) bool { return u.id == user })
}

// seenBy is the channel as one of its users is shown it.
func (d *simDirect) seenBy(i int) proto.DirectChannel {
	ch := proto.DirectChannel{ID: d.id, Type: proto.ChannelDM, Recipients: []proto.User{proto.NewUser(d.users[1-i].id, "other", true)}}
	if n := len(d.said); n > 0 {
		ch.LastMessageID = &d.said[n-1].id
	}
	return ch
}

// befriend makes the channel of two users, which neither has in the list.
func (l *simLog) befriend(bucket int, a, b *simUser) {
	l.directs = append(l.directs, &simDirect{id: l.id(bucket), bucket: bucket, users: [2]*simUser{a, b}})
}

// sayDirect puts an event of a direct channel into an entry.
func (l *simLog) sayDirect(e *simEntry, d *simDirect, ev *pb.Event) {
	ev.Channel, ev.Recipients = uint64(d.id), []uint64{uint64(d.users[0].id), uint64(d.users[1].id)}
	e.events = append(e.events, &simEvent{at: simPlace{e.sequence, len(e.events)}, event: ev})
	e.entry.Events = append(e.entry.Events, ev)
	d.last = proto.ID(ev.Id)
}

// list puts the channel into a user's list, or takes it out.
func (l *simLog) list(e *simEntry, d *simDirect, i int, open bool, id proto.ID) {
	if d.open[i] == open {
		return
	}
	kind := proto.EventInternalDirectHidden
	if open {
		kind = proto.EventInternalDirectShown
	}
	l.sayDirect(e, d, &pb.Event{Type: kind, Id: uint64(id), User: uint64(d.users[i].id), Body: simJSON(d.seenBy(i))})
	d.open[i] = open
	l.outbox = append(l.outbox, simJoin{user: d.users[i], direct: d, left: !open, since: id})
}

// talk has one of the two say something, open the channel, or close it.
func (l *simLog) talk(e *simEntry, d *simDirect) {
	switch n := l.r.IntN(10); {
	case n < 2:
		l.list(e, d, l.r.IntN(2), false, l.id(d.bucket))
	case n < 3:
		l.list(e, d, l.r.IntN(2), true, l.id(d.bucket))
	default:
		l.write(e, d)
	}
}

// write has one of the two say something.
func (l *simLog) write(e *simEntry, d *simDirect) {
	since := l.id(d.bucket)
	for i := range d.users {
		l.list(e, d, i, true, since)
	}
	id := l.id(d.bucket)
	s := simSaid{id, fmt.Appendf(nil, `{"id":"%d","channel_id":"%d","content":"words"}`, id, d.id)}
	l.sayDirect(e, d, &pb.Event{Type: proto.EventMessageCreate, Id: uint64(id), Author: uint64(d.users[l.r.IntN(2)].id), Body: s.body})
	d.said = append(d.said, s)
}

// tellDirect has a home hear that a channel came into the user's list, or left it.
func (l *simLog) tellDirect(e *simEntry, j simJoin) {
	kind, id := proto.EventInternalDirectOpened, j.direct.id
	delete(j.user.directs, id)
	if j.left {
		kind = proto.EventInternalDirectClosed
	} else {
		j.user.directs[id] = j.since
	}
	l.sayHome(e, j.user, &pb.Event{Type: kind, Channel: uint64(j.direct.id), Id: e.sequence, Body: simJSON(map[string]any{"sequence": e.sequence, "since": j.since})})
}

func (w *simWorld) direct(id proto.ID) *simDirect {
	for _, d := range w.log.directs {
		if d.id == id {
			return d
		}
	}
	return nil
}

func (w *simWorld) snapshotDirects(in *pb.DirectCall) *pb.DirectAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := &pb.DirectAnswer{}
	for _, want := range in.Wants {
		s := &pb.DirectSnapshot{Channel: want.Channel}
		out.Directs = append(out.Directs, s)
		d := w.direct(proto.ID(want.Channel))
		if d == nil || d.place(proto.ID(in.User)) < 0 {
			continue
		}
		s.Sequence, s.LastId = w.log.tail(w.bucketAt(d.bucket)), uint64(d.last)
		i := d.place(proto.ID(in.User))
		if !d.open[i] {
			continue
		}
		s.Body = simJSON(d.seenBy(i))
		for _, m := range d.said {
			if want.Since != 0 && uint64(m.id) > want.Since {
				s.Messages = append(s.Messages, m.body)
			}
		}
	}
	return out
}

// A simSeat is a direct channel as a client has it.
type simSeat struct {
	shown   bool
	next    int // of the messages
	early   int // messages below it were said before the session knew of the channel: it may go without them
	repeats int // messages below it may come again
}

// seats begins anew with what READY lists.
func (c *simClient) seatAll(listed []json.RawMessage) {
	c.seats = map[proto.ID]*simSeat{}
	for _, d := range c.w.log.directs {
		if d.place(c.user.id) >= 0 {
			c.seats[d.id] = &simSeat{early: len(d.said)}
		}
	}
	for _, raw := range listed {
		var ch proto.DirectChannel
		if json.Unmarshal(raw, &ch) != nil || c.seats[ch.ID] == nil {
			c.w.fail("LEAK %v READY lists %s", c, raw)
			continue
		}
		s, d := c.seats[ch.ID], c.w.direct(ch.ID)
		s.shown, s.early = true, 0
		if ch.LastMessageID != nil {
			s.next = 1 + slices.IndexFunc(d.said, func(m simSaid) bool { return m.id == *ch.LastMessageID })
		}
		c.w.logf("%v READY lists d%d, %d of its messages are had", c, slices.Index(c.w.log.directs, d), s.next)
	}
}

// directTold takes a frame about a direct channel.
func (c *simClient) directTold(kind string, channel, message proto.ID) {
	d, s := c.w.direct(channel), c.seats[channel]
	if d == nil || s == nil {
		c.w.fail("LEAK %v %s of direct channel %d", c, kind, channel)
		return
	}
	n := slices.Index(c.w.log.directs, d)
	switch kind {
	case proto.EventChannelCreate:
		s.shown = true // once more where it was on its way when its edge died
		return
	case proto.EventChannelDelete:
		if !s.shown && !c.repeats {
			c.w.fail("REPEAT %v CHANNEL_DELETE of d%d, which it has not", c, n)
		}
		s.shown = false
		return
	}
	k := slices.IndexFunc(d.said, func(m simSaid) bool { return m.id == message })
	c.w.logf("%v s %d has message %d of d%d", c, c.s, k, n)
	switch {
	case k < 0 || c.intents&proto.IntentDirectMessages == 0:
		c.w.fail("LEAK %v message %d of d%d", c, message, n)
	case k < s.repeats:
		c.w.stats.repeats++
	case k < s.next:
		c.w.fail("REPEAT %v message %d of d%d, at %d", c, k, n, s.next)
	case !s.shown && !c.repeats:
		c.w.fail("LEAK %v message %d of d%d, which it was not shown", c, k, n)
	case k > max(s.next, s.early):
		c.w.fail("LOSS %v message %d of d%d, got %d", c, max(s.next, s.early), n, k)
	}
	s.next = max(s.next, k+1)
	c.w.stats.directs++
}

// lacksDirect tells what the client should have of direct channels and has not, once all is quiet.
func (c *simClient) lacksDirect() string {
	for n, d := range c.w.log.directs {
		s := c.seats[d.id]
		if s == nil {
			continue
		}
		if open := d.open[d.place(c.user.id)]; open != s.shown {
			return fmt.Sprintf("d%d, which is in the list: %v", n, open)
		}
		if c.intents&proto.IntentDirectMessages != 0 && max(s.next, s.early) < len(d.said) {
			return fmt.Sprintf("message %d of d%d", max(s.next, s.early), n)
		}
	}
	return ""
}
