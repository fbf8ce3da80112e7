package sqlstore

import (
	"database/sql"
	"errors"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// userUpdate owes the new profile to every guild that the user is in: their buckets, and the edges, hold copies.
func userUpdate(c change) error {
	u, err := decode[proto.User](c)
	if err != nil {
		return err
	}
	if u.ID == 0 {
		return errNoID
	}
	if err := c.exec(`UPDATE users SET body = $2 WHERE id = $1`, int64(u.ID), body(u)); err != nil {
		return err
	}
	if err := claimName(c, u); err != nil {
		return err
	}
	if err := renameMember(c, u); err != nil {
		return err
	}
	guilds, err := collect(c.ctx, c.tx, scanInt, `SELECT guild_id FROM user_guilds WHERE user_id = $1 AND joined = TRUE ORDER BY guild_id`, int64(u.ID))
	if err != nil {
		return err
	}
	for _, g := range guilds {
		if err := c.oweProfile(u, proto.ID(g)); err != nil {
			return err
		}
	}
	return nil
}

func (c change) oweProfile(u proto.User, guild proto.ID) error {
	return c.oweCommand(&pb.Command{Kind: core.KindMemberUser, Target: uint64(u.ID), Guild: uint64(guild), Bucket: uint32(guild.Bucket()),
		Body: []byte(body(u))})
}

// catchUp owes a guild the profile of a user who changed it while joining: userUpdate did not know of the guild yet.
func (c change) catchUp(user, guild proto.ID, known uint64) error {
	var part string
	err := c.tx.QueryRowContext(c.ctx, `SELECT body FROM users WHERE id = $1`, int64(user)).Scan(&part)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var u proto.User
	if err := parse(part, &u); err != nil {
		return err
	}
	if core.ProfilePrint(u) == known {
		return nil
	}
	return c.oweProfile(u, guild)
}
