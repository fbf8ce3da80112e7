package crowd_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/core/sqlstore/crowd"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m, "postgres")) }

const (
	guild = proto.ID(1<<42 | 9<<12)
	role  = guild + 1
	size  = 60
)

func TestSQLite(t *testing.T) { testCrowd(t, filepath.Join(t.TempDir(), "directory.db")) }

func TestPostgres(t *testing.T) {
	server := servers.Address(t, "postgres")
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec(`DROP SCHEMA test_crowd CASCADE`); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	if _, err := db.Exec(`CREATE SCHEMA test_crowd`); err != nil {
		t.Fatal(err)
	}
	testCrowd(t, server+"&search_path=test_crowd")
}

// A crowd made by copying reads like one that came by events, member by member.
func testCrowd(t *testing.T, place string) {
	c := crowd.Crowd{Guild: guild, Plain: crowd.Model{ID: guild + 10, Name: "plain"}, Holder: crowd.Model{ID: guild + 11, Name: "holder"},
		Rare: 7, First: guild + 1<<22, Step: 5 << 12}
	copied := open(t, place)
	apply(t, copied, born(t, c.Plain, c.Holder))
	if err := c.Make(t.Context(), place, size, func(int) {}); err != nil {
		t.Fatal(err)
	}
	told := open(t, filepath.Join(t.TempDir(), "told.db"))
	apply(t, told, born(t, c.Plain, c.Holder))
	e := &pb.Entry{Epoch: 1, Counter: 2}
	for i := 1; i <= size; i++ {
		u := proto.NewUser(c.User(i), crowd.Name(i), false)
		m := proto.GuildMember{GuildID: guild, Member: proto.Member{User: &u, Roles: []proto.ID{}, JoinedAt: proto.Time(guild.Time())}}
		if i%c.Rare == 0 {
			m.Roles = []proto.ID{role}
		}
		add(t, e, proto.EventInternalUserBorn, core.Account{User: u})
		add(t, e, proto.EventGuildMemberAdd, m)
	}
	apply(t, told, e)
	for name, read := range map[string]func(core.Directory) (any, error){
		"page":   func(d core.Directory) (any, error) { return d.Members(t.Context(), guild, c.User(3), size) },
		"search": func(d core.Directory) (any, error) { return d.FindMembers(t.Context(), guild, crowd.Name(5)[:7], size) },
		"filter": func(d core.Directory) (any, error) { return d.MembersByRole(t.Context(), guild, role, 0, size) },
		"guild":  func(d core.Directory) (any, error) { return d.Guild(t.Context(), guild) },
		"user":   func(d core.Directory) (any, error) { return d.User(t.Context(), c.User(size)) },
	} {
		got, err := read(copied)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := read(told)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, text(got), text(want))
		}
	}
}

func open(t *testing.T, place string) core.Directory {
	s, err := sqlstore.Open(context.Background(), place, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func apply(t *testing.T, d core.Directory, e *pb.Entry) {
	t.Helper()
	if err := d.Apply(t.Context(), []core.Applied{{Bucket: 9, Sequence: e.Counter, Entry: e}}); err != nil {
		t.Fatal(err)
	}
}

func born(t *testing.T, models ...crowd.Model) *pb.Entry {
	e := &pb.Entry{Epoch: 1, Counter: 1}
	g := proto.Guild{ID: guild, Name: "Crowd", OwnerID: models[0].ID, Roles: []proto.Role{{ID: guild, Name: "@everyone"}, {ID: role, Name: "holders"}}}
	for i, m := range models {
		u := proto.NewUser(m.ID, m.Name, false)
		add(t, e, proto.EventInternalUserBorn, core.Account{User: u})
		g.Members = append(g.Members, proto.Member{User: &u, Roles: []proto.ID{role}[:i], JoinedAt: proto.Time(guild.Time())})
	}
	add(t, e, proto.EventInternalGuildBorn, g)
	return e
}

func add(t *testing.T, e *pb.Entry, kind string, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	e.Events = append(e.Events, &pb.Event{Type: kind, Guild: uint64(guild), Body: b})
}

func text(v any) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return strings.TrimSpace(fmt.Sprintf("%s", b))
}
