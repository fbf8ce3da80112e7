package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

// pinPage is how many pins one answer holds at most, of the old route and of the new one.
const pinPage = 50

func (s *Server) pinMessage(c *call) (reply, error)   { return s.pinCommand(c, core.KindPin) }
func (s *Server) unpinMessage(c *call) (reply, error) { return s.pinCommand(c, core.KindUnpin) }

func (s *Server) pinCommand(c *call, kind string) (reply, error) {
	cmd, err := s.messageCommand(c, kind)
	if err != nil {
		return reply{}, err
	}
	if cmd.Guild == 0 && kind == core.KindPin { // of which a message tells
		if err := s.mayReach(c, proto.ID(cmd.Channel)); err != nil {
			return reply{}, err
		}
	}
	return s.do(c, cmd, nil)
}

// listPinned is the old route: the newest pins, without the times.
func (s *Server) listPinned(c *call) (reply, error) {
	page, err := s.pinned(c, pinPage, time.Time{})
	if err != nil {
		return reply{}, err
	}
	messages := make([]proto.Message, 0, len(page.Items))
	for _, item := range page.Items {
		messages = append(messages, item.Message)
	}
	return reply{http.StatusOK, messages}, nil
}

// pagePinned is the new route: pins before a time, newest first.
func (s *Server) pagePinned(c *call) (reply, error) {
	limit, before := pinPage, time.Time{}
	if v := c.URL.Query().Get("limit"); v != "" {
		var err error
		if limit, err = strconv.Atoi(v); err != nil {
			return reply{}, proto.InvalidForm("limit", "NUMBER_TYPE_COERCE", "Value is not int.")
		}
		if err := form.Range("limit", limit, 1, pinPage); err != nil {
			return reply{}, err
		}
	}
	if v := c.URL.Query().Get("before"); v != "" {
		var err error // an unescaped plus sign reads as a space
		if before, err = time.Parse(time.RFC3339Nano, strings.ReplaceAll(v, " ", "+")); err != nil {
			return reply{}, proto.InvalidForm("before", "DATE_TIME_TYPE_PARSE", "Could not parse the value. Should be ISO8601.")
		}
	}
	page, err := s.pinned(c, limit, before)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, page}, nil
}

// pinned gives the newest pins before a time; a zero time is none. Who may not read the history sees none.
func (s *Server) pinned(c *call, limit int, before time.Time) (proto.PinnedMessages, error) {
	out := proto.PinnedMessages{Items: []proto.PinnedMessage{}}
	channel, err := c.pathID("channel")
	if err != nil {
		return out, err
	}
	_, ch, perms, err := s.channelSeat(c.ctx(), channel, c.who.User)
	if err != nil {
		return out, err
	}
	if ch.Type == proto.ChannelCategory {
		return out, proto.ErrNonTextChannel
	}
	if !perms.Has(proto.PermReadMessageHistory) {
		return out, nil
	}
	pins, err := s.cfg.History.Pins(c.ctx(), channel)
	if err != nil {
		return out, err
	}
	var messages []proto.Message
	for _, p := range pins {
		if !before.IsZero() && !time.Time(p.PinnedAt).Before(before) {
			continue
		}
		if len(out.Items) == limit {
			out.HasMore = true
			break
		}
		m, err := s.cfg.History.Message(c.ctx(), channel, p.MessageID)
		if errors.Is(err, core.ErrNotFound) {
			continue // deleted at this moment
		}
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, proto.PinnedMessage{PinnedAt: p.PinnedAt})
		messages = append(messages, m)
	}
	shown, err := s.present(c.ctx(), channel, c.who.User, messages)
	for i := range shown {
		out.Items[i].Message = shown[i]
	}
	return out, err
}
