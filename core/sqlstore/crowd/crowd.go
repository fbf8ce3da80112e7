// Package crowd makes guilds of a million members for measurements, in seconds instead of hours: it copies the rows that a core's Apply
// wrote for two members under other ids and names. It is no way to write to a directory that anybody uses: no log knows of what it makes.
package crowd

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/starling-chat/starling/proto"
)

const (
	chunk = 50_000 // members in a transaction

	// Names come in an order of their own, as those of people do: a prime takes the numbers in turn round another one.
	namePrime, nameRound, nameFloor = 7_368_787, 10_000_019, 10_000_000
)

// A Crowd is to be made of two members of a guild. Every Rare-th looks as Holder does, the others as Plain.
type Crowd struct {
	Guild         proto.ID
	Plain, Holder Model
	Rare          int
	First         proto.ID // id of the first; the others follow in steps
	Step          proto.ID
}

// A Model is a user and member that Apply has written, known by its username alone.
type Model struct {
	ID   proto.ID
	Name string
}

// User is the id of the i-th of the crowd, from 1.
func (c Crowd) User(i int) proto.ID { return c.First + c.Step*proto.ID(i-1) }

// Name is the username of the i-th.
func Name(i int) string { return fmt.Sprintf("member%d", nameFloor+i*namePrime%nameRound) }

// Make writes n members into a database that nobody else writes to; the store has to have been opened once. told hears how many there are.
func (c Crowd) Make(ctx context.Context, place string, n int, told func(int)) error {
	db, bytes, err := open(place)
	if err != nil {
		return fmt.Errorf("crowd: %w", err)
	}
	defer db.Close()
	for from := 1; from <= n; from += chunk {
		to := min(from+chunk-1, n)
		if err := c.part(ctx, db, bytes, from, to); err != nil {
			return fmt.Errorf("crowd: members %d to %d: %w", from, to, err)
		}
		told(to)
	}
	_, err = db.ExecContext(ctx, `ANALYZE`) // Postgres does by itself, a minute later
	return err
}

// open gives the database, and how it makes bytes of text.
func open(place string) (db *sql.DB, bytes string, err error) {
	if strings.HasPrefix(place, "postgres") {
		db, err = sql.Open("pgx", place)
		return db, `CONVERT_TO(%s, 'UTF8')`, err
	}
	db, err = sql.Open("sqlite", "file:"+place+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=cache_size(-131072)&_pragma=busy_timeout(10000)")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, `CAST(%s AS BLOB)`, err
}

func (c Crowd) part(ctx context.Context, db *sql.DB, bytes string, from, to int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after Commit
	for rare, m := range []Model{c.Plain, c.Holder} {
		id := fmt.Sprintf(`(%d + %d * (i - 1))`, c.First, c.Step)
		name := fmt.Sprintf(`('member' || CAST(%d + (i * %d) %% %d AS TEXT))`, nameFloor, namePrime, nameRound)
		which := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT CAST(%d AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, from, to)
		these := fmt.Sprintf(`CASE WHEN i %% %d = 0 THEN 1 ELSE 0 END = %d`, c.Rare, rare)
		for _, statement := range []string{
			which + `INSERT INTO users (id, owner_id, body, password_hash, token_hash) SELECT ` + id + `, owner_id, REPLACE(REPLACE(body, ` +
				fmt.Sprintf(`'"%d"', '"' || %s || '"'), '"%s"', '"' || %s || '"')`, m.ID, id, m.Name, name) +
				fmt.Sprintf(`, password_hash, token_hash FROM users, n WHERE id = %d AND %s`, m.ID, these),
			which + `INSERT INTO members (guild_id, user_id, body, joined_ms) SELECT guild_id, ` + id + `, body, joined_ms FROM members, n ` +
				fmt.Sprintf(`WHERE guild_id = %d AND user_id = %d AND %s`, c.Guild, m.ID, these),
			which + `INSERT INTO member_names (guild_id, name, user_id) SELECT guild_id, ` + fmt.Sprintf(bytes, name) + `, ` + id +
				fmt.Sprintf(` FROM member_names, n WHERE guild_id = %d AND user_id = %d AND %s`, c.Guild, m.ID, these),
			which + `INSERT INTO member_roles (guild_id, role_id, user_id) SELECT guild_id, role_id, ` + id +
				fmt.Sprintf(` FROM member_roles, n WHERE guild_id = %d AND user_id = %d AND %s`, c.Guild, m.ID, these),
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE guilds SET member_count = member_count + $2 WHERE id = $1`, int64(c.Guild), to-from+1); err != nil {
		return err
	}
	return tx.Commit()
}
