package bucket

import (
	"errors"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

var errNoHistory = &proto.Error{Status: 403, Code: 160002, Message: "Cannot reply without permission to read message history"}

// reply makes msg a reply to what ref names, if anything.
func (t *turn) reply(a *access, p proto.Permissions, ref *core.MessageReference, msg *proto.Message) error {
	if ref == nil {
		return nil
	}
	switch {
	case ref.Type != 0:
		return proto.InvalidForm("message_reference", "BASE_TYPE_CHOICES", "Only replies (type 0) are supported.")
	case ref.MessageID == nil:
		return proto.InvalidForm("message_reference", "BASE_TYPE_REQUIRED", "message_id is required")
	case ref.ChannelID != nil && *ref.ChannelID != msg.ChannelID, ref.GuildID != nil && *ref.GuildID != a.g.info.ID:
		return proto.InvalidForm("message_reference", "REPLIES_CANNOT_REFERENCE_OTHER_CHANNEL", "Cannot reply to a message in another channel")
	case !p.Has(proto.PermReadMessageHistory):
		return errNoHistory
	}
	original, err := t.b.message(t.ctx, msg.ChannelID, *ref.MessageID)
	if errors.Is(err, proto.ErrUnknownMessage) {
		if ref.FailIfNotExists != nil && !*ref.FailIfNotExists {
			return nil // an ordinary message
		}
		return proto.InvalidForm("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
	}
	if err != nil {
		return err
	}
	if original.System() {
		return proto.InvalidForm("message_reference", "REPLIES_CANNOT_REFERENCE_SYSTEM_MESSAGE", "Cannot reply to a system message")
	}
	msg.Type = proto.MessageReply
	msg.Reference = &proto.MessageReference{ChannelID: msg.ChannelID, GuildID: a.g.info.ID, MessageID: original.ID}
	msg.Referenced = referenced(original)
	return nil
}

// refer looks up again what a reply that exists answers.
func (t *turn) refer(guild proto.ID, msg *proto.Message) error {
	if msg.Reference == nil || msg.Type != proto.MessageReply {
		return nil
	}
	original, err := t.b.message(t.ctx, msg.Reference.ChannelID, msg.Reference.MessageID)
	if errors.Is(err, proto.ErrUnknownMessage) {
		msg.Referenced = proto.Referenced{Known: true}
		return nil
	}
	if err != nil {
		return err
	}
	msg.Referenced = referenced(original)
	return nil
}

// referenced is a message inside of another: as it is stored, so that replies to replies hold no chain.
func referenced(m *proto.Message) proto.Referenced {
	inner := m.Stored()
	return proto.Referenced{Known: true, Message: &inner}
}
