package sqlstore

import (
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// A directory of the first version is brought up to date, members and all.
func TestBackfill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory.db")
	if err := makeFile(path); err != nil {
		t.Fatal(err)
	}
	db, err := openFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	var joined proto.Time
	if err := joined.UnmarshalJSON([]byte(`"2026-01-02T03:04:05.678000+00:00"`)); err != nil {
		t.Fatal(err)
	}
	const members = backfillPage + 10
	for user := proto.ID(1); user <= members; user++ {
		if _, err := db.Exec(`INSERT INTO members (guild_id, user_id, body) VALUES (7, $1, $2)`, int64(user),
			body(proto.Member{JoinedAt: joined, Roles: []proto.ID{}})); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`INSERT INTO users (id, owner_id, body, password_hash, token_hash) VALUES (3, 0, $1, '', $2)`,
		body(proto.NewUser(3, "Robin", false)), []byte{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found, err := s.FindMembers(t.Context(), 7, "rob", 5)
	if err != nil || len(found) != 1 || found[0].User.ID != 3 {
		t.Errorf("found %+v, %v", found, err)
	}
	for days, want := range []int{0, members} {
		q := core.PruneQuery{Joined: time.Time(joined).AddDate(0, 0, days)}
		if n, err := s.PruneCount(t.Context(), 7, q); err != nil || n != want {
			t.Errorf("joined before %s: got %d, %v, want %d", q.Joined, n, err, want)
		}
	}
}
