package edge

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/starling-chat/starling/proto"
)

var errNoUser = errors.New("member without user")

// change applies what may alter rights or channels, and tells the sessions of places what they no longer see (CHANNEL_DELETE) and see from now
// on (CHANNEL_CREATE). own, if any, is the event of one channel that caused it: those who saw the channel before and still do get it as
// CHANNEL_UPDATE.
func (l *loop) change(g *guild, places []*membership, own *event, mutate func()) {
	before := make([]*view, len(places))
	for i, m := range places {
		before[i] = m.class.visible(g)
	}
	old := maps.Clone(g.channels)
	mutate()
	var updated proto.ID
	if own != nil {
		updated = changedChannel(old, g.channels)
	}
	diffs := map[[2]*view]diff{} // places of one class mostly have one past
	var order []step
	for i, m := range places {
		g.place(m)
		was, is := before[i], m.class.visible(g)
		d, ok := diffs[[2]*view{was, is}]
		if !ok {
			d = diffOf(was, is)
			diffs[[2]*view{was, is}] = d
		}
		for _, id := range d.lost {
			order = append(order, step{id, lost, m})
		}
		for _, id := range d.gained {
			order = append(order, step{id, gained, m})
		}
		if updated != 0 && was.has(updated) && is.has(updated) {
			order = append(order, step{updated, kept, m})
		}
	}
	l.tell(g, old, own, order)
}

// A diff is what two views differ in.
type diff struct{ lost, gained []proto.ID }

func diffOf(was, is *view) (d diff) {
	if was == is {
		return d
	}
	for id := range was.ids {
		if !is.has(id) {
			d.lost = append(d.lost, id)
		}
	}
	for id := range is.ids {
		if !was.has(id) {
			d.gained = append(d.gained, id)
		}
	}
	return d
}

// changedChannel finds the one channel that differs; 0 if none is there before and after.
func changedChannel(old, now map[proto.ID]*proto.Channel) proto.ID {
	for id, ch := range now {
		if o, ok := old[id]; ok && o != ch {
			return id
		}
	}
	return 0
}

// A step is one thing to tell one place.
type step struct {
	channel proto.ID
	what    int
	place   *membership
}

const (
	lost = iota
	gained
	kept
)

// tell says the steps channel by channel, so that each event is given to all its sessions before the next is numbered: losses first, children
// before their categories; then gains, categories before their children; then updates.
func (l *loop) tell(g *guild, old map[proto.ID]*proto.Channel, own *event, order []step) {
	rank := func(s step) int {
		ch := g.channels[s.channel]
		if s.what == lost {
			ch = old[s.channel]
		}
		category := ch != nil && ch.Type == proto.ChannelCategory
		return s.what*2 + b2i(category == (s.what == lost))
	}
	slices.SortStableFunc(order, func(a, b step) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.channel, b.channel)) })
	var ev *event
	for i, s := range order {
		if i == 0 || order[i-1].channel != s.channel || order[i-1].what != s.what {
			ev = l.stepEvent(g, old, own, s)
		}
		if s.place.session.intents&proto.IntentGuilds != 0 {
			l.give(s.place.session, ev)
		}
	}
}

// stepEvent makes the event of a step.
func (l *loop) stepEvent(g *guild, old map[proto.ID]*proto.Channel, own *event, s step) *event {
	switch s.what {
	case lost:
		return ownEvent(proto.EventChannelDelete, old[s.channel])
	case gained:
		return ownEvent(proto.EventChannelCreate, g.channels[s.channel])
	}
	return &event{kind: proto.EventChannelUpdate, body: own.body, author: own.author}
}
