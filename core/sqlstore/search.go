package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// namesOf are what a member can be found by, each once, in lower case.
func namesOf(m proto.Member, u proto.User) []string {
	names := []string{strings.ToLower(u.Username)}
	for _, s := range []*string{u.GlobalName, m.Nick} {
		if s != nil {
			names = append(names, strings.ToLower(*s))
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(s string) bool { return s == "" })
}

// setNames writes what a member can be found by.
func setNames(c change, guild, user proto.ID, m proto.Member, u proto.User) error {
	if err := dropNames(c, guild, user); err != nil {
		return err
	}
	for _, name := range namesOf(m, u) {
		if err := c.exec(`INSERT INTO member_names (guild_id, name, user_id) VALUES ($1, $2, $3) ON CONFLICT (guild_id, name, user_id) DO NOTHING`,
			int64(guild), []byte(name), int64(user)); err != nil {
			return err
		}
	}
	return nil
}

func dropNames(c change, guild, user proto.ID) error {
	return c.exec(`DELETE FROM member_names WHERE guild_id = $1 AND user_id = $2`, int64(guild), int64(user))
}

// nameMember names a member after the user as the directory knows it, else as the event does.
func nameMember(c change, guild, user proto.ID, m proto.Member, told *proto.User) error {
	var part string
	err := c.tx.QueryRowContext(c.ctx, `SELECT body FROM users WHERE id = $1`, int64(user)).Scan(&part)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	u, err := userOrStranger(user, part)
	if err != nil {
		return err
	}
	if part == "" && told != nil {
		u = *told
	}
	return setNames(c, guild, user, m, u)
}

// renameMember gives a user's new names to all places where the user is a member. Where a join is written at this very moment, in the
// transaction of another bucket, Postgres may let it keep the names of before until catchUp's command comes to the guild.
func renameMember(c change, u proto.User) error {
	guilds, err := collect(c.ctx, c.tx, scanInt, `SELECT guild_id FROM members WHERE user_id = $1 ORDER BY guild_id`, int64(u.ID))
	if err != nil {
		return err
	}
	for _, guild := range guilds {
		m, err := storedMember(c, proto.ID(guild), u.ID)
		if errors.Is(err, sql.ErrNoRows) {
			continue // left at this moment
		}
		if err != nil {
			return err
		}
		if err := setNames(c, proto.ID(guild), u.ID, m, u); err != nil {
			return err
		}
	}
	return nil
}

// FindMembers implements core.Directory. No text in UTF-8 holds the byte 255, so prefix and that byte is above all that begins with prefix.
func (s *Store) FindMembers(ctx context.Context, guild proto.ID, prefix string, limit int) ([]proto.Member, error) {
	low := []byte(strings.ToLower(prefix))
	high := append(slices.Clone(low), 0xFF)
	all, err := s.members(ctx, guild, `SELECT `+memberColumns+` FROM (`+listed+`
		(SELECT guild_id, name AS key, user_id FROM member_names WHERE guild_id = $1 AND name >= $2 AND name < $3 ORDER BY name, user_id LIMIT $4) r) m
		WHERE m.body IS NOT NULL ORDER BY m.key, m.user_id`, int64(guild), low, high, 3*limit) // a member has up to three names
	if err != nil {
		return nil, fmt.Errorf("guild %d: members by name: %w", guild, err)
	}
	seen := map[proto.ID]bool{}
	all = slices.DeleteFunc(all, func(m proto.Member) bool {
		again := seen[m.User.ID]
		seen[m.User.ID] = true
		return again
	})
	return all[:min(len(all), limit)], nil
}

func joinedMs(m proto.Member) int64 { return time.Time(m.JoinedAt).UnixMilli() }

// pruneWhere is the condition of a prune with its arguments; $1 and $2 are guild and time.
func pruneWhere(guild proto.ID, q core.PruneQuery) (string, []any) {
	args := []any{int64(guild), q.Joined.UnixMilli()}
	but := ""
	if len(q.Roles) > 0 {
		marks := make([]string, len(q.Roles))
		for i, id := range q.Roles {
			args = append(args, int64(id))
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		but = ` AND r.role_id NOT IN (` + strings.Join(marks, ", ") + `)`
	}
	return ` WHERE m.guild_id = $1 AND m.joined_ms < $2` + notSwept + ` AND NOT EXISTS
		(SELECT 1 FROM member_roles r WHERE r.guild_id = m.guild_id AND r.user_id = m.user_id` + but + `)`, args
}

// Prunable implements core.Directory.
func (s *Store) Prunable(ctx context.Context, guild proto.ID, q core.PruneQuery, limit int) ([]proto.Member, error) {
	where, args := pruneWhere(guild, q)
	args = append(args, limit)
	all, err := s.members(ctx, guild, `SELECT `+memberColumns+` FROM members m`+
		where+fmt.Sprintf(` ORDER BY m.user_id LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("guild %d: prunable: %w", guild, err)
	}
	return all, nil
}

// PruneCount implements core.Directory.
func (s *Store) PruneCount(ctx context.Context, guild proto.ID, q core.PruneQuery) (n int, err error) {
	where, args := pruneWhere(guild, q)
	if err := s.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM members m`+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("guild %d: prune count: %w", guild, err)
	}
	return n, nil
}
