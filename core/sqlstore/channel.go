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
	ch.LastMessageID, ch.LastPinTimestamp = nil, nil // the history knows
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

// channelDelete also takes the channels of a category out of it, ends the invites to the channel and clears it where the guild names it.
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
	if err := c.exec(`DELETE FROM channels WHERE id = $1`, int64(gone.ID)); err != nil {
		return err
	}
	return forgetChannel(c, gone.GuildID, gone.ID)
}

// forgetChannel clears the guild's own references to a channel.
func forgetChannel(c change, guild, channel proto.ID) error {
	guilds, err := collect(c.ctx, c.tx, scanBody[proto.Guild], `SELECT body FROM guilds WHERE id = $1`, int64(guild))
	if err != nil || len(guilds) == 0 {
		return err
	}
	g, named := guilds[0], false
	for _, id := range []**proto.ID{&g.SystemChannelID, &g.RulesChannelID, &g.PublicUpdatesChannelID, &g.AFKChannelID} {
		if *id != nil && **id == channel {
			*id, named = nil, true
		}
	}
	if !named {
		return nil
	}
	return putGuild(c, g)
}

// ChannelGuild implements core.Directory.
func (s *Store) ChannelGuild(ctx context.Context, channel proto.ID) (proto.ID, error) {
	var guild int64
	if err := s.read.QueryRowContext(ctx, `SELECT guild_id FROM channels WHERE id = $1 UNION ALL SELECT 0 FROM directs WHERE id = $1`,
		int64(channel)).Scan(&guild); err != nil {
		return 0, fmt.Errorf("channel %d: %w", channel, missing(err))
	}
	return proto.ID(guild), nil
}
