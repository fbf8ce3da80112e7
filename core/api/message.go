package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Message flags that a sender may set; the rest is dropped (bit 64, ephemeral, hides the message from one client).
const (
	flagSuppressEmbeds        = 1 << 2
	flagSuppressNotifications = 1 << 12
)

func (s *Server) sendMessage(c *call) (reply, error) {
	var in core.MessageCreate
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if err := checkContent(in.Content); err != nil {
		return reply{}, err
	}
	if strings.TrimSpace(in.Content) == "" {
		return reply{}, proto.ErrEmptyMessage
	}
	var err error
	if in.Nonce, err = checkNonce(in.Nonce); err != nil {
		return reply{}, err
	}
	in.Flags &= flagSuppressEmbeds | flagSuppressNotifications
	cmd, err := s.channelCommand(c, core.KindMessageCreate)
	if err != nil {
		return reply{}, err
	}
	if cmd.Guild == 0 {
		if err := s.mayReach(c, proto.ID(cmd.Channel)); err != nil {
			return reply{}, err
		}
	}
	r, err := s.do(c, cmd, in)
	var slow *proto.Error
	if errors.As(err, &slow) && slow.Code == proto.CodeSlowMode {
		s.slowHeaders(c, slow)
	}
	return r, err
}

func checkContent(content string) error {
	if err := form.Length("content", content, 0, proto.MaxContent); err != nil {
		return proto.InvalidForm("content", "BASE_TYPE_MAX_LENGTH", fmt.Sprintf("Must be %d or fewer in length.", proto.MaxContent))
	}
	return nil
}

// checkNonce lets a string of up to 25 characters or an integer through as it was sent; null is none.
func checkNonce(raw json.RawMessage) (json.RawMessage, error) {
	bad := proto.InvalidForm("nonce", "NONCE_TYPE_TOO_LONG", fmt.Sprintf("Must be a string of %d or fewer characters, or an integer.", proto.MaxNonce))
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil
	case raw[0] == '"':
		var s string
		if json.Unmarshal(raw, &s) != nil || form.Length("nonce", s, 0, proto.MaxNonce) != nil {
			return nil, bad
		}
		return raw, nil
	}
	if len(raw) > proto.MaxNonce || strings.Trim(string(raw), "-0123456789") != "" {
		return nil, bad
	}
	return raw, nil
}

// pageMessages gives a page, newest first. It is short only where there is no more: clients stop at the first short page.
func (s *Server) pageMessages(c *call) (reply, error) {
	page, err := pageOf(c, 50, 100)
	if err != nil {
		return reply{}, err
	}
	id, err := c.pathID("channel")
	if err != nil {
		return reply{}, err
	}
	_, ch, perms, err := s.channelSeat(c.ctx(), id, c.who.User)
	if err != nil {
		return reply{}, err
	}
	if ch.Type == proto.ChannelCategory {
		return reply{}, proto.ErrNonTextChannel
	}
	if !perms.Has(proto.PermReadMessageHistory) {
		return reply{http.StatusOK, []proto.Message{}}, nil
	}
	var messages []proto.Message
	switch {
	case page.around != 0:
		messages, err = s.around(c, id, page)
	case page.after != 0:
		messages, err = s.cfg.History.After(c.ctx(), id, page.after, page.limit)
		slices.Reverse(messages)
	default:
		messages, err = s.cfg.History.Before(c.ctx(), id, page.before, page.limit)
	}
	if err != nil {
		return reply{}, fmt.Errorf("channel %d: messages: %w", id, err)
	}
	out, err := s.present(c.ctx(), id, c.who.User, messages)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, out}, nil
}

// around puts the message in the middle where there are enough on both sides.
func (s *Server) around(c *call, channel proto.ID, p page) ([]proto.Message, error) {
	newer, err := s.cfg.History.After(c.ctx(), channel, p.around, p.limit)
	if err != nil {
		return nil, err
	}
	older, err := s.cfg.History.Before(c.ctx(), channel, p.around+1, p.limit) // the message itself included
	if err != nil {
		return nil, err
	}
	take := max(p.limit/2, p.limit-len(older))
	newer = newer[:min(take, len(newer))]
	older = older[:min(p.limit-len(newer), len(older))]
	slices.Reverse(newer)
	return append(newer, older...), nil
}

func (s *Server) getMessage(c *call) (reply, error) {
	m, err := s.readMessage(c)
	if err != nil {
		return reply{}, err
	}
	out, err := s.present(c.ctx(), m.ChannelID, c.who.User, []proto.Message{m})
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, out[0]}, nil
}

// readMessage finds the message of the path, if the caller may read it.
func (s *Server) readMessage(c *call) (proto.Message, error) {
	var none proto.Message
	channel, err := c.pathID("channel")
	if err != nil {
		return none, err
	}
	id, err := c.pathID("message")
	if err != nil {
		return none, err
	}
	_, _, perms, err := s.channelSeat(c.ctx(), channel, c.who.User)
	if err != nil {
		return none, err
	}
	if !perms.Has(proto.PermReadMessageHistory) {
		return none, proto.ErrMissingAccess
	}
	m, err := s.cfg.History.Message(c.ctx(), channel, id)
	if errors.Is(err, core.ErrNotFound) {
		return none, proto.ErrUnknownMessage
	}
	if err != nil {
		return none, fmt.Errorf("channel %d: message %d: %w", channel, id, err)
	}
	return m, nil
}

func (s *Server) editMessage(c *call) (reply, error) {
	var in core.MessageEdit
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.Content != nil {
		if err := checkContent(*in.Content); err != nil {
			return reply{}, err
		}
		if strings.TrimSpace(*in.Content) == "" {
			return reply{}, proto.ErrEmptyMessage
		}
	}
	if in.Flags != nil {
		*in.Flags &= flagSuppressEmbeds
	}
	cmd, err := s.messageCommand(c, core.KindMessageEdit)
	if err != nil {
		return reply{}, err
	}
	r, err := s.do(c, cmd, in)
	if err != nil {
		return reply{}, err
	}
	return s.withReactions(c, r)
}

// bulkDelete deletes up to 100 messages at once.
func (s *Server) bulkDelete(c *call) (reply, error) {
	var in core.BulkDelete
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	cmd, err := s.channelCommand(c, core.KindMessageBulkDelete)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, in)
}

func (s *Server) deleteMessage(c *call) (reply, error) {
	cmd, err := s.messageCommand(c, core.KindMessageDelete)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, nil)
}

// messageCommand is a command about the message of the path.
func (s *Server) messageCommand(c *call, kind string) (*pb.Command, error) {
	id, err := c.pathID("message")
	if err != nil {
		return nil, err
	}
	cmd, err := s.channelCommand(c, kind)
	if err != nil {
		return nil, err
	}
	cmd.Target = uint64(id)
	return cmd, nil
}

func (s *Server) typing(c *call) (reply, error) {
	if err := form.Decode(c.Request, &struct{}{}); err != nil {
		return reply{}, err
	}
	cmd, err := s.channelCommand(c, core.KindTyping)
	if err != nil {
		return reply{}, err
	}
	if cmd.Guild == 0 {
		if err := s.mayReach(c, proto.ID(cmd.Channel)); err != nil {
			return reply{}, err
		}
	}
	return s.do(c, cmd, nil)
}
