package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/url"
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
	"SQLite":   openSQLite,
	"Postgres": func(t testing.TB, place string) *sqlstore.Store { return openPostgres(t, servers.Address(t, "postgres"), place) },
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
	s, err := sqlstore.OpenPostgres(ctx, inSchema(t, server, place), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// inSchema is a server's URL with a schema named after a place, made if it is missing and dropped after the test.
func inSchema(t testing.TB, server, place string) string {
	t.Helper()
	h := fnv.New64a()
	h.Write([]byte(place))
	schema := fmt.Sprintf("test_%x", h.Sum64())
	run(t, server, `CREATE SCHEMA IF NOT EXISTS `+schema)
	if !schemas[schema] && os.Getenv("STORETEST_VICTIM") == "" {
		schemas[schema] = true
		t.Cleanup(func() {
			delete(schemas, schema)
			run(t, server, `DROP SCHEMA `+schema+` CASCADE`)
		})
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

var schemas = map[string]bool{} // for which a drop is due; tests of this package run one after the other

func run(t testing.TB, server, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
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
