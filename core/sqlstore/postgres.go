package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Connections of a core to Postgres. Writes have connections of their own, so that a herd of reads does not keep the log from being applied.
const (
	pgWriters = 8
	pgReaders = 16
)

// Bounds on Postgres. Whoever has less time says so by context.
const (
	connectLimit = 3 * time.Second
	readLimit    = 5 * time.Second
	writeLimit   = 30 * time.Second       // of one statement: a guild of a million members goes with a few
	lockLimit    = 5 * time.Second        // for a row that another transaction holds
	idleLimit    = 10 * time.Second       // in a transaction whose client has gone silent
	callPause    = 500 * time.Millisecond // between tries to reach a server when a core starts
)

// OpenPostgres opens the directory in the database that a URL postgres://user@host:port/name names, with the parameters of libpq (a
// password is best left to passfile=), and brings its schema up to date. It waits for a server that is not there yet until ctx ends.
//
// Every commit is on the server's disk when Apply returns, whatever becomes of the server after: an owner goes on from what it was told is
// applied, and would not notice that a restarted server knows less. For the same reason synchronous_commit has to stay on, and a standby
// that takes over has to be synchronous.
func OpenPostgres(ctx context.Context, url string, log *slog.Logger) (*Store, error) {
	s, err := openPostgres(ctx, url, log)
	if err != nil {
		return nil, fmt.Errorf("directory in Postgres: %w", err)
	}
	return s, nil
}

func openPostgres(ctx context.Context, url string, log *slog.Logger) (*Store, error) {
	if !inPostgres(url) {
		return nil, errors.New("want a URL that begins with postgres://")
	}
	write, err := dial(url, pgWriters, writeLimit, nil)
	if err != nil {
		return nil, err
	}
	read, err := dial(url, pgReaders, readLimit, map[string]string{"default_transaction_read_only": "on"})
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	s := &Store{write: write, read: read}
	s.durably = func(ctx context.Context, f func(tx *sql.Tx) error) error { return inTx(ctx, write, f) }
	if err := awaitServer(ctx, write, log); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if _, err := MigrateUp(ctx, url); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// dial makes a pool without connecting. limit bounds every statement on both sides; 0 = none, for migrations.
func dial(url string, size int, limit time.Duration, params map[string]string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.ConnectTimeout = connectLimit
	set := func(name string, d time.Duration) { cfg.RuntimeParams[name] = strconv.FormatInt(d.Milliseconds(), 10) }
	if limit > 0 {
		cfg.Tracer = bound(limit)
		set("statement_timeout", limit)
		set("lock_timeout", lockLimit)
		set("idle_in_transaction_session_timeout", idleLimit)
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "starling"
	}
	for name, value := range params {
		cfg.RuntimeParams[name] = value
	}
	db := stdlib.OpenDB(*cfg) // keeps prepared statements per connection, and tries a connection that was idle before it uses it
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute) // so that cores spread again over servers behind one name
	return db, nil
}

// bound is a tracer for what a tracer may also do: give each statement a context, here one that ends. Without it a server that is silent,
// not gone, would hold callers that have all the time in the world.
type bound time.Duration

type boundKey struct{}

// TraceQueryStart is pgx.QueryTracer's.
func (b bound) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(b))
	return context.WithValue(ctx, boundKey{}, cancel)
}

// TraceQueryEnd is pgx.QueryTracer's.
func (b bound) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if cancel, ok := ctx.Value(boundKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// awaitServer tries until the server answers. What no waiting mends, such as a wrong password, ends it at once.
func awaitServer(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	for tries := 1; ; tries++ {
		err := db.PingContext(ctx)
		if err == nil || refusedForGood(err) {
			return err
		}
		if tries == 1 {
			log.Warn("Postgres does not answer, will go on trying", "err", err)
		}
		t := time.NewTimer(callPause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

// refusedForGood tells an answer of the server from no answer, and from one that says "not now": classes 53 and 57 of SQLSTATE.
func refusedForGood(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code[:2] != "53" && answer.Code[:2] != "57"
}

// conflict tells that Postgres undid a transaction for no fault of its own: class 40, serialization failures and deadlocks.
func conflict(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && len(answer.Code) == 5 && answer.Code[:2] == "40"
}
