package sqlstore

import (
	"database/sql"
	"fmt"
	"hash/fnv"
	"net/url"
	"os"
	"testing"
)

// InSchema is a server's URL with a schema named after a place, made if it is missing and dropped after the test.
func InSchema(t testing.TB, server, place string) string {
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
