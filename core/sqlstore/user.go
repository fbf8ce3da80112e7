package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const (
	reservation = time.Minute    // how long a username waits for its event
	hold        = 25 * time.Hour // the same once an owner means to append it: a log holds entries for 24 hours
)

func userBorn(c change) error {
	a, err := decode[core.Account](c)
	if err != nil {
		return err
	}
	if a.User.ID == 0 {
		a.User.ID = c.user()
	}
	if a.User.ID == 0 {
		return errNoID
	}
	if a.TokenHash == nil {
		a.TokenHash = []byte{}
	}
	if !a.User.Bot {
		if a.PasswordHash, err = takePassword(c, a.User.Username); err != nil {
			return err
		}
	}
	// A birth applied again finds no password any more: the account has it.
	if err := c.exec(`INSERT INTO users (id, owner_id, body, password_hash, token_hash) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET owner_id = excluded.owner_id, body = excluded.body, token_hash = excluded.token_hash,
		password_hash = CASE WHEN excluded.password_hash = '' THEN users.password_hash ELSE excluded.password_hash END`,
		int64(a.User.ID), int64(a.OwnerID), body(a.User), a.PasswordHash, a.TokenHash); err != nil {
		return err
	}
	return claimName(c, a.User)
}

// takePassword takes the password hash from the reservation of the event's command, "" if there is none.
func takePassword(c change, username string) (string, error) {
	name, command := strings.ToLower(username), c.event.Command
	if len(command) == 0 {
		return "", nil
	}
	var hash string
	err := c.tx.QueryRowContext(c.ctx, `SELECT password_hash FROM usernames WHERE name = $1 AND command = $2`, name, command).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) || err == nil && hash == "" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return hash, c.exec(`UPDATE usernames SET password_hash = '' WHERE name = $1 AND command = $2`, name, command)
}

// claimName turns a person's reservation into possession and lets go of any other name of the same person. Nobody loses a name that is
// theirs: whoever comes without a reservation, a minute late, to a name that has an owner, stays without.
func claimName(c change, u proto.User) error {
	if u.Bot {
		return nil
	}
	name, command := strings.ToLower(u.Username), c.event.Command
	if command == nil {
		command = []byte{}
	}
	if err := c.exec(`DELETE FROM usernames WHERE user_id = $1 AND name <> $2`, int64(u.ID), name); err != nil {
		return err
	}
	return c.exec(`INSERT INTO usernames (name, command, reserved_ms, user_id) VALUES ($1, $2, 0, $3)
		ON CONFLICT (name) DO UPDATE SET user_id = excluded.user_id WHERE usernames.user_id = 0`, name, command, int64(u.ID))
}

func tokenReset(c change) error {
	r, err := decode[core.TokenReset](c)
	if err != nil {
		return err
	}
	if c.user() == 0 || len(r.TokenHash) == 0 {
		return errNoID
	}
	return c.exec(`UPDATE users SET token_hash = $2 WHERE id = $1`, int64(c.user()), r.TokenHash)
}

// user is whom an event of a home bucket is about.
func (c change) user() proto.ID {
	if c.event.User != 0 {
		return proto.ID(c.event.User)
	}
	return proto.ID(c.event.Id)
}

func guildJoined(c change) error { return link(c, true) }
func guildLeft(c change) error   { return link(c, false) }

// link writes one join or leave. Links of one guild may come in any order; the one that the guild's log has last stays.
func link(c change, joined bool) error {
	at := core.GuildLink{Sequence: c.event.Id}
	if len(c.event.Body) > 0 {
		var err error
		if at, err = decode[core.GuildLink](c); err != nil {
			return err
		}
	}
	if at.Counter == 0 { // a link that tells the sequence alone
		at.Counter = at.Sequence
	}
	if c.event.User == 0 || c.event.Guild == 0 {
		return errNoID
	}
	if joined && at.Profile != 0 {
		if err := c.catchUp(proto.ID(c.event.User), proto.ID(c.event.Guild), at.Profile); err != nil {
			return err
		}
	}
	return c.exec(`INSERT INTO user_guilds (user_id, guild_id, joined, epoch, counter, idx) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (user_id, guild_id) DO UPDATE
		SET joined = excluded.joined, epoch = excluded.epoch, counter = excluded.counter, idx = excluded.idx
		WHERE (user_guilds.epoch, user_guilds.counter, user_guilds.idx) <= (excluded.epoch, excluded.counter, excluded.idx)`,
		int64(c.event.User), int64(c.event.Guild), joined, int64(at.Epoch), int64(at.Counter), at.Index)
}

