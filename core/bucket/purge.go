package bucket

import (
	"errors"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const maxPurge = 100 // messages in one command

// messagesPurge deletes what banned users wrote, in a channel that the actor need not see: it is part of a ban.
func messagesPurge(t *turn) error {
	var body core.MessagesPurge
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermBanMembers); err != nil {
		return err
	}
	ch := a.g.channels[t.channel()]
	if ch == nil {
		return proto.ErrUnknownChannel
	}
	if len(body.Messages) > maxPurge {
		return proto.InvalidForm("messages", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
	}
	out := map[proto.ID]bool{}
	for _, id := range body.Users {
		if out[id], err = t.banned(a.g, id); err != nil {
			return err
		}
	}
	var first *pb.Event
	var gone []*proto.Message
	slices.Sort(body.Messages)
	for _, id := range slices.Compact(body.Messages) {
		msg, err := t.b.message(t.ctx, ch.ID, id)
		if errors.Is(err, proto.ErrUnknownMessage) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if !out[msg.Author.ID] {
			continue
		}
		ev := t.emit(&pb.Event{Type: proto.EventMessageDelete, Guild: uint64(a.g.info.ID), Channel: uint64(ch.ID), Id: uint64(id),
			Required: uint64(proto.PermViewChannel)}, proto.MessageDelete{ID: id, ChannelID: ch.ID, GuildID: a.g.info.ID},
			func() { t.b.overlay.pend(id, nil) })
		if first == nil {
			first = ev
		}
		gone = append(gone, msg)
		if err := t.dropReactions(a.g.info.ID, ch.ID, id); err != nil {
			return err
		}
	}
	if err := t.dropPins(a.g.info.ID, ch, gone...); err != nil {
		return err
	}
	if first == nil {
		return t.just(204, nil)
	}
	return t.answered(first, 204)
}
