package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// messageFlags may be set by clients: SUPPRESS_EMBEDS and SUPPRESS_NOTIFICATIONS. Others are dropped; 64 (ephemeral) would make one
// client drop the message.
const messageFlags = 1<<2 | 1<<12

func messageCreate(t *turn) error {
	var body core.MessageCreate
	if err := t.body(&body); err != nil {
		return err
	}
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if !ch.forMessages() {
		return proto.ErrNonTextChannel
	}
	if !p.Has(proto.PermSendMessages) {
		return proto.ErrMissingPermission
	}
	if err := checkContent(body.Content); err != nil {
		return err
	}
	nonce, raw, err := parseNonce(body.Nonce)
	if err != nil {
		return err
	}
	enforced := body.EnforceNonce && nonce != ""
	if enforced {
		if m := t.b.recent.nonce(nonceKey{a.user(), ch.ID, nonce}); m != nil {
			repeatsTotal.WithLabelValues("nonce").Inc()
			t.repeat = m
			return nil
		}
	}
	msg := proto.Message{ChannelID: ch.ID, Author: *a.member.User, Content: body.Content, TTS: body.TTS,
		Attachments: []proto.Nothing{}, Embeds: []proto.Nothing{}, Components: []proto.Nothing{}, Flags: body.Flags & messageFlags, Nonce: raw}
	a.locate(&msg)
	if err := t.reply(a, p, body.Reference, &msg); err != nil {
		return err
	}
	mentions, err := t.mention(a, p, &msg, body.AllowedMentions)
	if err != nil {
		return err
	}
	if err := t.slow(a, ch, p); err != nil {
		return err
	}
	if msg.ID, err = t.messageID(); err != nil {
		return err
	}
	msg.Timestamp = proto.Time(msg.ID.Time()) // clients compute it from the id as well
	ev := t.emitMessage(proto.EventMessageCreate, &msg, mentions, func() {
		ch.last, ch.lastKnown = msg.ID, true
		ch.slow.spoke(a.user(), t.now, time.Duration(ch.RateLimitPerUser)*time.Second)
	})
	if enforced {
		ev.Nonce = nonce
	}
	return t.answered(ev, 200)
}

func messageEdit(t *turn) error {
	var body core.MessageEdit
	if err := t.body(&body); err != nil {
		return err
	}
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	msg, err := t.b.message(t.ctx, ch.ID, t.target())
	if err != nil {
		return err
	}
	if msg.System() {
		return proto.ErrSystemMessage
	}
	if msg.Author.ID != a.user() && (body.Content != nil || !p.Has(proto.PermManageMessages)) {
		return proto.ErrNotAuthor // others may change flags, with MANAGE_MESSAGES
	}
	if err := t.refer(a.g.info.ID, msg); err != nil {
		return err
	}
	if body.Content == nil && body.Flags == nil {
		return t.just(200, restMessage(*msg))
	}
	mentions := mentionIDs(msg)
	a.locate(msg)
	if err := t.locateAuthor(a, msg); err != nil {
		return err
	}
	if body.Flags != nil {
		msg.Flags = msg.Flags&^messageFlags | *body.Flags&messageFlags
	}
	if body.Content != nil {
		if err := checkContent(*body.Content); err != nil {
			return err
		}
		msg.Content = *body.Content
		if mentions, err = t.mention(a, p, msg, body.AllowedMentions); err != nil {
			return err
		}
		edited := proto.Time(t.now)
		msg.EditedTimestamp = &edited
	}
	ev := t.emitMessage(proto.EventMessageUpdate, msg, mentions, nil)
	ev.Author = uint64(msg.Author.ID) // whose content it is: authors get it without the intent
	return t.answered(ev, 200)
}

func messageDelete(t *turn) error {
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	msg, err := t.b.message(t.ctx, ch.ID, t.target())
	if err != nil {
		return err
	}
	if msg.Author.ID != a.user() && !p.Has(proto.PermManageMessages) {
		return proto.ErrMissingPermission
	}
	if err := t.dropReactions(a.g.info.ID, ch.ID, msg.ID); err != nil {
		return err
	}
	if err := t.dropPins(a.g.info.ID, ch, msg); err != nil {
		return err
	}
	if msg.Author.ID != a.user() {
		if err := t.audit(a.g, proto.AuditMessageDelete, msg.Author.ID, nil, &proto.AuditOptions{ChannelID: &ch.ID, Count: "1"}); err != nil {
			return err
		}
	}
	gone := proto.MessageDelete{ID: msg.ID, ChannelID: ch.ID, GuildID: a.g.info.ID}
	ev := t.emit(&pb.Event{Type: proto.EventMessageDelete, Guild: uint64(a.g.info.ID), Channel: uint64(ch.ID), Id: uint64(msg.ID),
		Required: uint64(proto.PermViewChannel)}, gone, func() { t.b.overlay.pend(msg.ID, nil) })
	return t.answered(ev, 204)
}

