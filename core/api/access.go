package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// A seat is a member's place in a guild: what reads are allowed by.
type seat struct {
	guild proto.Guild // shared: nobody changes what it refers to
	roles []proto.ID  // the member's
	user  proto.ID
	base  proto.Permissions
}

// seat finds the caller's place in a guild. A guild that does not exist is ErrUnknownGuild; for one that the caller is not in, stranger.
func (s *Server) seat(ctx context.Context, guild, user proto.ID, stranger *proto.Error) (seat, error) {
	find := func() (*place, []proto.ID, error) { return ask(ctx, s.cfg.Directory, guild, user) }
	if s.cfg.Seats != nil {
		find = func() (*place, []proto.ID, error) { return s.cfg.Seats.find(ctx, s.cfg.Directory, guild, user) }
	}
	p, roles, err := find()
	switch {
	case errors.Is(err, errNoMember):
		return seat{}, stranger
	case errors.Is(err, core.ErrNotFound):
		return seat{}, proto.ErrUnknownGuild
	case err != nil:
		return seat{}, err
	}
	return seat{guild: p.guild, roles: roles, user: user, base: proto.GuildPermissions(guild, p.guild.OwnerID == user, roles, p.roles)}, nil
}

func (p seat) inChannel(ch proto.Channel) proto.Permissions {
	return proto.ChannelPermissions(p.guild.ID, p.base, p.user, p.roles, ch.Overwrites)
}

// channelSeat finds the caller's place in a channel that the caller may see.
func (s *Server) channelSeat(ctx context.Context, channel, user proto.ID) (seat, proto.Channel, proto.Permissions, error) {
	guild, err := s.channels.guild(ctx, channel)
	if err != nil {
		return seat{}, proto.Channel{}, 0, err
	}
	if guild == 0 {
		return s.directSeat(ctx, channel, user)
	}
	p, err := s.seat(ctx, guild, user, proto.ErrMissingAccess)
	if errors.Is(err, proto.ErrUnknownGuild) {
		err = proto.ErrUnknownChannel
	}
	if err != nil {
		return seat{}, proto.Channel{}, 0, err
	}
	i := slices.IndexFunc(p.guild.Channels, func(ch proto.Channel) bool { return ch.ID == channel })
	if i < 0 {
		return seat{}, proto.Channel{}, 0, proto.ErrUnknownChannel // deleted
	}
	perms := p.inChannel(p.guild.Channels[i])
	if !perms.Has(proto.PermViewChannel) {
		return seat{}, proto.Channel{}, 0, proto.ErrMissingAccess
	}
	return p, p.guild.Channels[i], perms, nil
}

// directSeat is channelSeat in a direct channel: a seat in no guild.
func (s *Server) directSeat(ctx context.Context, channel, user proto.ID) (seat, proto.Channel, proto.Permissions, error) {
	d, err := s.cfg.Directory.Direct(ctx, channel)
	if errors.Is(err, core.ErrNotFound) {
		return seat{}, proto.Channel{}, 0, proto.ErrUnknownChannel
	}
	if err != nil {
		return seat{}, proto.Channel{}, 0, fmt.Errorf("channel %d: %w", channel, err)
	}
	if _, _, ok := d.For(user); !ok {
		return seat{}, proto.Channel{}, 0, proto.ErrMissingAccess
	}
	return seat{user: user}, proto.Channel{ID: channel, Type: proto.ChannelDM}, proto.PermDirect, nil
}

const channelGuildsMax = 1 << 17

// channelGuilds remembers which guild a channel is of. That never changes; whether the channel still exists is for others to say.
type channelGuilds struct {
	directory core.Directory

	mu    sync.RWMutex
	known map[proto.ID]proto.ID
}

func newChannelGuilds(d core.Directory) *channelGuilds {
	return &channelGuilds{directory: d, known: make(map[proto.ID]proto.ID)}
}

// guild of a channel, 0 for a direct one, or ErrUnknownChannel.
func (c *channelGuilds) guild(ctx context.Context, channel proto.ID) (proto.ID, error) {
	c.mu.RLock()
	guild, found := c.known[channel]
	c.mu.RUnlock()
	if found {
		return guild, nil
	}
	guild, err := c.directory.ChannelGuild(ctx, channel)
	if errors.Is(err, core.ErrNotFound) {
		return 0, proto.ErrUnknownChannel
	}
	if err != nil {
		return 0, fmt.Errorf("channel %d: %w", channel, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= channelGuildsMax {
		clear(c.known)
	}
	c.known[channel] = guild
	return guild, nil
}
