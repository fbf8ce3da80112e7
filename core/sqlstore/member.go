package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func memberAdd(c change) error {
	m, err := decode[proto.GuildMember](c)
	if err != nil {
		return err
	}
	return addMember(c, m.GuildID, m.Member)
}

func memberUpdate(c change) error {
	m, err := decode[proto.GuildMember](c)
	if err != nil {
		return err
	}
	if m.User == nil {
		return errNoID
	}
	return putMember(c, m.GuildID, m.User.ID, m.Member)
}

func addMember(c change, guild proto.ID, m proto.Member) error {
	if m.User == nil {
		return errNoID
	}
	if err := putMember(c, guild, m.User.ID, m); err != nil {
		return err
	}
	return c.owe(core.KindGuildJoined, m.User.ID, guild, core.ProfilePrint(*m.User))
}

// putMember writes the row, counts it if it is new, and keeps member_roles in step with the roles in the body.
func putMember(c change, guild, user proto.ID, m proto.Member) error {
	if guild == 0 || user == 0 {
		return errNoID
	}
	told := m.User
	m = m.Partial() // whoever the user is, users knows it
	m.Roles = slices.Clone(m.Roles)
	if m.Roles == nil {
		m.Roles = []proto.ID{}
	}
	was, err := storedMember(c, guild, user)
	found := err == nil
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err = c.exec(`UPDATE guilds SET member_count = member_count + 1 WHERE id = $1`, int64(guild))
	case found && body(was) == body(m):
		return nameMember(c, guild, user, m, told) // whose profile may be what changed
	}
	if err != nil {
		return err
	}
	if err := c.exec(`INSERT INTO members (guild_id, user_id, body, joined_ms) VALUES ($1, $2, $3, $4)
		ON CONFLICT (guild_id, user_id) DO UPDATE SET body = excluded.body, joined_ms = excluded.joined_ms`,
		int64(guild), int64(user), body(m), joinedMs(m)); err != nil {
		return err
	}
	if err := nameMember(c, guild, user, m, told); err != nil {
		return err
	}
	return setRoles(c, guild, user, was.Roles, m.Roles)
}

func memberRemove(c change) error {
	m, err := decode[proto.GuildMemberRemove](c)
	if err != nil {
		return err
	}
	guild, user := m.GuildID, m.User.ID
	if guild == 0 || user == 0 {
		return errNoID
	}
	was, err := storedMember(c, guild, user)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := setRoles(c, guild, user, was.Roles, nil); err != nil {
		return err
	}
	if err := dropNames(c, guild, user); err != nil {
		return err
	}
	gone, err := c.touched(`DELETE FROM members WHERE guild_id = $1 AND user_id = $2`, int64(guild), int64(user))
	if err != nil {
		return err
	}
	if gone {
		if err := c.exec(`UPDATE guilds SET member_count = member_count - 1 WHERE id = $1`, int64(guild)); err != nil {
			return err
		}
	}
	return c.owe(core.KindGuildLeft, user, guild, 0)
}

// storedMember is the member without user, or sql.ErrNoRows.
func storedMember(c change, guild, user proto.ID) (proto.Member, error) {
	var m proto.Member
	var part string
	err := c.tx.QueryRowContext(c.ctx, `SELECT body FROM members WHERE guild_id = $1 AND user_id = $2`, int64(guild), int64(user)).Scan(&part)
	if err != nil {
		return m, err
	}
	return m, parse(part, &m)
}

func setRoles(c change, guild, user proto.ID, was, now []proto.ID) error {
	for _, role := range was {
		if slices.Contains(now, role) {
			continue
		}
		if err := c.exec(`DELETE FROM member_roles WHERE guild_id = $1 AND role_id = $2 AND user_id = $3`,
			int64(guild), int64(role), int64(user)); err != nil {
			return err
		}
	}
	for _, role := range now {
		if err := c.exec(`INSERT INTO member_roles (guild_id, role_id, user_id) VALUES ($1, $2, $3)
			ON CONFLICT (guild_id, role_id, user_id) DO NOTHING`, int64(guild), int64(role), int64(user)); err != nil {
			return err
		}
	}
	return nil
}

