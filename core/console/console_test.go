package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/console"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A desk is a console over a directory with people, a bot and guilds; commands are noted and answered, executed they are not.
type desk struct {
	*console.Console
	mu       sync.Mutex
	commands []*pb.Command
	forgot   []proto.ID
	fail     error
	part     part
}

func (d *desk) Name() string { return "core-7" }

func (d *desk) Infos(context.Context) ([]bucket.Info, error) {
	return []bucket.Info{{Bucket: 0, Phase: "owned", Epoch: 3, Sequence: 9}, {Bucket: 1, Phase: "idle"}}, errors.New("history: down")
}

func (d *desk) Sum() bucket.Sum { return bucket.Sum{Phases: map[string]int{"owned": 1, "idle": 1}} }

func (d *desk) Do(_ context.Context, cmd *pb.Command) (*pb.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commands = append(d.commands, cmd)
	return &pb.Result{Status: 204}, d.fail
}

func (d *desk) forget(bot proto.ID, logins ...proto.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgot = append(append(d.forgot, bot), logins...)
}

const (
	alice = proto.ID(1<<40 | 9<<12)
	robot = proto.ID(1<<40 | 9<<12 | 1)
	tea   = proto.ID(1<<40 | 7<<12)
)

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	event := func(kind string, guild, user proto.ID, v any) *pb.Event {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return &pb.Event{Type: kind, Guild: uint64(guild), User: uint64(user), Body: text}
	}
	person := proto.NewUser(alice, "alice", false)
	g := proto.NewGuild(tea, "Tea room", alice)
	g.Roles = []proto.Role{{ID: tea, Name: "@everyone"}}
	g.Channels = []proto.Channel{{ID: tea + 1, GuildID: tea, Name: "lobby"}}
	g.Members = []proto.Member{{User: &person, Roles: []proto.ID{}}}
	for bucket, events := range map[int][]*pb.Event{
		9: {event(proto.EventInternalUserBorn, 0, alice, core.Account{User: person}),
			event(proto.EventInternalUserBorn, 0, robot, core.Account{User: proto.NewUser(robot, "Robot", true), TokenHash: []byte("topsecret"), OwnerID: alice})},
		7: {event(proto.EventInternalGuildBorn, tea, 0, g)},
	} {
		err := dir.Apply(t.Context(), []core.Applied{{Bucket: bucket, Sequence: 1, Entry: &pb.Entry{Epoch: 1, Counter: 1, Events: events}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for id := range proto.ID(3) {
		l := core.Login{ID: 100 + id, User: alice, RefreshHash: []byte{byte(id)}, Expires: time.Now().Add(time.Hour)}
		if err := dir.AddLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	d := &desk{}
	d.Console = console.New(console.Config{Directory: dir, Owner: d, Claims: &d.part, Commands: d, Forget: d.forget,
		Hub: func() string { return "hub-2" }, Since: time.Now()})
	return d
}

func (d *desk) ask(t *testing.T, method, target, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(method, "/admin/v1/"+target, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func TestPages(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		target string
		status int
		want   string
	}{
		{"users", 200, `"username":"alice"`},
		{"users?bots=true", 200, `"owner_id":"` + alice.String() + `"`},
		{"users?limit=1", 200, `"next":null`},
		{"users?name=ALI", 200, alice.String()},
		{"users?name=bob", 200, `{"users":[],"next":null}`},
		{"users/alice", 200, `"guilds":[]`},
		{"users/" + alice.String(), 200, `"bots":[{"id":"` + robot.String()},
		{"users/" + robot.String(), 200, `"logins":[],"bots":[]`},
		{"users/nobody", 404, "there is no account"},
		{"users?limit=0", 400, "limit"}, {"users?limit=1001", 400, "limit"}, {"users?after=x", 400, "after"}, {"users?bots=maybe", 400, "bots"},
		{"users?name=" + strings.Repeat("x", 401), 400, "name"},
		{"guilds", 200, `"name":"Tea room","owner_id":"` + alice.String() + `","members":1`},
		{"guilds?name=tea", 200, tea.String()},
		{"guilds/" + tea.String(), 200, `"owner":"alice","roles":1,"channels":[{`},
		{"guilds/5", 404, "there is no guild 5"}, {"guilds/tea", 400, "name="},
		{"names?ids=" + alice.String() + ",5", 200, `{"` + alice.String() + `":"alice"}`},
		{"names?ids=x", 400, "ids"},
		{"buckets", 200, `"owner":"core-7"`}, {"buckets", 200, `"idle":1,"trouble":"history: down"`}, {"buckets?all=true", 200, `"phase":"idle"`},
	} {
		status, text := d.ask(t, "GET", c.target, "")
		if status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%.60s: got %d %s, want %d with %s", c.target, status, text, c.status, c.want)
		}
		for _, secret := range []string{"topsecret", "dG9wc2VjcmV0", "hash"} {
			if strings.Contains(strings.ToLower(text), secret) {
				t.Errorf("%s shows %s", c.target, secret)
			}
		}
	}
}

func TestRevoke(t *testing.T) {
	d := newDesk(t)
	if status, text := d.ask(t, "POST", "tokens/revoke", `{"user":"alice"}`); status != 200 || !strings.Contains(text, `"revoked":3`) {
		t.Errorf("a person: got %d %s, want 3 logins", status, text)
	}
	gone := []string{}
	for _, c := range d.commands {
		gone = append(gone, string(c.Body))
		if c.Kind != core.KindSessionGone || c.Target != uint64(alice) || c.Bucket != 9 || c.Actor != 0 || len(c.Id) != 16 {
			t.Errorf("a person: sent %v", c)
		}
	}
	slices.Sort(gone)
	slices.Sort(d.forgot)
	if strings.Join(gone, "") != `{"session":"100"}{"session":"101"}{"session":"102"}` || !slices.Contains(d.forgot, 102) {
		t.Errorf("a person: revoked %q, forgot %v", gone, d.forgot)
	}

	d.commands, d.forgot = nil, nil
	for range 2 {
		if status, text := d.ask(t, "POST", "tokens/revoke", `{"user":"`+robot.String()+`"}`); status != 200 {
			t.Errorf("a bot: got %d %s", status, text)
		}
	}
	if len(d.commands) != 2 || d.commands[0].Kind != core.KindTokenReset || d.commands[0].Target != uint64(robot) ||
		string(d.commands[0].Body) == string(d.commands[1].Body) || !slices.Equal(d.forgot, []proto.ID{robot, robot}) {
		t.Errorf("a bot: sent %v, forgot %v, want two random tokens", d.commands, d.forgot)
	}

	for body, want := range map[string]int{``: 400, `{"user":1}`: 400, `{"name":"alice"}`: 400, `{"user":"nobody"}`: 404,
		`{"user":"` + strings.Repeat("x", 5000) + `"}`: 400} {
		if status, text := d.ask(t, "POST", "tokens/revoke", body); status != want {
			t.Errorf("%.40s: got %d %s, want %d", body, status, text, want)
		}
	}
	d.fail = proto.ErrUnavailable
	if status, _ := d.ask(t, "POST", "tokens/revoke", `{"user":"alice"}`); status != 503 {
		t.Errorf("no owner answers: got %d, want 503", status)
	}
}
