package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A deletion that concerns a million rows leaves one row in table sweeps: in the transaction of its entry it would hold up everything else
// of the bucket for a minute. Readers look at sweeps and see what will be there in the end (see Store.members); the outbox tells members of
// a deleted guild page by page and has Done forget each; Sweep does the rest.

const (
	sweepMembers = 500  // whose bodies one transaction writes
	sweepRows    = 5000 // that one transaction deletes
)

// notSwept is a condition: guild $1 is not deleted.
const notSwept = ` AND NOT EXISTS (SELECT 1 FROM sweeps WHERE guild_id = $1 AND role_id = 0)`

// sweep leaves a role of a guild, or with role 0 all that the guild has, to be swept.
func (c change) sweep(guild, role proto.ID) error {
	e, index := c.at.Entry, *c.effects
	*c.effects++
	return c.exec(`INSERT INTO sweeps (guild_id, role_id, bucket, epoch, counter, idx, sequence, incarnation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (guild_id, role_id) DO NOTHING`, int64(guild), int64(role), c.at.Bucket, int64(e.Epoch), int64(e.Counter), index,
		int64(c.at.Sequence), int64(e.Incarnation))
}

// A sweep that is due, with the entry that it is of.
type sweep struct {
	guild, role proto.ID
	at          core.Applied
	index       int
}

func (s *Store) sweeps(ctx context.Context, bucket int) ([]sweep, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (sweep, error) {
		w := sweep{at: core.Applied{Bucket: bucket, Entry: &pb.Entry{}}}
		var guild, role, epoch, counter, sequence, incarnation int64
		err := rows.Scan(&guild, &role, &epoch, &counter, &w.index, &sequence, &incarnation)
		w.guild, w.role, w.at.Sequence = proto.ID(guild), proto.ID(role), uint64(sequence)
		w.at.Entry.Epoch, w.at.Entry.Counter, w.at.Entry.Incarnation = uint64(epoch), uint64(counter), uint64(incarnation)
		return w, err
	}, `SELECT guild_id, role_id, epoch, counter, idx, sequence, incarnation FROM sweeps WHERE bucket = $1 ORDER BY epoch, counter, idx`, bucket)
}

// sweptEffects are what members of deleted guilds are still to be told.
func (s *Store) sweptEffects(ctx context.Context, bucket, limit int) ([]core.Effect, error) {
	due, err := s.sweeps(ctx, bucket)
	if err != nil {
		return nil, err
	}
	var all []core.Effect
	for _, w := range due {
		if w.role != 0 || len(all) == limit {
			continue
		}
		users, err := collect(ctx, s.read, scanInt, `SELECT user_id FROM members WHERE guild_id = $1 ORDER BY user_id LIMIT $2`,
			int64(w.guild), limit-len(all))
		if err != nil {
			return nil, err
		}
		e := w.at.Entry
		link := []byte(body(core.GuildLink{Sequence: w.at.Sequence, Epoch: e.Epoch, Counter: e.Counter, Index: w.index}))
		for _, user := range users {
			all = append(all, core.Effect{Bucket: bucket, Sequence: w.at.Sequence, Index: w.index, Swept: true,
				Command: &pb.Command{Id: effectID(w.at, w.index, uint64(user)), Kind: core.KindGuildLeft, Target: uint64(user),
					Guild: uint64(w.guild), Bucket: uint32(proto.ID(user).Bucket()), Body: link}})
		}
	}
	return all, nil
}

// Sweep implements core.Directory.
func (s *Store) Sweep(ctx context.Context, bucket int) (more bool, err error) {
	due, err := s.sweeps(ctx, bucket)
	if err != nil {
		return false, fmt.Errorf("bucket %d: sweeps: %w", bucket, err)
	}
	for _, w := range due {
		part := s.sweepGuild
		if w.role != 0 {
			part = s.sweepRole
		}
		did := false
		err := inTx(ctx, s.write, func(tx *sql.Tx) (err error) {
			did, err = part(ctx, tx, w)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("guild %d: sweep of role %d: %w", w.guild, w.role, err)
		}
		more = more || did
	}
	return more, nil
}

// sweepGuild deletes a part of what nobody is to be told of, once all members are told.
func (s *Store) sweepGuild(ctx context.Context, tx *sql.Tx, w sweep) (did bool, err error) {
	waiting, err := collect(ctx, tx, scanInt, `SELECT user_id FROM members WHERE guild_id = $1 LIMIT 1`, int64(w.guild))
	if err != nil || len(waiting) > 0 {
		return false, err
	}
	for _, t := range []struct{ table, key string }{{"bans", "user_id"}, {"audit_log", "id"}, {"member_roles", "user_id"}, {"member_names", "user_id"}} {
		r, err := tx.ExecContext(ctx, fmt.Sprintf(`DELETE FROM %s WHERE guild_id = $1 AND %s IN (SELECT %[2]s FROM %[1]s WHERE guild_id = $1 LIMIT $2)`,
			t.table, t.key), int64(w.guild), sweepRows)
		if err != nil {
			return false, err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return true, err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM sweeps WHERE guild_id = $1`, int64(w.guild))
	return true, err
}

// sweepRole takes a deleted role from some of those who hold it.
func (s *Store) sweepRole(ctx context.Context, tx *sql.Tx, w sweep) (did bool, err error) {
	// Whatever else changes bodies of members of the guild locks this row first: entries of its bucket.
	if _, err := tx.ExecContext(ctx, `UPDATE checkpoints SET bucket = bucket WHERE bucket = $1`, w.at.Bucket); err != nil {
		return false, err
	}
	type row struct {
		user, joined int64
		body         sql.NullString
	}
	holders, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) { return r, rows.Scan(&r.user, &r.body, &r.joined) },
		`SELECT r.user_id, m.body, COALESCE(m.joined_ms, 0) FROM (SELECT user_id FROM member_roles WHERE guild_id = $1 AND role_id = $2 LIMIT $3) r
		LEFT JOIN members m ON m.guild_id = $1 AND m.user_id = r.user_id`, int64(w.guild), int64(w.role), sweepMembers)
	if err != nil {
		return false, err
	}
	bodies, users := newValues(4), newValues(1)
	for _, h := range holders {
		users.add(h.user)
		if !h.body.Valid {
			continue
		}
		var m proto.Member
		if err := parse(h.body.String, &m); err != nil {
			return false, err
		}
		m.Roles = slices.DeleteFunc(m.Roles, func(id proto.ID) bool { return id == w.role })
		bodies.add(int64(w.guild), h.user, body(m), h.joined)
	}
	if err := bodies.exec(ctx, tx, `INSERT INTO members (guild_id, user_id, body, joined_ms) VALUES `,
		` ON CONFLICT (guild_id, user_id) DO UPDATE SET body = excluded.body`); err != nil {
		return false, err
	}
	if err := users.exec(ctx, tx, fmt.Sprintf(`DELETE FROM member_roles WHERE guild_id = %d AND role_id = %d AND user_id IN (`, w.guild, w.role),
		`)`); err != nil {
		return false, err
	}
	if len(holders) < sweepMembers {
		_, err = tx.ExecContext(ctx, `DELETE FROM sweeps WHERE guild_id = $1 AND role_id = $2`, int64(w.guild), int64(w.role))
	}
	return true, err
}
