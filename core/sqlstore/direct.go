package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func directBorn(c change) error {
	ch, err := decode[proto.DirectChannel](c)
	if err != nil {
		return err
	}
	if ch.ID == 0 || len(ch.Recipients) != 2 {
		return errNoID
	}
	a, b := ch.Recipients[0].ID, ch.Recipients[1].ID
	return c.exec(`INSERT INTO directs (id, low, high, low_open, high_open) VALUES ($1, $2, $3, FALSE, FALSE) ON CONFLICT DO NOTHING`,
		int64(ch.ID), int64(min(a, b)), int64(max(a, b)))
}

func directShown(c change) error  { return listDirect(c, true, core.KindDirectOpened) }
func directHidden(c change) error { return listDirect(c, false, core.KindDirectClosed) }

// listDirect puts a channel into the list of one of its users, or takes it out, and owes it to the user's home bucket.
func listDirect(c change, open bool, kind string) error {
	channel, user := proto.ID(c.event.Channel), proto.ID(c.event.User)
	if channel == 0 || user == 0 {
		return errNoID
	}
	for _, q := range []string{
		`UPDATE directs SET low_open = $3 WHERE id = $1 AND low = $2`,
		`UPDATE directs SET high_open = $3 WHERE id = $1 AND high = $2`,
	} {
		if err := c.exec(q, int64(channel), int64(user), open); err != nil {
			return err
		}
	}
	link := core.DirectLink{Sequence: c.at.Sequence, Since: proto.ID(c.event.Id)}
	return c.oweCommand(&pb.Command{Kind: kind, Target: uint64(user), Channel: uint64(channel), Bucket: uint32(user.Bucket()),
		Body: []byte(body(link))})
}

func directOpened(c change) error { return noteDirect(c, true) }
func directClosed(c change) error { return noteDirect(c, false) }

// noteDirect has a user's bucket know of an opening or closing. The later one stays, whatever the order in which they come.
func noteDirect(c change, listed bool) error {
	link, err := decode[core.DirectLink](c)
	if err != nil {
		return err
	}
	if c.event.User == 0 || c.event.Channel == 0 {
		return errNoID
	}
	return c.exec(`INSERT INTO user_directs (user_id, channel_id, listed, since) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id, channel_id) DO UPDATE SET listed = excluded.listed, since = excluded.since
		WHERE user_directs.since <= excluded.since`, int64(c.event.User), int64(c.event.Channel), listed, int64(link.Since))
}

// ListedDirects implements core.Directs.
func (s *Store) ListedDirects(ctx context.Context, user proto.ID) ([]core.ListedDirect, error) {
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (d core.ListedDirect, err error) {
		var channel, since int64
		err = rows.Scan(&channel, &since)
		return core.ListedDirect{Channel: proto.ID(channel), Since: proto.ID(since)}, err
	}, `SELECT channel_id, since FROM user_directs WHERE user_id = $1 AND listed = TRUE ORDER BY channel_id`, int64(user))
	if err != nil {
		return nil, fmt.Errorf("user %d: listed direct channels: %w", user, err)
	}
	return all, nil
}

const selectDirect = `SELECT d.id, d.low, COALESCE(l.body, ''), d.low_open, d.high, COALESCE(h.body, ''), d.high_open
	FROM directs d LEFT JOIN users l ON l.id = d.low LEFT JOIN users h ON h.id = d.high`

// Direct implements core.Directs.
func (s *Store) Direct(ctx context.Context, channel proto.ID) (core.Direct, error) {
	return s.oneDirect(ctx, ` WHERE d.id = $1`, int64(channel))
}

// DirectOf implements core.Directs.
func (s *Store) DirectOf(ctx context.Context, a, b proto.ID) (core.Direct, error) {
	return s.oneDirect(ctx, ` WHERE d.low = $1 AND d.high = $2`, int64(min(a, b)), int64(max(a, b)))
}

func (s *Store) oneDirect(ctx context.Context, where string, args ...any) (core.Direct, error) {
	all, err := collect(ctx, s.read, scanDirect, selectDirect+where, args...)
	if err == nil && len(all) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.Direct{}, fmt.Errorf("direct channel: %w", err)
	}
	return all[0], nil
}

