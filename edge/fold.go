package edge

import (
	"encoding/json"
	"slices"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// READY shows everything as of where the loop is. What the log told while a core was being asked goes into it: told behind READY it would have
// numbers that no journal explains, and whoever resumes from READY would get it once more.

// foldSelf is the user as the last of kept events has it.
func foldSelf(self proto.SelfUser, kept []buffered) proto.SelfUser {
	for _, b := range kept {
		if b.event.Type != proto.EventUserUpdate {
			continue
		}
		var now proto.SelfUser
		if json.Unmarshal(b.event.Body, &now) == nil && now.ID == self.ID {
			self = now
		}
	}
	return self
}

// A listing is a direct channel that READY lists.
type listing struct {
	seat *seat
	body json.RawMessage // proto.DirectChannel
}

// foldDirects brings listings up to kept events. Seats that the user closed are left, and given back: they end behind READY.
func (l *loop) foldDirects(listed []listing, kept []buffered) (still []listing, ended []*endedSeat) {
	for _, b := range kept {
		i := slices.IndexFunc(listed, func(x listing) bool { return x.seat.channel == proto.ID(b.event.Channel) })
		if i < 0 || b.sequence <= listed[i].seat.sequence {
			continue
		}
		p := listed[i].seat
		if b.event.Type != proto.EventInternalDirectHidden {
			listed[i].body = foldChannel(listed[i].body, b.event)
		} else if proto.ID(b.event.User) == p.session.user {
			l.leaveDirect(p)
			ended = append(ended, &endedSeat{p, closing{at: proto.ID(b.event.Id)}})
			listed = slices.Delete(listed, i, i+1)
		}
	}
	return listed, ended
}

// An endedSeat is one that the user closed before READY.
type endedSeat struct {
	seat *seat
	end  closing
}

// foldChannel is a channel's listing after an event: READY tells what was said and pinned last.
func foldChannel(body json.RawMessage, e *pb.Event) json.RawMessage {
	if e.Type != proto.EventMessageCreate && e.Type != proto.EventChannelPinsUpdate {
		return body
	}
	var ch proto.DirectChannel
	if json.Unmarshal(body, &ch) != nil {
		return body
	}
	if e.Type == proto.EventMessageCreate {
		id := proto.ID(e.Id)
		ch.LastMessageID = &id
	} else {
		var u proto.ChannelPinsUpdate
		if json.Unmarshal(e.Body, &u) != nil {
			return body
		}
		ch.LastPinTimestamp = u.LastPinTimestamp
	}
	now, err := json.Marshal(ch)
	if err != nil {
		return body
	}
	return now
}

// shows is how far in the log READY is: the user's bucket, and those of the direct channels that it lists.
func (l *loop) shows(s *session) (at []*pb.JournalEvent) {
	at = append(at, l.here(s.bucket))
	for id := range s.directs {
		if id.Bucket() != s.bucket {
			at = append(at, l.here(id.Bucket()))
		}
	}
	return at
}
