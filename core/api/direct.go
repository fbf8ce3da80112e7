package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

// openDirect opens the channel of the caller and one other. Bots and people may open one with anybody: what they may say there is
// another question.
func (s *Server) openDirect(c *call) (reply, error) {
	var in struct {
		RecipientID proto.ID   `json:"recipient_id"`
		Recipients  []proto.ID `json:"recipients"` // as some clients send the one
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.RecipientID == 0 && len(in.Recipients) == 1 {
		in.RecipientID = in.Recipients[0]
	}
	switch {
	case in.RecipientID == 0 && len(in.Recipients) == 0:
		return reply{}, form.Required("recipient_id")
	case in.RecipientID == 0, in.RecipientID == c.who.User:
		return reply{}, proto.ErrInvalidRecipient
	}
	cmd := c.command(core.KindDirectOpen, core.PairBucket(c.who.User, in.RecipientID))
	cmd.Target = uint64(in.RecipientID)
	return s.do(c, cmd, nil)
}

// listDirects lists the channels that the caller has open.
func (s *Server) listDirects(c *call) (reply, error) {
	all, err := s.cfg.Directory.DirectsOf(c.ctx(), c.who.User)
	if err != nil {
		return reply{}, fmt.Errorf("direct channels of %d: %w", c.who.User, err)
	}
	out := make([]proto.DirectChannel, 0, len(all))
	for _, d := range all {
		ch, err := s.directFor(c, d)
		if err != nil {
			return reply{}, err
		}
		out = append(out, ch)
	}
	return reply{http.StatusOK, out}, nil
}

// directFor is a channel as the caller sees it; ErrMissingAccess for strangers.
func (s *Server) directFor(c *call, d core.Direct) (proto.DirectChannel, error) {
	ch, _, ok := d.For(c.who.User)
	if !ok {
		return ch, proto.ErrMissingAccess
	}
	var err error
	ch.LastMessageID, ch.LastPinTimestamp, err = s.lasts(c.ctx(), d.ID)
	return ch, err
}

// direct gives a channel of two users; ErrUnknownChannel.
func (s *Server) direct(c *call, channel proto.ID) (core.Direct, error) {
	d, err := s.cfg.Directory.Direct(c.ctx(), channel)
	if errors.Is(err, core.ErrNotFound) {
		return d, proto.ErrUnknownChannel
	}
	if err != nil {
		return d, fmt.Errorf("channel %d: %w", channel, err)
	}
	return d, nil
}

// mayReach is nil if what the caller says in a direct channel may reach the other: neither has blocked the other, and they share a guild.
// The one who is blocked is told what strangers are told. It is asked here and not by the channel's owner, as the answer lies with other
// buckets; a block counts for every call that begins after it was answered.
func (s *Server) mayReach(c *call, channel proto.ID) error {
	d, err := s.direct(c, channel)
	if err != nil {
		return err
	}
	ch, _, ok := d.For(c.who.User)
	if !ok {
		return proto.ErrMissingAccess
	}
	other := ch.Recipients[0].ID
	blocked, err := s.cfg.Directory.Blocked(c.ctx(), c.who.User, other)
	if err != nil {
		return fmt.Errorf("user %d: blocked: %w", other, err)
	}
	together, err := s.cfg.Directory.ShareGuild(c.ctx(), c.who.User, other)
	if err != nil {
		return fmt.Errorf("user %d: guilds: %w", other, err)
	}
	if blocked || !together {
		return proto.ErrNotReachable
	}
	return nil
}

func (s *Server) listRelationships(c *call) (reply, error) {
	all, err := s.cfg.Directory.Relationships(c.ctx(), c.who.User)
	if err != nil {
		return reply{}, fmt.Errorf("relationships of %d: %w", c.who.User, err)
	}
	return reply{http.StatusOK, all}, nil
}

func (s *Server) putRelationship(c *call) (reply, error) {
	var in core.RelationPut
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.Type != proto.RelationshipBlocked {
		return reply{}, proto.InvalidForm("type", "BASE_TYPE_CHOICES", "Value must be one of {2}.")
	}
	return s.relation(c, core.KindRelationPut, in)
}

func (s *Server) dropRelationship(c *call) (reply, error) {
	return s.relation(c, core.KindRelationDrop, nil)
}

func (s *Server) relation(c *call, kind string, body any) (reply, error) {
	other, err := c.pathID("user")
	if err != nil {
		return reply{}, err
	}
	if c.who.bot() {
		return reply{}, errNoBots
	}
	cmd := c.command(kind, c.who.User.Bucket())
	cmd.Target = uint64(other)
	return s.do(c, cmd, body)
}
