package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
)

func openTest(t *testing.T) (s *Store, url string) {
	t.Helper()
	url = InSchema(t, servers.Address(t, "postgres"), t.TempDir())
	s, err := OpenPostgres(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, url
}

// Cores that start at once find one schema, and what is up to date stays as it is.
func TestMigrateAtOnce(t *testing.T) {
	url := InSchema(t, servers.Address(t, "postgres"), t.TempDir())
	var mu sync.Mutex
	var all []Migration
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			done, err := MigrateUp(t.Context(), url)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, done...)
		})
	}
	wg.Wait()
	known, err := Migrations(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(known) {
		t.Errorf("four cores made %d steps, want %d, each once", len(all), len(known))
	}
	for _, m := range known {
		if m.Applied.IsZero() {
			t.Errorf("%s is pending", m.Name)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s, _ := openTest(t)
	if _, err := s.read.(*sql.DB).Exec(`DELETE FROM logins`); err == nil {
		t.Error("a reading connection wrote")
	}
}

// Two transactions take two rows in opposite order: Postgres undoes one, which runs again.
func TestConflictIsRunAgain(t *testing.T) {
	s, _ := openTest(t)
	for bucket := range 2 {
		if _, err := s.write.Exec(`INSERT INTO checkpoints (bucket, sequence, counter, epoch, last_id) VALUES ($1, 0, 0, 0, 0)`, bucket); err != nil {
			t.Fatal(err)
		}
	}
	var met, wg sync.WaitGroup
	met.Add(2)
	for first := range 2 {
		wg.Go(func() {
			tries := 0
			err := inTx(t.Context(), s.write, func(tx *sql.Tx) error {
				tries++
				for i, bucket := range []int{first, 1 - first} {
					if _, err := tx.Exec(`UPDATE checkpoints SET counter = counter + 1 WHERE bucket = $1`, bucket); err != nil {
						return err
					}
					if i == 0 && tries == 1 {
						met.Done()
						met.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("after %d tries: %v", tries, err)
			}
		})
	}
	wg.Wait()
	all, err := s.Checkpoints(t.Context())
	if err != nil || len(all) != 2 || all[0].Counter != 2 || all[1].Counter != 2 {
		t.Errorf("got %+v, %v, want both counted twice", all, err)
	}
}

// A server that is slow or silent holds nobody who has set no bound.
func TestBounds(t *testing.T) {
	const limit = 300 * time.Millisecond
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, into its backlog, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for url, bound := range map[string]time.Duration{
		servers.Address(t, "postgres"):                                            limit,
		"postgres://starling@" + ln.Addr().String() + "/starling?sslmode=disable": connectLimit,
	} {
		db, err := dial(url, 1, limit, nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, err = db.Exec(`SELECT pg_sleep(20)`)
		if took := time.Since(begun); err == nil || took > bound+3*time.Second {
			t.Errorf("got %v after %v, want a failure after %v", err, took, bound)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A recorder keeps the statements that a pool was given.
type recorder struct {
	mu   sync.Mutex
	seen []pgx.TraceQueryStartData
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, q)
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// bigGuild has this many members, of whom a thousandth holds a role. Plans are the same for a million.
const bigGuild = 100_000

// What is asked about a large guild costs what it answers: no plan passes over all members.
func TestLargeGuild(t *testing.T) {
	s, url := openTest(t)
	const guild, role = proto.ID(7 << 12), proto.ID(8 << 12)
	user := func(n string) string { return `(` + n + `::bigint << 22)` }
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO users SELECT %s, 0, '{"id":"' || %[1]s || '","username":"user' || n || '"}', '', '' FROM generate_series(1, %d) n`, user("n"), bigGuild),
		fmt.Sprintf(`INSERT INTO members SELECT %d, %s, '{"roles":[],"joined_at":"2026-01-02T03:04:05.678000+00:00"}', 0 FROM generate_series(1, %d) n`, guild, user("n"), bigGuild),
		fmt.Sprintf(`INSERT INTO member_names SELECT %d, ('user' || n)::bytea, %s FROM generate_series(1, %d) n`, guild, user("n"), bigGuild),
		fmt.Sprintf(`INSERT INTO member_roles SELECT %d, %d, %s FROM generate_series(1, %d, 1000) n`, guild, role, user("n"), bigGuild),
		// Another guild, of the same people, who all have a role there.
		`INSERT INTO members SELECT guild_id + 1, user_id, body, 0 FROM members`,
		fmt.Sprintf(`INSERT INTO member_roles SELECT guild_id, %d, user_id FROM members WHERE guild_id <> %d`, role, guild),
		`INSERT INTO sweeps SELECT n, 0, 5, 1, n, 0, n, 1 FROM generate_series(1, 10000) n`,
		`ANALYZE`,
	} {
		if _, err := s.write.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	cfg.Tracer = rec
	spied := stdlib.OpenDB(*cfg)
	defer spied.Close()
	spied.SetMaxOpenConns(1)
	spy := &Store{read: spied}
	ctx := t.Context()
	middle := proto.ID(bigGuild / 2 << 22)
	for _, c := range []struct {
		name string
		want int
		ask  func() (int, error)
	}{
		{"page", 100, func() (int, error) { l, err := spy.Members(ctx, guild, middle, 100); return len(l), err }},
		{"search", 100, func() (int, error) { l, err := spy.FindMembers(ctx, guild, "user77", 100); return len(l), err }},
		{"role", bigGuild / 1000, func() (int, error) { l, err := spy.MembersByRole(ctx, guild, role, 0, 1000); return len(l), err }},
		{"member", 1, func() (int, error) { _, err := spy.Member(ctx, guild, middle); return 1, err }},
		{"prunable", 100, func() (int, error) {
			l, err := spy.Prunable(ctx, guild, core.PruneQuery{Joined: time.Now(), Roles: []proto.ID{role}}, 100)
			return len(l), err
		}},
	} {
		begun := time.Now()
		got, err := c.ask()
		cold := time.Since(begun)
		if err != nil || got != c.want {
			t.Fatalf("%s: got %d, %v, want %d", c.name, got, err, c.want)
		}
		begun = time.Now()
		if _, err := c.ask(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s of %d members: first %v, again %v", c.name, bigGuild, cold, time.Since(begun))
		q := rec.seen[len(rec.seen)-1]
		modes := []string{"force_custom_plan", "force_generic_plan"}
		if c.name == "prunable" { // asked too seldom for Postgres to keep a plan
			modes = modes[:1]
		}
		plan := explain(t, s.write, modes, q.SQL, q.Args)
		if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Merge") {
			t.Errorf("%s: a pass over a table or an index:\n%s\n%s", c.name, q.SQL, plan)
		}
	}
}

// explain gives the plans that Postgres makes of a prepared statement: custom, for these arguments, and generic, which it keeps for any.
func explain(t *testing.T, db *sql.DB, modes []string, query string, args []any) string {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`PREPARE explained AS ` + query); err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, a := range args {
		switch a := a.(type) { // the driver says how it wants its answer among the arguments
		case int, int64:
			values = append(values, fmt.Sprint(a))
		case []byte:
			values = append(values, fmt.Sprintf(`'\x%x'`, a))
		}
	}
	all := ""
	for _, mode := range modes {
		if _, err := tx.Exec(`SET LOCAL plan_cache_mode = ` + mode); err != nil {
			t.Fatal(err)
		}
		lines, err := collect(t.Context(), tx, func(rows *sql.Rows) (s string, err error) { return s, rows.Scan(&s) },
			`EXPLAIN EXECUTE explained(`+strings.Join(values, ", ")+`)`)
		if err != nil {
			t.Fatal(err)
		}
		all += mode + "\n" + strings.Join(lines, "\n") + "\n"
	}
	if _, err := tx.Exec(`DEALLOCATE explained`); err != nil {
		t.Fatal(err)
	}
	return all
}
