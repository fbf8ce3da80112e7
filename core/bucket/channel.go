package bucket

import (
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxChannels     = 500
	maxTopic        = 1024 // characters
	maxSlow         = 6 * 3600
	maxChannelPlace = 10_000
)

func channelCreate(t *turn) error {
	var body core.ChannelCreate
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermManageChannels); err != nil {
		return err
	}
	if len(a.g.channels) >= maxChannels {
		return proto.ErrMaxChannels
	}
	if body.Type != proto.ChannelText && body.Type != proto.ChannelCategory {
		return proto.InvalidForm("type", "BASE_TYPE_CHOICES", "Value must be one of {0, 4}.")
	}
	ch := proto.Channel{Type: body.Type, GuildID: a.g.info.ID, NSFW: body.NSFW, Overwrites: []proto.Overwrite{}, Position: a.g.nextPlace(body.Type)}
	edit := core.ChannelEdit{Name: &body.Name, Position: body.Position, RateLimitPerUser: &body.RateLimitPerUser}
	if body.Topic != nil {
		edit.Topic = core.Optional[string]{Set: true, Value: body.Topic}
	}
	if body.ParentID != nil && *body.ParentID != 0 {
		edit.ParentID = core.Optional[proto.ID]{Set: true, Value: body.ParentID}
	}
	if err := a.g.applyEdit(&ch, edit); err != nil {
		return err
	}
	switch {
	case body.Overwrites != nil:
		if ch.Overwrites, err = t.checkOverwrites(a, a.base, nil, body.Overwrites); err != nil {
			return err
		}
	case ch.ParentID != nil: // a channel made in a category begins with the category's rights
		ch.Overwrites = slices.Clone(a.g.channels[*ch.ParentID].Overwrites)
	}
	if ch.ID, err = t.newID(); err != nil {
		return err
	}
	ev := t.emitChannel(proto.EventChannelCreate, ch, func() {
		a.g.channels[ch.ID] = &channel{Channel: ch, lastKnown: true, pinKnown: true}
	})
	if err := t.audit(a.g, proto.AuditChannelCreate, ch.ID, changes(nil, ch, auditedChannel...), nil); err != nil {
		return err
	}
	return t.answered(ev, 201)
}

func channelEdit(t *turn) error {
	var body core.ChannelEdit
	if err := t.body(&body); err != nil {
		return err
	}
	a, old, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if !p.Has(proto.PermManageChannels) {
		return proto.ErrMissingPermission
	}
	ch := old.Channel
	if err := a.g.applyEdit(&ch, body); err != nil {
		return err
	}
	if body.Overwrites != nil {
		if !p.Has(proto.PermManageRoles) {
			return proto.ErrMissingPermission
		}
		if ch.Overwrites, err = t.checkOverwrites(a, p, old.Overwrites, *body.Overwrites); err != nil {
			return err
		}
	}
	was := old.Channel
	ev := t.updateChannel(old, ch)
	if err := t.auditChannel(a.g, was, ch); err != nil {
		return err
	}
	return t.answered(ev, 200)
}

func channelDelete(t *turn) error {
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if !p.Has(proto.PermManageChannels) {
		return proto.ErrMissingPermission
	}
	if ch.Type == proto.ChannelCategory { // parent_id may only name what exists: the children move out first
		for _, child := range a.g.sortedChannels() {
			if child.ParentID != nil && *child.ParentID == ch.ID {
				moved := child.Channel
				moved.ParentID = nil
				t.updateChannel(child, moved)
			}
		}
	}
	next, named := a.g.unnamed(ch.ID)
	if named {
		t.updateGuild(a.g, next) // the stores know by themselves, clients by this
	}
	ev := t.emitChannel(proto.EventChannelDelete, ch.Channel, func() {
		delete(a.g.channels, ch.ID)
		a.g.info = next
	})
	if err := t.audit(a.g, proto.AuditChannelDelete, ch.ID, changes(ch.Channel, nil, auditedChannel...), nil); err != nil {
		return err
	}
	return t.answered(ev, 200)
}

// applyEdit changes ch as a client asks, overwrites aside.
func (g *guild) applyEdit(ch *proto.Channel, e core.ChannelEdit) (err error) {
	if e.Name != nil {
		if ch.Name, err = text("name", *e.Name, 1, 100); err != nil {
			return err
		}
	}
	if e.Position != nil {
		if err := number("position", *e.Position, 0, maxChannelPlace); err != nil {
			return err
		}
		ch.Position = *e.Position
	}
	if e.NSFW != nil {
		ch.NSFW = *e.NSFW
	}
	if e.RateLimitPerUser != nil {
		if err := number("rate_limit_per_user", *e.RateLimitPerUser, 0, maxSlow); err != nil {
			return err
		}
		ch.RateLimitPerUser = *e.RateLimitPerUser
	}
	if e.Topic.Set {
		ch.Topic = nil
		if e.Topic.Value != nil && *e.Topic.Value != "" {
			topic, err := text("topic", *e.Topic.Value, 0, maxTopic)
			if err != nil {
				return err
			}
			ch.Topic = &topic
		}
	}
	if e.ParentID.Set {
		ch.ParentID = nil
		if id := e.ParentID.Value; id != nil {
			parent := g.channels[*id]
			if parent == nil || parent.Type != proto.ChannelCategory {
				return proto.InvalidForm("parent_id", "CHANNEL_PARENT_INVALID", "Category does not exist")
			}
			if ch.Type == proto.ChannelCategory {
				return proto.InvalidForm("parent_id", "CHANNEL_PARENT_INVALID_TYPE", "A category cannot have a parent")
			}
			ch.ParentID = new(*id)
		}
	}
	return nil
}

// nextPlace is the position of a new channel: after all of its type.
func (g *guild) nextPlace(kind int) int {
	place := 0
	for _, ch := range g.channels {
		if ch.Type == kind {
			place = max(place, ch.Position+1)
		}
	}
	return min(place, maxChannelPlace)
}

// updateChannel emits a CHANNEL_UPDATE that makes old what ch is.
func (t *turn) updateChannel(old *channel, ch proto.Channel) *pb.Event {
	shown := t.b.withLast(t.ctx, old) // clients take a null for the truth
	next := ch
	next.LastMessageID, next.LastPinTimestamp = shown.LastMessageID, shown.LastPinTimestamp
	return t.emitChannel(proto.EventChannelUpdate, next, func() { old.Channel = ch })
}

// emitChannel emits a channel event. Required is 0: what a member who may not see the channel is told (a CHANNEL_DELETE when the right is
// lost, nothing otherwise) the edge finds from its own tables, which need every change.
func (t *turn) emitChannel(kind string, ch proto.Channel, effect func()) *pb.Event {
	return t.emit(&pb.Event{Type: kind, Guild: uint64(ch.GuildID), Channel: uint64(ch.ID), Id: uint64(ch.ID)}, ch, effect)
}
