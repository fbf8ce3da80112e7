package sqlstore

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"

	"github.com/starling-chat/starling/proto"
)

// backfillMembers is a migration: what the columns of the one before it hold for members of earlier versions stands in their bodies, which
// no SQL of both databases can read.
var backfillMembers = goose.NewGoMigration(3, &goose.GoFunc{RunTx: fillMembers}, &goose.GoFunc{RunTx: func(context.Context, *sql.Tx) error { return nil }})

const backfillPage = 1000

func fillMembers(ctx context.Context, tx *sql.Tx) error {
	type row struct {
		guild, user proto.ID
		member      proto.Member
		known       proto.User
	}
	scan := func(rows *sql.Rows) (r row, err error) {
		var guild, user int64
		var member, known string
		if err := rows.Scan(&guild, &user, &member, &known); err != nil {
			return r, err
		}
		r.guild, r.user = proto.ID(guild), proto.ID(user)
		if err := parse(member, &r.member); err != nil {
			return r, err
		}
		r.known, err = userOrStranger(r.user, known)
		return r, err
	}
	var last row
	for {
		page, err := collect(ctx, tx, scan, `SELECT m.guild_id, m.user_id, m.body, COALESCE(u.body, '') FROM members m
			LEFT JOIN users u ON u.id = m.user_id WHERE m.guild_id > $1 OR m.guild_id = $1 AND m.user_id > $2
			ORDER BY m.guild_id, m.user_id LIMIT $3`, int64(last.guild), int64(last.user), backfillPage)
		if err != nil {
			return err
		}
		c := change{ctx: ctx, tx: tx}
		for _, r := range page {
			if err := c.exec(`UPDATE members SET joined_ms = $3 WHERE guild_id = $1 AND user_id = $2`,
				int64(r.guild), int64(r.user), joinedMs(r.member)); err != nil {
				return err
			}
			if err := setNames(c, r.guild, r.user, r.member, r.known); err != nil {
				return err
			}
			last = r
		}
		if len(page) < backfillPage {
			return nil
		}
	}
}
