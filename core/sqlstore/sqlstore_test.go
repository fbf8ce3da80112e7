package sqlstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/core/storetest"
	"github.com/starling-chat/starling/deploy/servers"
)

func TestMain(m *testing.M) {
	code := servers.Main(m, "postgres")
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// databases says how a directory is opened at a place, for every database.
var databases = map[string]func(t testing.TB, place string) *sqlstore.Store{
	"SQLite": openSQLite,
	"Postgres": func(t testing.TB, place string) *sqlstore.Store {
		return openPostgres(t, servers.Address(t, "postgres"), place)
	},
}

func openSQLite(t testing.TB, place string) *sqlstore.Store {
	s, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(place, "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openPostgres opens a directory in a schema named after a place.
func openPostgres(t testing.TB, server, place string) *sqlstore.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := sqlstore.OpenPostgres(ctx, sqlstore.InSchema(t, server, place), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func directory(open func(testing.TB, string) *sqlstore.Store) func(*testing.T, string) core.Directory {
	return func(t *testing.T, place string) core.Directory { return open(t, place) }
}

func TestSQLiteDirectory(t *testing.T) { storetest.Directory(t, directory(openSQLite)) }

func TestSQLiteKill(t *testing.T) { storetest.KillDirectory(t, directory(openSQLite)) }

func TestPostgresDirectory(t *testing.T) {
	servers.Address(t, "postgres")
	storetest.Directory(t, directory(databases["Postgres"]))
}

func TestPostgresKill(t *testing.T) {
	servers.Address(t, "postgres")
	storetest.KillDirectory(t, directory(databases["Postgres"]))
}
