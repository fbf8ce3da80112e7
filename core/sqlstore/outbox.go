package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"

	pbuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// owe puts a command for a user's home bucket into the outbox: guild.joined or guild.left.
// profile is, of a join, what the guild knows of the user.
func (c change) owe(kind string, user, guild proto.ID, profile uint64) error {
	e := c.at.Entry
	link := core.GuildLink{Sequence: c.at.Sequence, Profile: profile, Epoch: e.Epoch, Counter: e.Counter, Index: *c.effects}
	return c.oweCommand(&pb.Command{Kind: kind, Target: uint64(user), Guild: uint64(guild), Bucket: uint32(user.Bucket()), Body: []byte(body(link))})
}

// oweCommand puts a command into the outbox, under an id of its own.
func (c change) oweCommand(cmd *pb.Command) error {
	e, index := c.at.Entry, *c.effects
	*c.effects++
	id := effectID(c.at, index)
	cmd.Id = id
	command, err := pbuf.Marshal(cmd)
	if err != nil {
		return err
	}
	return c.exec(`INSERT INTO outbox (id, bucket, epoch, counter, idx, sequence, command) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO NOTHING`, id, c.at.Bucket, int64(e.Epoch), int64(e.Counter), index, int64(c.at.Sequence), command)
}

// effectID is the same whenever the same entry is applied, and different for every other entry, even of a log that was made anew.
func effectID(a core.Applied, index int, more ...uint64) []byte {
	b := make([]byte, 0, 56)
	for _, v := range append([]uint64{uint64(a.Bucket), a.Sequence, a.Entry.Incarnation, a.Entry.Epoch, a.Entry.Counter, uint64(index)}, more...) {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	sum := sha256.Sum256(b)
	return sum[:16]
}

// Outbox implements core.Directory.
func (s *Store) Outbox(ctx context.Context, bucket, limit int) ([]core.Effect, error) {
	all, err := collect(ctx, s.read, scanEffect,
		`SELECT bucket, sequence, idx, command FROM outbox WHERE bucket = $1 ORDER BY epoch, counter, idx LIMIT $2`, bucket, limit)
	if err == nil && len(all) < limit {
		var swept []core.Effect
		swept, err = s.sweptEffects(ctx, bucket, limit-len(all))
		all = append(all, swept...)
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %d: outbox: %w", bucket, err)
	}
	return all, nil
}

func scanEffect(rows *sql.Rows) (core.Effect, error) {
	var e core.Effect
	var sequence int64
	var command []byte
	if err := rows.Scan(&e.Bucket, &sequence, &e.Index, &command); err != nil {
		return e, err
	}
	e.Sequence, e.Command = uint64(sequence), &pb.Command{}
	return e, pbuf.Unmarshal(command, e.Command)
}

// Done implements core.Directory.
func (s *Store) Done(ctx context.Context, effects ...core.Effect) error {
	ids := newValues(1)
	told := map[proto.ID]*values{} // members of deleted guilds
	for _, e := range effects {
		if !e.Swept {
			ids.add(e.Command.GetId())
			continue
		}
		guild := proto.ID(e.Command.GetGuild())
		if told[guild] == nil {
			told[guild] = newValues(1)
		}
		told[guild].add(int64(e.Command.GetTarget()))
	}
	err := inTx(ctx, s.write, func(tx *sql.Tx) error {
		if err := ids.exec(ctx, tx, `DELETE FROM outbox WHERE id IN (`, `)`); err != nil {
			return err
		}
		for guild, users := range told {
			for _, table := range []string{"member_roles", "member_names", "members"} {
				if err := users.exec(ctx, tx, fmt.Sprintf(`DELETE FROM %s WHERE guild_id = %d AND user_id IN (`, table, guild), `)`); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}
