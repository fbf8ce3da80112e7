package bucket

import (
	"context"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func pin(t *turn) error   { return t.pinned(true) }
func unpin(t *turn) error { return t.pinned(false) }

// pinned pins a message or takes its pin away.
func (t *turn) pinned(want bool) error {
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if a.g.info.ID != 0 && !p.Has(proto.PermManageMessages) && !p.Has(proto.PermPinMessages) {
		return proto.ErrMissingPermission
	}
	msg, err := t.b.message(t.ctx, ch.ID, t.target())
	if err != nil {
		return err
	}
	if msg.System() {
		return proto.ErrSystemMessage
	}
	pins, err := t.b.pins(t.ctx, ch.ID)
	if err != nil {
		return err
	}
	at := pinAt(pins, msg.ID)
	if (at >= 0) == want {
		return t.just(204, nil)
	}
	action := proto.AuditMessagePin
	if want {
		if len(pins) >= proto.MaxPins {
			return proto.ErrMaxPins
		}
		pins = append([]core.Pin{{MessageID: msg.ID, PinnedAt: proto.Time(t.now)}}, pins...)
	} else {
		action = proto.AuditMessageUnpin
		pins = slices.Delete(slices.Clone(pins), at, at+1)
	}
	msg.Pinned = want
	a.locate(msg)
	if err := t.locateAuthor(a, msg); err != nil {
		return err
	}
	if err := t.refer(a.g.info.ID, msg); err != nil {
		return err
	}
	if a.g.info.ID != 0 {
		if err := t.audit(a.g, action, msg.Author.ID, nil, &proto.AuditOptions{ChannelID: &ch.ID, MessageID: &msg.ID}); err != nil {
			return err
		}
	}
	told := proto.ID(0)
	if want {
		if told, err = t.messageID(); err != nil {
			return err
		}
	}
	ev := t.emitMessage(proto.EventMessageUpdate, msg, mentionIDs(msg), nil)
	ev.Author = uint64(msg.Author.ID)
	t.emitPins(a.g.info.ID, ch, pins)
	update := proto.ChannelPinsUpdate{GuildID: a.g.info.ID, ChannelID: ch.ID, LastPinTimestamp: newestPin(pins)}
	t.emit(&pb.Event{Type: proto.EventChannelPinsUpdate, Guild: uint64(a.g.info.ID), Channel: uint64(ch.ID), Id: uint64(ch.ID),
		Required: uint64(proto.PermViewChannel)}, update, nil)
	if want {
		t.tellPinned(a, ch, told, msg.ID)
	}
	t.shown = nil
	return t.answered(ev, 204)
}

// tellPinned emits the message by which a channel's readers see that the actor pinned one.
func (t *turn) tellPinned(a *access, ch *channel, id, pinned proto.ID) {
	note := proto.Message{ID: id, ChannelID: ch.ID, Author: *a.member.User, Type: proto.MessagePinned, Timestamp: proto.Time(id.Time()),
		Mentions: []proto.User{}, MentionRoles: []proto.ID{}, Attachments: []proto.Nothing{}, Embeds: []proto.Nothing{}, Components: []proto.Nothing{},
		Reference: &proto.MessageReference{ChannelID: ch.ID, GuildID: a.g.info.ID, MessageID: pinned}}
	a.locate(&note)
	t.emitMessage(proto.EventMessageCreate, &note, nil, func() { ch.last, ch.lastKnown = id, true })
}

// locateAuthor is locate where the actor is not the author: clients want the author's member. Who has left has none.
func (t *turn) locateAuthor(a *access, msg *proto.Message) error {
	if a.g.info.ID == 0 || msg.Author.ID == a.user() {
		return nil
	}
	m, err := t.b.state.member(t.ctx, a.g, msg.Author.ID)
	if err != nil {
		return err
	}
	if msg.Member = nil; m != nil {
		partial := m.Partial()
		msg.Member = &partial
	}
	return nil
}

// dropPins emits what the deletion of messages does to the channel's pins. Clients are told by the deletion alone.
func (t *turn) dropPins(guild proto.ID, ch *channel, messages ...*proto.Message) error {
	if !slices.ContainsFunc(messages, func(m *proto.Message) bool { return m.Pinned }) {
		return nil
	}
	pins, err := t.b.pins(t.ctx, ch.ID)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(pins), func(p core.Pin) bool {
		return slices.ContainsFunc(messages, func(m *proto.Message) bool { return m.ID == p.MessageID })
	})
	if len(left) < len(pins) {
		t.emitPins(guild, ch, left)
	}
	return nil
}

func (t *turn) emitPins(guild proto.ID, ch *channel, pins []core.Pin) {
	var ev *pb.Event
	ev = t.emit(&pb.Event{Type: proto.EventInternalPins, Guild: uint64(guild), Channel: uint64(ch.ID), Id: uint64(ch.ID)},
		core.PinChange{ChannelID: ch.ID, Pins: pins}, func() {
			t.b.overlay.pendPost(postKey{id: ch.ID}, pins, ev)
			ch.pinned, ch.pinKnown = newestPin(pins), true
		})
}

// newestPin is when the newest of pins was pinned; nil without any.
func newestPin(pins []core.Pin) *proto.Time {
	if len(pins) == 0 {
		return nil
	}
	return new(pins[0].PinnedAt)
}

func pinAt(pins []core.Pin, message proto.ID) int {
	return slices.IndexFunc(pins, func(p core.Pin) bool { return p.MessageID == message })
}

// pins of a channel, newest first, as the last command left them. They are not to be changed.
func (b *bucket) pins(ctx context.Context, channel proto.ID) ([]core.Pin, error) {
	if v, ok := b.overlay.post(postKey{id: channel}); ok {
		return v.([]core.Pin), nil
	}
	if err := b.caughtUp(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return b.state.history.Pins(ctx, channel)
}
