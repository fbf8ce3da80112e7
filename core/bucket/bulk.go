package bucket

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// bulkAge is how old a message may be to be deleted with others.
const bulkAge = 14 * 24 * time.Hour

var (
	errBulkCount = &proto.Error{Status: 400, Code: 50016,
		Message: "Provided too few or too many messages to delete. Must provide at least 2 and at most 100 messages to delete."}
	errBulkAge = &proto.Error{Status: 400, Code: 50034, Message: "You can only bulk delete messages that are under 14 days old."}
)

// messageBulkDelete deletes the messages that exist; ids that name none count, but do not matter.
func messageBulkDelete(t *turn) error {
	var body core.BulkDelete
	if err := t.body(&body); err != nil {
		return err
	}
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if a.g.info.ID == 0 {
		return proto.ErrDirectChannel
	}
	if !p.Has(proto.PermManageMessages) {
		return proto.ErrMissingPermission
	}
	ids := slices.Clone(body.Messages)
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(body.Messages) > 100 || len(ids) < 2 {
		return errBulkCount
	}
	if t.now.Sub(ids[0].Time()) > bulkAge {
		return errBulkAge
	}
	gone := proto.MessageDeleteBulk{IDs: []proto.ID{}, ChannelID: ch.ID, GuildID: a.g.info.ID}
	var messages []*proto.Message
	for _, id := range ids {
		msg, err := t.b.message(t.ctx, ch.ID, id)
		if errors.Is(err, proto.ErrUnknownMessage) {
			continue
		}
		if err != nil {
			return err
		}
		messages, gone.IDs = append(messages, msg), append(gone.IDs, id)
	}
	if len(messages) == 0 {
		return t.just(204, nil)
	}
	if err := t.dropReactions(a.g.info.ID, ch.ID, gone.IDs...); err != nil {
		return err
	}
	if err := t.dropPins(a.g.info.ID, ch, messages...); err != nil {
		return err
	}
	if err := t.audit(a.g, proto.AuditMessageBulkDelete, ch.ID, nil, &proto.AuditOptions{Count: strconv.Itoa(len(messages))}); err != nil {
		return err
	}
	var ev *pb.Event
	ev = t.emit(&pb.Event{Type: proto.EventMessageDeleteBulk, Guild: uint64(a.g.info.ID), Channel: uint64(ch.ID), Id: uint64(gone.IDs[0]),
		Required: uint64(proto.PermViewChannel)}, gone, func() { t.b.overlay.pendDeleted(gone.IDs, ev) })
	return t.answered(ev, 204)
}
