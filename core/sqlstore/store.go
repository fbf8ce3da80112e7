// Package sqlstore keeps the directory (guilds, channels, roles, members, users, bots, invites, logins, checkpoints) in SQL that SQLite and
// Postgres both run. It implements core.Directory and is the only package that knows SQL. It judges nothing: what Apply is given the log
// has accepted, and is written. It keeps no cache and no messages.
//
// Structure is guarded against late and repeated writes by the checkpoint of its bucket, which changes in the same transaction as the rows.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/core"
)

// A Store is a core.Directory in one database.
type Store struct {
	write *sql.DB // SQLite: one connection
	read  reader

	// durably runs a change that the log cannot repeat.
	durably func(ctx context.Context, f func(tx *sql.Tx) error) error
}

var _ core.Directory = (*Store)(nil)

// Close closes the database.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.write.Close())
}

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// A reader is a pool of connections that only read.
type reader interface {
	querier
	Close() error
}

// beginner is what *sql.DB and *sql.Conn have in common.
type beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// maxTries of a transaction that Postgres undoes because of others that run beside it; each begins anew with what those left.
const maxTries = 5

// inTx runs f in a transaction and commits unless f fails. f may run several times.
func inTx(ctx context.Context, db beginner, f func(tx *sql.Tx) error) error {
	for tries := 1; ; tries++ {
		err := oneTx(ctx, db, f)
		if tries == maxTries || !conflict(err) {
			return err
		}
		conflicts.Inc()
	}
}

func oneTx(ctx context.Context, db beginner, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

// rollback reports what went wrong, unless the context ended the transaction first.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// collect scans every row of a query.
func collect[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// scanInt scans rows of one integer.
func scanInt(rows *sql.Rows) (v int64, err error) { return v, rows.Scan(&v) }

// scanBody scans rows of one JSON body.
func scanBody[T any](rows *sql.Rows) (v T, err error) {
	var body string
	if err = rows.Scan(&body); err != nil {
		return v, err
	}
	return v, parse(body, &v)
}

// missing turns the absence of a row into core.ErrNotFound.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return core.ErrNotFound
	}
	return err
}

func parse(body string, v any) error {
	if err := json.Unmarshal([]byte(body), v); err != nil {
		return fmt.Errorf("stored body: %w", err)
	}
	return nil
}

// body is the JSON of a proto type, which cannot fail to encode.
func body(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("sqlstore: %T: %v", v, err))
	}
	return string(b)
}