// GuildsOf implements core.Directory.
func (s *Store) GuildsOf(ctx context.Context, user proto.ID) ([]proto.ID, error) {
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (proto.ID, error) {
		id, err := scanInt(rows)
		return proto.ID(id), err
	}, `SELECT guild_id FROM user_guilds WHERE user_id = $1 AND joined = TRUE ORDER BY guild_id`, int64(user))
	if err != nil {
		return nil, fmt.Errorf("user %d: guilds: %w", user, err)
	}
	return all, nil
}

// User implements core.Directory.
func (s *Store) User(ctx context.Context, id proto.ID) (proto.User, error) {
	a, err := s.Account(ctx, id)
	return a.User, err
}

const selectAccount = `SELECT u.body, u.password_hash, u.token_hash, u.owner_id FROM users u`

// Account implements core.Directory.
func (s *Store) Account(ctx context.Context, id proto.ID) (core.Account, error) {
	a, err := scanAccount(s.read.QueryRowContext(ctx, selectAccount+` WHERE u.id = $1`, int64(id)))
	if err != nil {
		return core.Account{}, fmt.Errorf("user %d: %w", id, err)
	}
	return a, nil
}

// AccountByName implements core.Directory.
func (s *Store) AccountByName(ctx context.Context, username string) (core.Account, error) {
	a, err := scanAccount(s.read.QueryRowContext(ctx, selectAccount+` JOIN usernames n ON n.user_id = u.id WHERE n.name = $1`,
		strings.ToLower(username)))
	if err != nil {
		return core.Account{}, fmt.Errorf("user by name: %w", err)
	}
	return a, nil
}

func scanAccount(row *sql.Row) (core.Account, error) {
	var a core.Account
	var user string
	var owner int64
	if err := row.Scan(&user, &a.PasswordHash, &a.TokenHash, &owner); err != nil {
		return a, missing(err)
	}
	a.OwnerID = proto.ID(owner)
	return a, parse(user, &a.User)
}

// BotsOf implements core.Directory.
func (s *Store) BotsOf(ctx context.Context, owner proto.ID) ([]proto.User, error) {
	all, err := collect(ctx, s.read, scanBody[proto.User], `SELECT body FROM users WHERE owner_id = $1 ORDER BY id`, int64(owner))
	if err != nil {
		return nil, fmt.Errorf("user %d: bots: %w", owner, err)
	}
	return all, nil
}

// Reserve implements core.Directory. One statement decides, so that of two who ask at once one gets the name. What a command reserves again
// is not held for less, and keeps its password; what falls to another loses it. A name that is somebody's already takes no password.
func (s *Store) Reserve(ctx context.Context, username string, command []byte, passwordHash string, now time.Time) error {
	run := func(ctx context.Context, f func(*sql.Tx) error) error { return inTx(ctx, s.write, f) }
	if passwordHash != "" {
		run = s.durably
	}
	err := run(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO usernames (name, command, reserved_ms, user_id, password_hash) VALUES ($1, $2, $3, 0, $5)
			ON CONFLICT (name) DO UPDATE SET command = excluded.command,
			reserved_ms = CASE WHEN usernames.command = excluded.command AND usernames.reserved_ms > excluded.reserved_ms
				THEN usernames.reserved_ms ELSE excluded.reserved_ms END,
			password_hash = CASE WHEN usernames.user_id <> 0 THEN ''
				WHEN usernames.command = excluded.command AND excluded.password_hash = '' THEN usernames.password_hash
				ELSE excluded.password_hash END
			WHERE usernames.command = excluded.command OR (usernames.user_id = 0 AND usernames.reserved_ms <= $4)`,
			strings.ToLower(username), command, now.UnixMilli(), now.Add(-reservation).UnixMilli(), passwordHash)
		return taken(r, err)
	})
	if err != nil {
		return fmt.Errorf("reserve username: %w", err)
	}
	return nil
}

// Hold implements core.Directory.
func (s *Store) Hold(ctx context.Context, username string, command []byte, now time.Time) (password bool, err error) {
	name := strings.ToLower(username)
	err = s.durably(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE usernames SET reserved_ms = $3 WHERE name = $1 AND command = $2 AND user_id = 0`,
			name, command, now.Add(hold).UnixMilli())
		if err := taken(r, err); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT password_hash <> '' FROM usernames WHERE name = $1`, name).Scan(&password)
	})
	if err != nil {
		return false, fmt.Errorf("hold username: %w", err)
	}
	return password, nil
}

// taken turns a statement that changed nothing into core.ErrTaken.
func taken(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return core.ErrTaken
}

// userOrStranger reads a joined user body. Without one the user's bucket is behind (it is replayed at another pace): the id must do.
func userOrStranger(id proto.ID, part string) (proto.User, error) {
	if part == "" {
		return proto.NewUser(id, "unknown", false), nil
	}
	var u proto.User
	return u, parse(part, &u)
}
