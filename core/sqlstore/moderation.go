package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// nothing is the change of an event that tells clients, or answers a command, and changes no table.
func nothing(change) error { return nil }

func banned(c change) error {
	b, err := decode[proto.Ban](c)
	if err != nil {
		return err
	}
	if c.event.Guild == 0 || b.User.ID == 0 {
		return errNoID
	}
	return c.exec(`INSERT INTO bans (guild_id, user_id, reason) VALUES ($1, $2, $3)
		ON CONFLICT (guild_id, user_id) DO UPDATE SET reason = excluded.reason`, int64(c.event.Guild), int64(b.User.ID), b.Reason)
}

func banRemove(c change) error {
	b, err := decode[proto.GuildBan](c)
	if err != nil {
		return err
	}
	if b.GuildID == 0 || b.User.ID == 0 {
		return errNoID
	}
	return c.exec(`DELETE FROM bans WHERE guild_id = $1 AND user_id = $2`, int64(b.GuildID), int64(b.User.ID))
}

// audit keeps an entry, and forgets the guild's entries that are too old by the time of this one.
func audit(c change) error {
	e, err := decode[proto.AuditLogEvent](c)
	if err != nil {
		return err
	}
	if e.GuildID == 0 || e.ID == 0 {
		return errNoID
	}
	var by proto.ID
	if e.UserID != nil {
		by = *e.UserID
	}
	if err := c.exec(`INSERT INTO audit_log (guild_id, id, user_id, action, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (guild_id, id) DO NOTHING`,
		int64(e.GuildID), int64(e.ID), int64(by), e.Action, body(e.AuditLogEntry)); err != nil {
		return err
	}
	return c.exec(`DELETE FROM audit_log WHERE guild_id = $1 AND id < $2`, int64(e.GuildID), int64(auditFloor(e.ID.Time())))
}

// auditFloor is the lowest id that is not too old at a time.
func auditFloor(now time.Time) proto.ID {
	return proto.ID(max(0, now.Add(-core.AuditAge).UnixMilli()-proto.Epoch)) << 22
}

const selectBan = `SELECT b.user_id, b.reason, COALESCE((SELECT u.body FROM users u WHERE u.id = b.user_id), '') FROM bans b WHERE b.guild_id = $1` + notSwept

// Ban implements core.Directory.
func (s *Store) Ban(ctx context.Context, guild, user proto.ID) (proto.Ban, error) {
	all, err := collect(ctx, s.read, scanBan, selectBan+` AND b.user_id = $2`, int64(guild), int64(user))
	if err == nil && len(all) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return proto.Ban{}, fmt.Errorf("guild %d: ban of %d: %w", guild, user, err)
	}
	return all[0], nil
}

// Bans implements core.Directory.
func (s *Store) Bans(ctx context.Context, guild, before, after proto.ID, limit int) ([]proto.Ban, error) {
	query, from := ` AND b.user_id > $2 ORDER BY b.user_id LIMIT $3`, after
	if before != 0 {
		query, from = ` AND b.user_id < $2 ORDER BY b.user_id DESC LIMIT $3`, before
	}
	all, err := collect(ctx, s.read, scanBan, selectBan+query, int64(guild), int64(from), limit)
	if err != nil {
		return nil, fmt.Errorf("guild %d: bans: %w", guild, err)
	}
	if before != 0 {
		slices.Reverse(all)
	}
	return all, nil
}

func scanBan(rows *sql.Rows) (proto.Ban, error) {
	var b proto.Ban
	var id int64
	var reason sql.NullString
	var user string
	if err := rows.Scan(&id, &reason, &user); err != nil {
		return b, err
	}
	if reason.Valid {
		b.Reason = &reason.String
	}
	var err error
	b.User, err = userOrStranger(proto.ID(id), user)
	return b, err
}

// AuditLog implements core.Directory.
func (s *Store) AuditLog(ctx context.Context, guild proto.ID, q core.AuditQuery) ([]proto.AuditLogEntry, error) {
	args := []any{int64(guild)}
	var where strings.Builder
	add := func(condition string, v any) {
		args = append(args, v)
		fmt.Fprintf(&where, " AND "+condition, len(args))
	}
	if q.User != 0 {
		add("user_id = $%d", int64(q.User))
	}
	if q.Action != 0 {
		add("action = $%d", q.Action)
	}
	if q.Before != 0 {
		add("id < $%d", int64(q.Before))
	}
	order := "DESC"
	if q.After != 0 {
		add("id > $%d", int64(q.After))
		order = ""
	}
	args = append(args, q.Limit)
	all, err := collect(ctx, s.read, scanBody[proto.AuditLogEntry], `SELECT body FROM audit_log WHERE guild_id = $1`+notSwept+where.String()+
		fmt.Sprintf(` ORDER BY id %s LIMIT $%d`, order, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("guild %d: audit log: %w", guild, err)
	}
	return all, nil
}
