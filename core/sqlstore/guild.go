package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func guildBorn(c change) error {
	g, err := decode[proto.Guild](c)
	if err != nil {
		return err
	}
	if err := putGuild(c, g); err != nil {
		return err
	}
	for _, r := range g.Roles {
		if err := putRole(c, g.ID, r); err != nil {
			return err
		}
	}
	for _, ch := range g.Channels {
		ch.GuildID = g.ID
		if err := putChannel(c, ch); err != nil {
			return err
		}
	}
	for _, m := range g.Members {
		if err := addMember(c, g.ID, m); err != nil {
			return err
		}
	}
	return nil
}

// guildUpdate takes the guild's own fields; roles and channels in the body have events of their own.
func guildUpdate(c change) error {
	g, err := decode[proto.Guild](c)
	if err != nil {
		return err
	}
	return putGuild(c, g)
}

// putGuild keeps the count of members that is there: it counts rows, whatever the body says.
func putGuild(c change, g proto.Guild) error {
	if g.ID == 0 {
		return errNoID
	}
	g.Roles, g.Channels, g.Members, g.MemberCount = nil, nil, nil, 0
	known, err := c.touched(`UPDATE guilds SET body = $2 WHERE id = $1`, int64(g.ID), body(g))
	if err != nil || known {
		return err
	}
	// No id is given twice; but were a guild made again, its rows would be its own again.
	if err := c.exec(`DELETE FROM sweeps WHERE guild_id = $1 AND role_id = 0`, int64(g.ID)); err != nil {
		return err
	}
	return c.exec(`INSERT INTO guilds (id, body, member_count) VALUES ($1, $2, (SELECT COUNT(*) FROM members WHERE guild_id = $1))`,
		int64(g.ID), body(g))
}

// guildDelete leaves what there may be a million of to a sweep: members, who are still to be told, their roles and names, bans, the audit log.
func guildDelete(c change) error {
	g, err := decode[proto.GuildStub](c)
	if err != nil {
		return err
	}
	if g.ID == 0 {
		return errNoID
	}
	for _, query := range []string{
		`DELETE FROM sweeps WHERE guild_id = $1`,
		`DELETE FROM invites WHERE guild_id = $1`,
		`DELETE FROM channels WHERE guild_id = $1`,
		`DELETE FROM roles WHERE guild_id = $1`,
		`DELETE FROM guilds WHERE id = $1`,
	} {
		if err := c.exec(query, int64(g.ID)); err != nil {
			return err
		}
	}
	return c.sweep(g.ID, 0)
}

// Guild implements core.Directory. One statement reads all parts, so that they belong together.
func (s *Store) Guild(ctx context.Context, id proto.ID) (proto.Guild, error) {
	var g proto.Guild
	found, roles, channels := false, []proto.Role{}, []proto.Channel{}
	err := s.eachPart(ctx, id, func(kind int, part string, members int) error {
		switch kind {
		case partRole:
			var r proto.Role
			defer func() { roles = append(roles, r) }()
			return parse(part, &r)
		case partChannel:
			var ch proto.Channel
			defer func() { channels = append(channels, ch) }()
			return parse(part, &ch)
		}
		if err := parse(part, &g); err != nil {
			return err
		}
		found, g.MemberCount = true, members
		return nil
	})
	if err == nil && !found {
		err = core.ErrNotFound
	}
	if err != nil {
		return proto.Guild{}, fmt.Errorf("guild %d: %w", id, err)
	}
	slices.SortFunc(roles, func(a, b proto.Role) int { return cmp.Or(a.Position-b.Position, cmp.Compare(a.ID, b.ID)) })
	slices.SortFunc(channels, func(a, b proto.Channel) int { return cmp.Or(a.Position-b.Position, cmp.Compare(a.ID, b.ID)) })
	g.Roles, g.Channels = roles, channels
	return g, nil
}

const (
	partGuild = iota
	partRole
	partChannel
)

func (s *Store) eachPart(ctx context.Context, id proto.ID, do func(kind int, body string, members int) error) error {
	rows, err := s.read.QueryContext(ctx, `SELECT 0, body, member_count FROM guilds WHERE id = $1
		UNION ALL SELECT 1, body, 0 FROM roles WHERE guild_id = $1
		UNION ALL SELECT 2, body, 0 FROM channels WHERE guild_id = $1`, int64(id))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, members int
		var part string
		if err := rows.Scan(&kind, &part, &members); err != nil {
			return err
		}
		if err := do(kind, part, members); err != nil {
			return err
		}
	}
	return rows.Err()
}
