package edgetest

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	pbuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A Direct is a direct channel as the scripted core holds it.
type Direct struct {
	ID       proto.ID
	users    [2]*User
	open     [2]bool
	told     [2]proto.ID // openings that the users' home buckets know; 0: none, or a closing since
	messages []proto.Message
	last     proto.ID
}

// AddDirect makes a channel that nobody has open.
func (c *Core) AddDirect(bucket int, a, b *User) *Direct {
	d := &Direct{ID: c.NewID(bucket), users: [2]*User{a, b}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.direct[d.ID] = d
	return d
}

func (d *Direct) at(u *User) int { return slices.Index(d.users[:], u) }

func (d *Direct) seenBy(i int) proto.DirectChannel {
	return proto.DirectChannel{ID: d.ID, Type: proto.ChannelDM, Recipients: []proto.User{d.users[1-i].User}}
}

func (d *Direct) event(kind string, id proto.ID, v any) *pb.Event {
	return &pb.Event{Type: kind, Channel: uint64(d.ID), Id: uint64(id), Recipients: []uint64{uint64(d.users[0].ID), uint64(d.users[1].ID)}, Body: body(v)}
}

// A Turn of a direct channel: Open or Close by a user, or words.
type Turn struct {
	Open, Close *User
	Say         string // by the first user
}

// Do publishes turns as one entry. It returns what the users' buckets are owed, for Tell.
func (c *Core) Do(d *Direct, turns ...Turn) (owed []*pb.Event) {
	c.t.Helper()
	var events []*pb.Event
	var changes []func()
	for _, t := range turns {
		id := c.NewID(d.ID.Bucket())
		u, open, kind, told := t.Open, true, proto.EventInternalDirectShown, proto.EventInternalDirectOpened
		if t.Close != nil {
			u, open, kind, told = t.Close, false, proto.EventInternalDirectHidden, proto.EventInternalDirectClosed
		}
		if u != nil {
			e := d.event(kind, id, d.seenBy(d.at(u)))
			e.User = uint64(u.ID)
			events = append(events, e)
			changes = append(changes, func() { d.open[d.at(u)], d.last = open, id })
			owed = append(owed, &pb.Event{Type: told, User: uint64(u.ID), Channel: uint64(d.ID), Body: body(map[string]any{"sequence": 1, "since": id})})
			continue
		}
		m := proto.Message{ID: id, ChannelID: d.ID, Author: d.users[0].User, Content: t.Say, Timestamp: proto.Time(time.Now()),
			Mentions: []proto.User{}, MentionRoles: []proto.ID{}, Attachments: []proto.Nothing{}, Embeds: []proto.Nothing{}, Components: []proto.Nothing{}}
		events = append(events, d.event(proto.EventMessageCreate, id, m))
		changes = append(changes, func() { d.messages, d.last = append(d.messages, m), id })
	}
	c.Publish(d.ID.Bucket(), func() {
		for _, f := range changes {
			f()
		}
	}, events...)
	return owed
}

// Tell publishes in users' buckets what they are owed, one entry each.
func (c *Core) Tell(owed ...*pb.Event) {
	c.t.Helper()
	for _, e := range owed {
		d := c.direct[proto.ID(e.Channel)]
		i := slices.IndexFunc(d.users[:], func(u *User) bool { return uint64(u.ID) == e.User })
		c.Publish(proto.ID(e.User).Bucket(), func() {
			d.told[i] = 0
			if e.Type == proto.EventInternalDirectOpened {
				d.told[i] = openingOf(e)
			}
		}, e)
	}
}

// directsOf lists what a user's home knows to be open; under mu.
func (c *Core) directsOf(u *User) (list []*pb.ListedDirect) {
	for _, d := range c.direct {
		if i := d.at(u); i >= 0 && d.told[i] != 0 {
			list = append(list, &pb.ListedDirect{Channel: uint64(d.ID), Since: uint64(d.told[i])})
		}
	}
	return list
}

// serveDirect answers the rpc "direct".
func (c *Core) serveDirect(_ context.Context, raw []byte) []byte {
	call, ans := new(pb.DirectCall), new(pb.DirectAnswer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls["direct"]++
	if err := pbuf.Unmarshal(raw, call); err != nil || c.down {
		ans.Error = "down"
	}
	for _, w := range call.Wants {
		d := c.direct[proto.ID(w.Channel)]
		if d == nil || c.down {
			continue
		}
		s := &pb.DirectSnapshot{Channel: w.Channel, Sequence: c.sequenceLocked(d.ID.Bucket()), LastId: uint64(d.last)}
		for i, u := range d.users {
			if uint64(u.ID) == call.User && d.open[i] {
				s.Body = body(d.seenBy(i))
			}
		}
		for _, m := range d.messages {
			if b, err := json.Marshal(m); err == nil && w.Since != 0 && uint64(m.ID) > w.Since && len(s.Body) > 0 {
				s.Messages = append(s.Messages, b)
			}
		}
		ans.Directs = append(ans.Directs, s)
	}
	out, _ := pbuf.Marshal(ans)
	return out
}

func openingOf(e *pb.Event) proto.ID {
	var link struct {
		Since proto.ID `json:"since"`
	}
	_ = json.Unmarshal(e.Body, &link)
	return link.Since
}