// withoutContent is a message's body for sessions without the intent.
func withoutContent(msg *proto.Message, body []byte) []byte {
	if b, ok := proto.WithoutContent(body); ok {
		return b
	}
	bare := *msg
	bare.Content = ""
	if original := msg.Referenced.Message; original != nil {
		inner := *original
		inner.Content = ""
		bare.Referenced.Message = &inner
	}
	return encode(bare)
}

// locate says where a message is: in which guild, and as which member its author wrote it if that is the actor. Direct channels have neither.
func (a *access) locate(msg *proto.Message) {
	if a.g.info.ID == 0 {
		return
	}
	msg.GuildID = &a.g.info.ID
	if msg.Author.ID == a.user() {
		partial := a.member.Partial()
		msg.Member = &partial
	}
}

// forMessages tells a channel that messages can be in.
func (ch *channel) forMessages() bool {
	return ch.Type == proto.ChannelText || ch.Type == proto.ChannelDM
}

// emitMessage emits a whole message, with and without its content.
func (t *turn) emitMessage(kind string, msg *proto.Message, mentions []uint64, effect func()) *pb.Event {
	var guild uint64
	if msg.GuildID != nil {
		guild = uint64(*msg.GuildID)
	}
	ev := &pb.Event{Type: kind, Guild: guild, Channel: uint64(msg.ChannelID), Id: uint64(msg.ID),
		Mentions: mentions, Required: uint64(proto.PermViewChannel)}
	t.shown = encode(restMessage(*msg))
	ev.Body = t.shown
	if msg.GuildID != nil {
		var member []byte
		if msg.Member != nil {
			member = encode(*msg.Member)
		}
		ev.Body = proto.EventBody(t.shown, *msg.GuildID, member)
	}
	if msg.Content != "" && t.direct == nil {
		ev.BodyNoContent = withoutContent(msg, ev.Body)
	}
	return t.emit(ev, nil, func() {
		t.b.overlay.pend(msg.ID, ev)
		if effect != nil {
			effect()
		}
	})
}

// message gives a message as the last command left it: pending, in the log, or in the history.
func (b *bucket) message(ctx context.Context, channel, id proto.ID) (*proto.Message, error) {
	if id == 0 {
		return nil, proto.ErrUnknownMessage
	}
	msg := &proto.Message{}
	if ev, ok := b.overlay.get(id); ok {
		if ev == nil || proto.ID(ev.Channel) != channel {
			return nil, proto.ErrUnknownMessage
		}
		if err := json.Unmarshal(ev.Body, msg); err != nil {
			return nil, fmt.Errorf("message %d: %w", id, err)
		}
		return msg, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := b.state.history.Message(ctx, channel, id)
	if errors.Is(err, core.ErrNotFound) {
		if b.hist.backlog() > 0 {
			return nil, proto.ErrUnavailable // it may be in what a replay has not written yet
		}
		return nil, proto.ErrUnknownMessage
	}
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// checkContent applies the rules of a message's text. Length counts code points; Discord's clients count UTF-16 units, which are never
// fewer, so nothing that they allow is refused.
func checkContent(s string) error {
	if strings.TrimSpace(s) == "" {
		return proto.ErrEmptyMessage
	}
	if utf8.RuneCountInString(s) > proto.MaxContent {
		return proto.InvalidForm("content", "BASE_TYPE_MAX_LENGTH", fmt.Sprintf("Must be %d or fewer in length.", proto.MaxContent))
	}
	return nil
}

// parseNonce reads a string of at most 25 characters or an integer; it gives the text and the JSON as it was sent.
func parseNonce(raw json.RawMessage) (string, json.RawMessage, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil, nil
	}
	bad := proto.InvalidForm("nonce", "NONCE_TYPE_INVALID", "Must be a string of 25 or fewer characters, or an integer.")
	var s string
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &s); err != nil || utf8.RuneCountInString(s) > proto.MaxNonce {
			return "", nil, bad
		}
		return s, raw, nil
	}
	if _, err := strconv.ParseInt(string(raw), 10, 64); err != nil {
		if _, err := strconv.ParseUint(string(raw), 10, 64); err != nil {
			return "", nil, bad
		}
	}
	return string(raw), raw, nil
}

// restMessage is the form that REST answers with.
func restMessage(m proto.Message) proto.Message { return m.REST() }

func mentionIDs(m *proto.Message) []uint64 {
	var ids []uint64
	for _, u := range m.Mentions {
		ids = append(ids, uint64(u.ID))
	}
	return ids
}