// memberColumns of members m, where $1 is the guild; the last says how much is to be swept. Users, and bodies of members that an index
// lists, are asked for row by row: joined, Postgres may choose to merge, once it has made a plan for arguments that it does not know, and to
// pass over half of all users on the way to a page in the middle.
const memberColumns = `m.user_id, m.body, COALESCE((SELECT u.body FROM users u WHERE u.id = m.user_id), ''),
	(SELECT COUNT(*) FROM sweeps WHERE guild_id = $1)`

// listed begins a list m of members in place of an index r of guild_id, user_id and key.
const listed = `SELECT r.guild_id, r.user_id, r.key, (SELECT x.body FROM members x WHERE x.guild_id = r.guild_id AND x.user_id = r.user_id) AS body FROM `

const selectMember = `SELECT ` + memberColumns + ` FROM members m WHERE m.guild_id = $1`

// Member implements core.Directory.
func (s *Store) Member(ctx context.Context, guild, user proto.ID) (proto.Member, error) {
	all, err := s.members(ctx, guild, selectMember+` AND m.user_id = $2`, int64(guild), int64(user))
	if err == nil && len(all) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return proto.Member{}, fmt.Errorf("guild %d: member %d: %w", guild, user, err)
	}
	return all[0], nil
}

// Members implements core.Directory.
func (s *Store) Members(ctx context.Context, guild, after proto.ID, limit int) ([]proto.Member, error) {
	all, err := s.members(ctx, guild, selectMember+` AND m.user_id > $2 ORDER BY m.user_id LIMIT $3`, int64(guild), int64(after), limit)
	if err != nil {
		return nil, fmt.Errorf("guild %d: members: %w", guild, err)
	}
	return all, nil
}

// MembersByRole implements core.Directory.
func (s *Store) MembersByRole(ctx context.Context, guild, role, after proto.ID, limit int) ([]proto.Member, error) {
	all, err := s.members(ctx, guild, `SELECT `+memberColumns+` FROM (`+listed+`
		(SELECT guild_id, user_id, role_id AS key FROM member_roles WHERE guild_id = $1 AND role_id = $2 AND user_id > $3
			AND NOT EXISTS (SELECT 1 FROM sweeps WHERE guild_id = $1 AND role_id = $2) ORDER BY user_id LIMIT $4) r) m
		WHERE m.body IS NOT NULL ORDER BY m.user_id`, int64(guild), int64(role), int64(after), limit)
	if err != nil {
		return nil, fmt.Errorf("guild %d: members by role: %w", guild, err)
	}
	return all, nil
}

// members reads members of one guild, as if nothing were left to be swept. Where something is, they are read again once it is known what:
// bodies that are read later can only have less of it.
func (s *Store) members(ctx context.Context, guild proto.ID, query string, args ...any) ([]proto.Member, error) {
	swept := false
	scan := func(rows *sql.Rows) (proto.Member, error) {
		m, sweeps, err := scanMember(rows)
		swept = swept || sweeps > 0
		return m, err
	}
	all, err := collect(ctx, s.read, scan, query, args...)
	if err != nil || !swept {
		return all, err
	}
	roles, err := collect(ctx, s.read, scanInt, `SELECT role_id FROM sweeps WHERE guild_id = $1`, int64(guild))
	if err != nil || slices.Contains(roles, 0) {
		return []proto.Member{}, err
	}
	if all, err = collect(ctx, s.read, scan, query, args...); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Roles = slices.DeleteFunc(all[i].Roles, func(id proto.ID) bool { return slices.Contains(roles, int64(id)) })
	}
	return all, nil
}

func scanMember(rows *sql.Rows) (m proto.Member, sweeps int, err error) {
	var id int64
	var member, user string
	if err := rows.Scan(&id, &member, &user, &sweeps); err != nil {
		return m, 0, err
	}
	if err := parse(member, &m); err != nil {
		return m, 0, err
	}
	u, err := userOrStranger(proto.ID(id), user)
	m.User = &u
	return m, sweeps, err
}