// DirectsOf implements core.Directs.
func (s *Store) DirectsOf(ctx context.Context, user proto.ID) ([]core.Direct, error) {
	all, err := collect(ctx, s.read, scanDirect, selectDirect+
		` WHERE (d.low = $1 AND d.low_open = TRUE) OR (d.high = $1 AND d.high_open = TRUE) ORDER BY d.id`, int64(user))
	if err != nil {
		return nil, fmt.Errorf("user %d: direct channels: %w", user, err)
	}
	return all, nil
}

func scanDirect(rows *sql.Rows) (core.Direct, error) {
	var d core.Direct
	var id int64
	var users [2]int64
	var bodies [2]string
	if err := rows.Scan(&id, &users[0], &bodies[0], &d.Open[0], &users[1], &bodies[1], &d.Open[1]); err != nil {
		return d, err
	}
	d.ID = proto.ID(id)
	for i := range users {
		var err error
		if d.Users[i], err = userOrStranger(proto.ID(users[i]), bodies[i]); err != nil {
			return d, err
		}
	}
	return d, nil
}

func relationshipAdd(c change) error {
	r, err := decode[proto.Relationship](c)
	if err != nil {
		return err
	}
	if c.event.User == 0 || r.ID == 0 {
		return errNoID
	}
	return c.exec(`INSERT INTO relationships (user_id, other_id, type) VALUES ($1, $2, $3)
		ON CONFLICT (user_id, other_id) DO UPDATE SET type = excluded.type`, int64(c.event.User), int64(r.ID), r.Type)
}

func relationshipRemove(c change) error {
	r, err := decode[proto.RelationshipRemove](c)
	if err != nil {
		return err
	}
	return c.exec(`DELETE FROM relationships WHERE user_id = $1 AND other_id = $2`, int64(c.event.User), int64(r.ID))
}

// Relationships implements core.Directs.
func (s *Store) Relationships(ctx context.Context, user proto.ID) ([]proto.Relationship, error) {
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (r proto.Relationship, err error) {
		var id int64
		var part string
		if err = rows.Scan(&id, &r.Type, &part); err != nil {
			return r, err
		}
		r.ID = proto.ID(id)
		r.User, err = userOrStranger(r.ID, part)
		return r, err
	}, `SELECT r.other_id, r.type, COALESCE(u.body, '') FROM relationships r LEFT JOIN users u ON u.id = r.other_id
		WHERE r.user_id = $1 ORDER BY r.other_id`, int64(user))
	if err != nil {
		return nil, fmt.Errorf("user %d: relationships: %w", user, err)
	}
	return all, nil
}

// Blocked implements core.Directs.
func (s *Store) Blocked(ctx context.Context, a, b proto.ID) (bool, error) {
	return s.exists(ctx, `SELECT 1 FROM relationships WHERE type = $3 AND ((user_id = $1 AND other_id = $2) OR (user_id = $2 AND other_id = $1)) LIMIT 1`,
		int64(a), int64(b), proto.RelationshipBlocked)
}

// ShareGuild implements core.Directs. What is looked through are the guilds that either's own bucket knows of.
func (s *Store) ShareGuild(ctx context.Context, a, b proto.ID) (bool, error) {
	return s.exists(ctx, `SELECT 1 FROM user_guilds g
		JOIN members x ON x.guild_id = g.guild_id AND x.user_id = $1
		JOIN members y ON y.guild_id = g.guild_id AND y.user_id = $2
		WHERE g.user_id IN ($3, $4) AND g.joined = TRUE
		AND NOT EXISTS (SELECT 1 FROM sweeps w WHERE w.guild_id = g.guild_id AND w.role_id = 0) LIMIT 1`, int64(a), int64(b), int64(a), int64(b))
}

// exists tells whether a query has a row.
func (s *Store) exists(ctx context.Context, query string, args ...any) (bool, error) {
	var one int
	err := s.read.QueryRowContext(ctx, query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
