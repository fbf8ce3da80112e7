package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

const (
	maxTopic     = 1024
	maxRateLimit = 21600 // seconds
	maxPosition  = 1 << 20
)

// listChannels lists the channels that the caller may see: the same that GUILD_CREATE holds.
func (s *Server) listChannels(c *call) (reply, error) {
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	channels := make([]proto.Channel, 0, len(p.guild.Channels))
	for _, ch := range p.guild.Channels {
		if !p.inChannel(ch).Has(proto.PermViewChannel) {
			continue
		}
		if ch, err = s.withLast(c.ctx(), ch); err != nil {
			return reply{}, err
		}
		channels = append(channels, ch)
	}
	return reply{http.StatusOK, channels}, nil
}

func (s *Server) getChannel(c *call) (reply, error) {
	id, err := c.pathID("channel")
	if err != nil {
		return reply{}, err
	}
	_, ch, _, err := s.channelSeat(c.ctx(), id, c.who.User)
	if err != nil {
		return reply{}, err
	}
	if ch.Type == proto.ChannelDM {
		d, err := s.direct(c, id)
		if err != nil {
			return reply{}, err
		}
		seen, err := s.directFor(c, d)
		return reply{http.StatusOK, seen}, err
	}
	if ch, err = s.withLast(c.ctx(), ch); err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, ch}, nil
}

// withLast fills in the last message and pin, which the history knows.
func (s *Server) withLast(ctx context.Context, ch proto.Channel) (proto.Channel, error) {
	if ch.Type == proto.ChannelCategory {
		return ch, nil
	}
	var err error
	ch.LastMessageID, ch.LastPinTimestamp, err = s.lasts(ctx, ch.ID)
	return ch, err
}

// lasts are a channel's newest message and when its newest pin was pinned, nil where there is none.
func (s *Server) lasts(ctx context.Context, channel proto.ID) (message *proto.ID, pinned *proto.Time, err error) {
	last, err := s.cfg.History.LastID(ctx, channel)
	if err != nil {
		return nil, nil, fmt.Errorf("channel %d: last message: %w", channel, err)
	}
	if last != 0 {
		message = &last
	}
	pins, err := s.cfg.History.Pins(ctx, channel)
	if err != nil {
		return nil, nil, fmt.Errorf("channel %d: pins: %w", channel, err)
	}
	if len(pins) > 0 {
		pinned = &pins[0].PinnedAt
	}
	return message, pinned, nil
}

func (s *Server) createChannel(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	var in core.ChannelCreate
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.Type != proto.ChannelText && in.Type != proto.ChannelCategory {
		return reply{}, proto.InvalidForm("type", "BASE_TYPE_CHOICES", "Value must be one of {0, 4}.")
	}
	if err := checkChannel(&in.Name, in.Topic, in.Position, &in.RateLimitPerUser, in.Overwrites); err != nil {
		return reply{}, err
	}
	return s.do(c, c.guildCommand(core.KindChannelCreate, guild), in)
}

func (s *Server) editChannel(c *call) (reply, error) {
	var in core.ChannelEdit
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	var overwrites []proto.Overwrite
	if in.Overwrites != nil {
		overwrites = *in.Overwrites
	}
	if err := checkChannel(in.Name, in.Topic.Value, in.Position, in.RateLimitPerUser, overwrites); err != nil {
		return reply{}, err
	}
	cmd, err := s.channelCommand(c, core.KindChannelEdit)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, in)
}

// checkChannel checks what is given.
func checkChannel(name, topic *string, position, rate *int, overwrites []proto.Overwrite) error {
	if name != nil {
		if err := form.Length("name", *name, 1, 100); err != nil {
			return err
		}
	}
	if topic != nil {
		if err := form.Length("topic", *topic, 0, maxTopic); err != nil {
			return err
		}
	}
	if position != nil {
		if err := form.Range("position", *position, 0, maxPosition); err != nil {
			return err
		}
	}
	if rate != nil {
		if err := form.Range("rate_limit_per_user", *rate, 0, maxRateLimit); err != nil {
			return err
		}
	}
	if len(overwrites) > 500 {
		return proto.InvalidForm("permission_overwrites", "BASE_TYPE_MAX_LENGTH", "Must be 500 or fewer in length.")
	}
	for _, o := range overwrites {
		if o.ID == 0 {
			return form.Required("permission_overwrites")
		}
		if err := checkOverwriteType(o.Type); err != nil {
			return err
		}
	}
	return nil
}

// moveChannels orders several channels in one call.
func (s *Server) moveChannels(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	var in core.ChannelsMove
	if err := form.DecodeList(c.Request, &in.Places); err != nil {
		return reply{}, err
	}
	for _, p := range in.Places {
		if p.ID == 0 {
			return reply{}, form.Required("id")
		}
		if p.Position != nil {
			if err := form.Range("position", *p.Position, 0, maxPosition); err != nil {
				return reply{}, err
			}
		}
	}
	return s.do(c, c.guildCommand(core.KindChannelsMove, guild), in)
}

func (s *Server) deleteChannel(c *call) (reply, error) {
	cmd, err := s.channelCommand(c, core.KindChannelDelete)
	if err != nil {
		return reply{}, err
	}
	if cmd.Guild == 0 {
		cmd.Kind = core.KindDirectClose
	}
	return s.do(c, cmd, nil)
}
