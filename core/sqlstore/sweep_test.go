package sqlstore

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A role of everybody and then a guild of very many are deleted. The entries cost next to nothing, so that the bucket goes on; the log tells
// what the rest costs, which is done in parts.
func TestSweepLarge(t *testing.T) {
	const members = bigGuild / 5
	for name, open := range map[string]func(*testing.T) *Store{
		"SQLite": func(t *testing.T) *Store {
			s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		"Postgres": func(t *testing.T) *Store { s, _ := openTest(t); return s },
	} {
		t.Run(name, func(t *testing.T) { sweepLarge(t, open(t), members) })
	}
}

func sweepLarge(t *testing.T, s *Store, members int) {
	ctx := t.Context()
	const guild, role = proto.ID(7 << 12), proto.ID(8 << 12)
	count := fmt.Sprintf(`WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %d)`, members)
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO guilds VALUES (%d, '{"id":"%[1]d"}', %d)`, guild, members),
		fmt.Sprintf(`%s INSERT INTO members SELECT %d, n * CAST(4194304 AS BIGINT), '{"roles":["%d"],"joined_at":"2026-01-02T03:04:05.678000+00:00"}', 0 FROM n`, count, guild, role),
		fmt.Sprintf(`%s INSERT INTO member_names SELECT %d, CAST('user' || n AS BYTEA), n * CAST(4194304 AS BIGINT) FROM n`, count, guild),
		fmt.Sprintf(`%s INSERT INTO member_roles SELECT %d, %d, n * CAST(4194304 AS BIGINT) FROM n`, count, guild, role),
	} {
		if _, err := s.write.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	counter := uint64(0)
	timed := func(what string, f func()) {
		t.Helper()
		begun := time.Now()
		f()
		t.Logf("%s, of %d members: %v", what, members, time.Since(begun))
	}
	apply := func(kind string, v any) {
		t.Helper()
		counter++
		e := &pb.Entry{Epoch: 1, Counter: counter, Events: []*pb.Event{{Type: kind, Guild: uint64(guild), Body: []byte(body(v))}}}
		if err := s.Apply(ctx, []core.Applied{{Bucket: 7, Sequence: counter, Entry: e}}); err != nil {
			t.Fatal(err)
		}
	}
	sweep := func() (parts int) {
		t.Helper()
		for {
			more, err := s.Sweep(ctx, 7)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				return parts
			}
			parts++
		}
	}
	parts, told := 0, 0
	timed("a role deleted", func() { apply(proto.EventGuildRoleDelete, proto.GuildRoleDelete{GuildID: guild, RoleID: role}) })
	timed("it is swept", func() { parts = sweep() })
	if parts < members/sweepMembers {
		t.Errorf("swept in %d parts", parts)
	}
	timed("the guild deleted", func() { apply(proto.EventGuildDelete, proto.GuildStub{ID: guild}) })
	timed("its outbox listed and done", func() {
		for {
			page, err := s.Outbox(ctx, 7, 500)
			if err != nil {
				t.Fatal(err)
			}
			if told += len(page); len(page) == 0 {
				return
			}
			if err := s.Done(ctx, page...); err != nil {
				t.Fatal(err)
			}
		}
	})
	timed("it is swept", func() { sweep() })
	if told != members {
		t.Errorf("%d were told, want %d", told, members)
	}
	for _, table := range []string{"members", "member_names", "member_roles", "sweeps", "outbox"} {
		var n int
		if err := s.write.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d rows are left, %v", table, n, err)
		}
	}
}
