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

func newOverlay() *overlay { return &overlay{messages: map[proto.ID]change{}} }

// pend notes a change that goes into the next entry.
func (o *overlay) pend(id proto.ID, ev *pb.Event) { o.messages[id] = change{event: ev} }

// appended tells that the log holds events.
func (o *overlay) appended(events []*pb.Event, sequence uint64) {
	for _, ev := range events {
		id := proto.ID(ev.Id)
		c, ok := o.messages[id]
		if !ok || c.sequence >= sequence {
			continue
		}
		c.sequence = sequence
		o.messages[id] = c
		o.order = append(o.order, ordered{id, sequence})
	}
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
}

func (o *overlay) get(id proto.ID) (*pb.Event, bool) {
	c, ok := o.messages[id]
	return c.event, ok
}
