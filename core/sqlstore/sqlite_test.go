package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
)

func TestOpenSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "50% of 'what'? #1.db")
	start := time.Now()
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("open and migrate: %v", time.Since(start))
	defer s.Close()
	if err := s.AddLogin(t.Context(), core.Login{ID: 1, User: 2, RefreshHash: []byte("r"), Expires: start}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, want 0600", filepath.Base(name), info.Mode())
		}
	}
	if _, err := s.read.(*prepared).Exec(`DELETE FROM logins`); err == nil {
		t.Error("a reading connection wrote")
	}
	var mode string
	if err := s.write.QueryRow(`PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal_mode: got %s, %v", mode, err)
	}
}

// A durable change leaves the connection as it found it, however it ended.
func TestSynced(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "d.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	level := func(q querier) (n int) {
		t.Helper()
		if err := q.QueryRowContext(context.Background(), `PRAGMA synchronous`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const normal, full = 1, 2
	failure := errors.New("no")
	for _, want := range []error{nil, failure, context.Canceled} {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.synced(ctx, func(tx *sql.Tx) error {
			if got := level(tx); got != full {
				t.Errorf("inside: synchronous %d, want %d", got, full)
			}
			if want == context.Canceled {
				cancel()
				return ctx.Err()
			}
			return want
		})
		cancel()
		if !errors.Is(err, want) {
			t.Errorf("err = %v, want %v", err, want)
		}
		if got := level(s.write); got != normal {
			t.Errorf("after %v: synchronous %d, want %d", want, got, normal)
		}
	}
}
