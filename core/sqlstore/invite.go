package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// inviteCreate never moves a code to another guild.
func inviteCreate(c change) error {
	i, err := decode[proto.InviteCreate](c)
	if err != nil {
		return err
	}
	if i.Code == "" || i.GuildID == 0 || i.ChannelID == 0 {
		return errNoID
	}
	return c.exec(`INSERT INTO invites (code, guild_id, channel_id, inviter_id, uses, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (code) DO UPDATE SET channel_id = excluded.channel_id, inviter_id = excluded.inviter_id, uses = excluded.uses,
		body = excluded.body WHERE invites.guild_id = excluded.guild_id`,
		i.Code, int64(i.GuildID), int64(i.ChannelID), int64(i.Inviter.ID), i.Uses, body(i))
}

// An inviteCode is as much of INVITE_DELETE and _INVITE_USED as counts.
type inviteCode struct {
	Code string `json:"code"`
}

func inviteDelete(c change) error {
	i, err := decode[inviteCode](c)
	if err != nil {
		return err
	}
	return c.exec(`DELETE FROM invites WHERE code = $1 AND guild_id = $2`, i.Code, int64(c.event.Guild))
}

// inviteUsed counts on, which is safe to repeat only as the checkpoint changes in the same transaction.
func inviteUsed(c change) error {
	i, err := decode[inviteCode](c)
	if err != nil {
		return err
	}
	return c.exec(`UPDATE invites SET uses = uses + 1 WHERE code = $1 AND guild_id = $2`, i.Code, int64(c.event.Guild))
}

const selectInvite = `SELECT i.body, i.uses, g.body, c.body, COALESCE(u.body, '') FROM invites i
	JOIN guilds g ON g.id = i.guild_id JOIN channels c ON c.id = i.channel_id LEFT JOIN users u ON u.id = i.inviter_id`

// Invite implements core.Directory.
func (s *Store) Invite(ctx context.Context, code string, now time.Time) (proto.Invite, error) {
	all, err := collect(ctx, s.read, scanInvite, selectInvite+` WHERE i.code = $1`, code)
	if err == nil && (len(all) == 0 || ranOut(all[0], now)) {
		err = core.ErrNotFound
	}
	if err != nil {
		return proto.Invite{}, fmt.Errorf("invite: %w", err)
	}
	return all[0], nil
}

// Invites implements core.Directory.
func (s *Store) Invites(ctx context.Context, guild proto.ID) ([]proto.Invite, error) {
	all, err := collect(ctx, s.read, scanInvite, selectInvite+` WHERE i.guild_id = $1 ORDER BY i.code`, int64(guild))
	if err != nil {
		return nil, fmt.Errorf("guild %d: invites: %w", guild, err)
	}
	return all, nil
}

func ranOut(i proto.Invite, now time.Time) bool {
	return i.MaxUses > 0 && i.Uses >= i.MaxUses || i.ExpiresAt != nil && !now.Before(time.Time(*i.ExpiresAt))
}

func scanInvite(rows *sql.Rows) (proto.Invite, error) {
	var created proto.InviteCreate
	var guild proto.Guild
	var channel proto.Channel
	var uses int
	var parts [4]string
	if err := rows.Scan(&parts[0], &uses, &parts[1], &parts[2], &parts[3]); err != nil {
		return proto.Invite{}, err
	}
	for i, v := range []any{&created, &guild, &channel} {
		if err := parse(parts[i], v); err != nil {
			return proto.Invite{}, err
		}
	}
	if parts[3] != "" { // the inviter as of today, else as of the invite
		if err := parse(parts[3], &created.Inviter); err != nil {
			return proto.Invite{}, err
		}
	}
	i := proto.Invite{
		Code:      created.Code,
		Guild:     proto.InviteGuild{ID: guild.ID, Name: guild.Name, Icon: guild.Icon},
		Channel:   proto.InviteChannel{ID: channel.ID, Name: channel.Name, Type: channel.Type},
		Inviter:   created.Inviter,
		Uses:      uses,
		MaxUses:   created.MaxUses,
		MaxAge:    created.MaxAge,
		Temporary: created.Temporary,
		CreatedAt: created.CreatedAt,
	}
	if created.MaxAge > 0 {
		expires := proto.Time(time.Time(created.CreatedAt).Add(time.Duration(created.MaxAge) * time.Second))
		i.ExpiresAt = &expires
	}
	return i, nil
}
