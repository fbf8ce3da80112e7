package bucket

import (
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// overlay holds the messages that changed by events which the history has not applied: pending, or in the log alone. It belongs to the
// bucket's goroutine.
type overlay struct {
	messages map[proto.ID]change
	order    []ordered // by sequence; what is pending is not in it

	posts     map[postKey]post
	pending   map[*pb.Event]pending // what an event that is not in the log yet brings beside the message that it names
	postOrder []orderedPost
}

// A postKey names what the history keeps beside messages: tallies of a message (id), a user in a round (id, user), pins of a channel (id).
type postKey struct{ id, user proto.ID }

// A post is the last value of what its key names.
type post struct {
	value    any
	sequence uint64 // 0 = pending
}

type orderedPost struct {
	key      postKey
	sequence uint64
}

type pending struct {
	messages []proto.ID // deleted with others
	posts    []postKey
}

// A change is the last MESSAGE_CREATE or MESSAGE_UPDATE of a message, nil for a deleted one.
type change struct {
	event    *pb.Event
	sequence uint64 // 0 = pending
}

type ordered struct {
	id       proto.ID
	sequence uint64
}

func newOverlay() *overlay {
	return &overlay{messages: map[proto.ID]change{}, posts: map[postKey]post{}, pending: map[*pb.Event]pending{}}
}

// pend notes a change that goes into the next entry.
func (o *overlay) pend(id proto.ID, ev *pb.Event) { o.messages[id] = change{event: ev} }

// pendDeleted notes messages that one event deletes together.
func (o *overlay) pendDeleted(ids []proto.ID, ev *pb.Event) {
	for _, id := range ids {
		o.pend(id, nil)
	}
	p := o.pending[ev]
	p.messages = append(p.messages, ids...)
	o.pending[ev] = p
}

// pendPost notes what an event leaves of a post.
func (o *overlay) pendPost(key postKey, value any, ev *pb.Event) {
	o.posts[key] = post{value: value}
	p := o.pending[ev]
	p.posts = append(p.posts, key)
	o.pending[ev] = p
}

func (o *overlay) post(key postKey) (any, bool) {
	p, ok := o.posts[key]
	return p.value, ok
}

// appended tells that the log holds events.
func (o *overlay) appended(events []*pb.Event, sequence uint64) {
	for _, ev := range events {
		o.reach(proto.ID(ev.Id), sequence)
		also, ok := o.pending[ev]
		if !ok {
			continue
		}
		delete(o.pending, ev)
		for _, id := range also.messages {
			o.reach(id, sequence)
		}
		for _, key := range also.posts {
			p := o.posts[key]
			p.sequence = sequence
			o.posts[key] = p
			o.postOrder = append(o.postOrder, orderedPost{key, sequence})
		}
	}
}

// reach notes in which entry the last change of a message is.
func (o *overlay) reach(id proto.ID, sequence uint64) {
	c, ok := o.messages[id]
	if !ok || c.sequence >= sequence {
		return
	}
	c.sequence = sequence
	o.messages[id] = c
	o.order = append(o.order, ordered{id, sequence})
}

// applied tells that the history holds everything up to sequence.
func (o *overlay) applied(sequence uint64) {
	n := 0
	for n < len(o.order) && o.order[n].sequence <= sequence {
		id := o.order[n].id
		if c := o.messages[id]; c.sequence != 0 && c.sequence <= sequence {
			delete(o.messages, id)
		}
		n++
	}
	if o.order = o.order[n:]; len(o.order) == 0 {
		o.order = nil
	}
	n = 0
	for n < len(o.postOrder) && o.postOrder[n].sequence <= sequence {
		key := o.postOrder[n].key
		if p, ok := o.posts[key]; ok && p.sequence != 0 && p.sequence <= sequence {
			delete(o.posts, key)
		}
		n++
	}
	if o.postOrder = o.postOrder[n:]; len(o.postOrder) == 0 {
		o.postOrder = nil
	}
}

func (o *overlay) get(id proto.ID) (*pb.Event, bool) {
	c, ok := o.messages[id]
	return c.event, ok
}
