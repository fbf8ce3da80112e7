package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// AddLogin implements core.Logins.
func (s *Store) AddLogin(ctx context.Context, l core.Login) error {
	err := s.durably(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO logins (id, user_id, refresh_hash, expires_ms, revoked) VALUES ($1, $2, $3, $4, FALSE)`,
			int64(l.ID), int64(l.User), l.RefreshHash, l.Expires.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("login %d: add: %w", l.ID, err)
	}
	return nil
}

// RotateLogin implements core.Logins. It also drops what has run out of the same user's logins, or they would pile up.
func (s *Store) RotateLogin(ctx context.Context, oldHash, newHash []byte, now, expires time.Time) (core.Login, error) {
	var l core.Login
	err := s.durably(ctx, func(tx *sql.Tx) error {
		var err error
		l, err = scanLogin(tx.QueryRowContext(ctx, `UPDATE logins SET refresh_hash = $2, expires_ms = $4
			WHERE refresh_hash = $1 AND expires_ms > $3 AND revoked = FALSE RETURNING id, user_id, refresh_hash, expires_ms`,
			oldHash, newHash, now.UnixMilli(), expires.UnixMilli()))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM logins WHERE user_id = $1 AND expires_ms <= $2`, int64(l.User), now.UnixMilli())
		return err
	})
	if err != nil {
		return core.Login{}, fmt.Errorf("login: rotate: %w", err)
	}
	return l, nil
}

// RevokeLogin implements core.Logins. A repeat tells the login again, so that whoever lost the first answer can finish.
func (s *Store) RevokeLogin(ctx context.Context, hash []byte) (core.Login, error) {
	var l core.Login
	err := s.durably(ctx, func(tx *sql.Tx) (err error) {
		l, err = scanLogin(tx.QueryRowContext(ctx, `UPDATE logins SET revoked = TRUE WHERE refresh_hash = $1
			RETURNING id, user_id, refresh_hash, expires_ms`, hash))
		return err
	})
	if err != nil {
		return core.Login{}, fmt.Errorf("login: revoke: %w", err)
	}
	return l, nil
}

// LoginAlive implements core.Logins.
func (s *Store) LoginAlive(ctx context.Context, id proto.ID) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM logins WHERE id = $1 AND revoked = FALSE`, int64(id)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("login %d: %w", id, err)
	}
	return n > 0, nil
}

// sessionRevoke applies a revocation that came by the log.
func sessionRevoke(c change) error {
	return c.exec(`UPDATE logins SET revoked = TRUE WHERE id = $1`, int64(c.event.Id))
}

func scanLogin(row *sql.Row) (core.Login, error) {
	var l core.Login
	var id, user, expires int64
	if err := row.Scan(&id, &user, &l.RefreshHash, &expires); err != nil {
		return l, missing(err)
	}
	l.ID, l.User, l.Expires = proto.ID(id), proto.ID(user), time.UnixMilli(expires)
	return l, nil
}
