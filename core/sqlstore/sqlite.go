package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

const readers = 4 // connections; WAL lets them read beside the writer

// OpenSQLite opens or makes the directory in the file at path, and brings its schema up to date.
//
// A commit is in the operating system's hands when Apply returns: it outlives the process, whatever kills it. A power cut may take the last
// commits, each with its checkpoint, and the log repeats them. Logins, which no log repeats, are synced to the disk.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	s, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", path, err)
	}
	return s, nil
}

func openSQLite(ctx context.Context, path string) (*Store, error) {
	if err := makeFile(path); err != nil {
		return nil, err
	}
	write, err := openToWrite(path)
	if err != nil {
		return nil, err
	}
	if _, err := migrate(ctx, goose.DialectSQLite3, write); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := openFile(path, nil, "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	s := &Store{write: write, read: newPrepared(read)}
	s.durably = s.synced
	return s, nil
}

// makeFile makes the file that SQLite would, but for nobody else to read: it holds password hashes. SQLite gives the files beside it the
// same mode.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openToWrite opens the one connection that writes.
func openToWrite(path string) (*sql.DB, error) {
	db, err := openFile(path, url.Values{"_txlock": {"immediate"}}, "journal_mode(WAL)", "synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func openFile(path string, query url.Values, pragmas ...string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if query == nil {
		query = url.Values{}
	}
	query["_pragma"] = append([]string{"busy_timeout(10000)"}, pragmas...)
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	return sql.Open("sqlite", file.String())
}

// synced runs f in a transaction of the one writing connection that is on the disk when synced returns.
func (s *Store) synced(ctx context.Context, f func(tx *sql.Tx) error) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	// Even if ctx ended meanwhile: a connection left at FULL would make every later Apply slow.
	defer conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = NORMAL")
	return inTx(ctx, conn, f)
}
