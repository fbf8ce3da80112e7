package sqlstore

import (
	"context"
	"fmt"

	"github.com/starling-chat/starling/proto"
)

func channelPut(c change) error {
	ch, err := decode[proto.Channel](c)
	if err != nil {
		return err
	}
	return putChannel(c, ch)
}

func putChannel(c change, ch proto.Channel) error {
	if ch.ID == 0 || ch.GuildID == 0 {
		return errNoID
	}
	ch.LastMessageID = nil // the history knows
	if ch.Overwrites == nil {
		ch.Overwrites = []proto.Overwrite{}
	}
	var parent proto.ID
	if ch.ParentID != nil {
		parent = *ch.ParentID
	}
	return c.exec(`INSERT INTO channels (id, guild_id, parent_id, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, body = excluded.body`,
		int64(ch.ID), int64(ch.GuildID), int64(parent), body(ch))
}

// channelDelete also takes the channels of a category out of it, and ends the invites to the channel.
func channelDelete(c change) error {
	gone, err := decode[proto.Channel](c)
	if err != nil {
		return err
	}
	if gone.ID == 0 || gone.GuildID == 0 {
		return errNoID
	}
	children, err := collect(c.ctx, c.tx, scanBody[proto.Channel],
		`SELECT body FROM channels WHERE guild_id = $1 AND parent_id = $2`, int64(gone.GuildID), int64(gone.ID))
	if err != nil {
		return err
	}
	for _, ch := range children {
		ch.ParentID = nil
		if err := putChannel(c, ch); err != nil {
			return err
		}
	}
	if err := c.exec(`DELETE FROM invites WHERE guild_id = $1 AND channel_id = $2`, int64(gone.GuildID), int64(gone.ID)); err != nil {
		return err
	}
	return c.exec(`DELETE FROM channels WHERE id = $1`, int64(gone.ID))
}

// ChannelGuild implements core.Directory.
func (s *Store) ChannelGuild(ctx context.Context, channel proto.ID) (proto.ID, error) {
	var guild int64
	if err := s.read.QueryRowContext(ctx, `SELECT guild_id FROM channels WHERE id = $1`, int64(channel)).Scan(&guild); err != nil {
		return 0, fmt.Errorf("channel %d: %w", channel, missing(err))
	}
	return proto.ID(guild), nil
}
