package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Accounts implements core.Directory.
func (s *Store) Accounts(ctx context.Context, q core.AccountQuery) ([]core.Account, error) {
	kind := ` AND owner_id = 0`
	if q.Bots {
		kind = ` AND owner_id <> 0`
	}
	where, args := page(kind, "username", q.Name, q.After, q.Limit)
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (core.Account, error) {
		var a core.Account
		var owner int64
		var user string
		if err := rows.Scan(&user, &owner); err != nil {
			return a, err
		}
		a.OwnerID = proto.ID(owner)
		return a, parse(user, &a.User)
	}, `SELECT body, owner_id FROM users`+where, args...)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return all, nil
}

// Guilds implements core.Directory.
func (s *Store) Guilds(ctx context.Context, q core.GuildQuery) ([]proto.Guild, error) {
	where, args := page("", "name", q.Name, q.After, q.Limit)
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (proto.Guild, error) {
		var g proto.Guild
		var text string
		var members int
		if err := rows.Scan(&text, &members); err != nil {
			return g, err
		}
		err := parse(text, &g)
		g.MemberCount = members
		return g, err
	}, `SELECT body, member_count FROM guilds`+where, args...)
	if err != nil {
		return nil, fmt.Errorf("guilds: %w", err)
	}
	return all, nil
}

// page is the end of a query for one page of rows with an id and a body, some of them by the beginning of a field of the body. A value cannot
// pass for a field: in JSON the quotes of a value are escaped.
func page(and, field, prefix string, after proto.ID, limit int) (string, []any) {
	args := []any{int64(after), limit}
	if prefix != "" {
		quoted := body(prefix)
		for _, lower := range []func(string) string{asciiLower, strings.ToLower} { // SQLite lowers as the first does, Postgres as the second
			args = append(args, `%"`+field+`":`+likely.Replace(lower(quoted[:len(quoted)-1]))+`%`)
		}
		and += ` AND (LOWER(body) LIKE $3 ESCAPE '!' OR LOWER(body) LIKE $4 ESCAPE '!')`
	}
	return ` WHERE id > $1` + and + ` ORDER BY id LIMIT $2`, args
}

// likely makes text mean itself to LIKE.
var likely = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// asciiLower leaves all but A-Z as it is.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// LoginsOf implements core.Directory.
func (s *Store) LoginsOf(ctx context.Context, user proto.ID) ([]core.Login, error) {
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (core.Login, error) {
		var id, expires int64
		err := rows.Scan(&id, &expires)
		return core.Login{ID: proto.ID(id), User: user, Expires: time.UnixMilli(expires)}, err
	}, `SELECT id, expires_ms FROM logins WHERE user_id = $1 AND revoked = FALSE ORDER BY id`, int64(user))
	if err != nil {
		return nil, fmt.Errorf("user %d: logins: %w", user, err)
	}
	return all, nil
}
