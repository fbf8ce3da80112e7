package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/spf13/cobra"
)

// admin runs starling admin and gives what it wrote.
func (tw *town) admin(args ...string) (out, remarks string, err error) {
	var o, e text
	err = run(context.Background(), append([]string{"admin", "--data", tw.dir}, args...), noEnv, &o, &e)
	return o.String(), e.String(), err
}

// adminJSON is admin --json for what must not fail.
func (tw *town) adminJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	out, remarks, err := tw.admin(append(args, "--json")...)
	if err == nil {
		err = json.Unmarshal([]byte(out), into)
	}
	if err != nil {
		t.Fatalf("admin %q: %v\n%s%s", args, err, out, remarks)
	}
}

// seeded is what starling seed prints, as far as these tests need it.
type seeded struct {
	Guild string `json:"guild_id"`
	Owner struct{ ID, Token string }
	Users []struct{ ID, Token, Username string }
	Bots  []struct{ ID, Token string }
}

func (tw *town) seed(t *testing.T) (s seeded) {
	t.Helper()
	var out, progress text
	err := run(context.Background(), []string{"seed", "--url", tw.base(t), "--users", "2", "--bots", "1"}, noEnv, &out, &progress)
	if err == nil {
		err = json.Unmarshal([]byte(out.String()), &s)
	}
	if err != nil || len(s.Users) != 2 || len(s.Bots) != 1 {
		t.Fatalf("seed: %v\n%s", err, out.String())
	}
	return s
}

// A listener is a client of the gateway that identified.
type listener struct{ ended chan int }

// listen identifies at an edge and reads on; ended has the close code.
func listen(t *testing.T, base, token string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(base, "http")+"/gateway?v=10&encoding=json")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l := &listener{ended: make(chan int, 1)}
	ready := make(chan struct{})
	identify := fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":1,"properties":{}}}`, token)
	if err := wsutil.WriteClientText(conn, []byte(identify)); err != nil {
		t.Fatal(err)
	}
	go func() {
		for told := false; ; {
			text, err := wsutil.ReadServerText(conn)
			if err != nil {
				code := -1
				if closed, ok := err.(wsutil.ClosedError); ok {
					code = int(closed.Code)
				}
				l.ended <- code
				return
			}
			if !told && strings.Contains(string(text), `"t":"GUILD_CREATE"`) {
				told = true
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
	case code := <-l.ended:
		t.Fatalf("closed with %d before the guild came", code)
	case <-time.After(15 * time.Second):
		t.Fatal("no guild after 15 s")
	}
	return l
}

func (l *listener) expectClose(t *testing.T, want int) {
	t.Helper()
	select {
	case code := <-l.ended:
		if code != want {
			t.Errorf("closed with %d, want %d", code, want)
		}
	case <-time.After(15 * time.Second):
		t.Errorf("not closed after 15 s, want %d", want)
	}
}

type sessionList struct {
	Total    int
	Sessions []struct{ Edge, ID, User, Username string }
}

// TestAdminOfARunningMesh runs the commands as an operator does, on two edges.
func TestAdminOfARunningMesh(t *testing.T) {
	tw := startTown(t, t.TempDir(), "--rate-limits=off")
	s := tw.seed(t)
	bot, person := s.Bots[0], s.Users[0]
	second := tw.match(t, `edge-2\s+(http://\S+)`)
	botLine, personLine := listen(t, tw.base(t), bot.Token), listen(t, second, person.Token)

	for _, c := range []struct {
		args  string
		wants []string
	}{
		{"users", []string{"NAME", person.ID, person.Username, "3 people"}},
		{"users --limit 1", []string{"the next with --after"}},
		{"users --all --limit 1", []string{person.ID}},
		{"users --name " + person.Username[:3], []string{person.ID}},
		{"users " + person.Username, []string{"person", "logins", s.Guild}},
		{"bots", []string{bot.ID, s.Owner.ID, "1 bot"}},
		{"bots " + bot.ID, []string{"bot", s.Owner.ID}},
		{"guilds", []string{s.Guild, "MEMBERS", "Seed"}},
		{"guilds --name see", []string{s.Guild}},
		{"guilds --name x", []string{"no guild whose name begins with"}},
		{"guilds " + s.Guild, []string{"members  4", "general"}},
		{"buckets", []string{"core-1", "owned", "never used"}},
		{"buckets " + s.Guild, []string{"1 owned"}},
		{"sessions", []string{"edge-1", "edge-2", person.Username, "2 sessions on 2 edges", "connected", "127.0.0.1"}},
		{"sessions --edge edge-2", []string{person.ID, "1 session on 1 edge"}},
		{"sessions --user " + person.Username, []string{person.ID, "1 session on 2 edges"}},
		{"sessions --all", []string{bot.ID, "2 sessions on 2 edges"}},
	} {
		out, remarks, err := tw.admin(strings.Fields(c.args)...)
		if err != nil {
			t.Errorf("admin %s: %v", c.args, err)
		}
		for _, want := range c.wants {
			if !strings.Contains(out+remarks, want) {
				t.Errorf("admin %s: no %q in\n%s%s", c.args, want, out, remarks)
			}
		}
		if strings.Contains(out, "argon2") || strings.Contains(out, bot.Token) || strings.Contains(out, person.Token) {
			t.Errorf("admin %s shows a secret:\n%s", c.args, out)
		}
	}

	var list sessionList
	tw.adminJSON(t, &list, "sessions", "--user", bot.ID)
	if len(list.Sessions) != 1 || list.Sessions[0].Edge != "edge-1" {
		t.Fatalf("sessions of the bot: got %+v", list)
	}
	if _, remarks, err := tw.admin("sessions", "close", list.Sessions[0].ID); err != nil || !strings.Contains(remarks, "edge-1 is closed") {
		t.Errorf("close: %v %s", err, remarks)
	}
	botLine.expectClose(t, 4000)

	botLine = listen(t, second, bot.Token)
	if _, _, err := tw.admin("tokens", "revoke", person.Username, bot.ID); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("revoke without --yes: got %v, want to be asked for it", err)
	}
	if out, remarks, err := tw.admin("tokens", "revoke", person.Username, bot.ID, "--yes"); err != nil || !strings.Contains(out, "1 login") {
		t.Errorf("revoke: %v\n%s%s", err, out, remarks)
	}
	botLine.expectClose(t, 4004)
	personLine.expectClose(t, 4004)
	for _, token := range []string{"Bot " + bot.Token, person.Token} {
		if status := askedBy(t, tw.base(t)+"/api/v10/users/@me", token); status != 401 {
			t.Errorf("a revoked token: got %d, want 401", status)
		}
	}
	if status := askedBy(t, tw.base(t)+"/api/v10/users/@me", s.Users[1].Token); status != 200 {
		t.Errorf("another's token: got %d, want 200", status)
	}
	tw.adminMistakes(t)
	tw.leave(t)
	if _, _, err := tw.admin("users"); err == nil || !strings.Contains(err.Error(), "no mesh runs on") {
		t.Errorf("after the end: got %v, want to hear that no mesh runs", err)
	}
}

func (tw *town) adminMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"users nobody":               "there is no account",
		"users --limit 0":            "limit",
		"guilds x":                   "search by name",
		"guilds 1":                   "there is no guild 1",
		"buckets 1024":               "0 to 1023",
		"sessions --edge x":          "edge-1, edge-2",
		"sessions --watch --all":     "do not go together",
		"sessions close abcdefgh":    "no edge has a session",
		"sessions close abc":         "8 characters",
		"users --admin 127.0.0.1:1":  "want a URL",
		"tokens revoke nobody --yes": "there is no account",
	} {
		if _, _, err := tw.admin(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("admin %s: got %v, want %q", args, err, want)
		}
	}
	page := tw.match(t, `edge-1 .*admin (http://\S+)`)
	if _, _, err := tw.admin("users", "--admin", page); err == nil || !strings.Contains(err.Error(), "core") {
		t.Errorf("users by an edge's page: got %v, want a core asked for", err)
	}
	if out, _, err := tw.admin("sessions", "--admin", page, "--json"); err != nil || !strings.Contains(out, `"edges": 1`) {
		t.Errorf("sessions by an edge's page: %v %s", err, out)
	}
}

func askedBy(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

// TestAdminWatch watches a mesh of processes while an edge is killed.
func TestAdminWatch(t *testing.T) {
	t.Setenv(asMain, "1")
	tw := startTown(t, t.TempDir(), "--processes")
	s := tw.seed(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, remarks text
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"admin", "--data", tw.dir, "buckets", "--watch", "--json"}, noEnv, &out, &remarks)
	}()
	busy := regexp.MustCompile(`"rate":[0-9.]*[1-9]`)
	n := 0
	until(t, "the rate of a bucket shows", func() bool {
		if n++; n%20 == 1 {
			post(t, tw.base(t)+"/api/v10/guilds/"+s.Guild+"/channels", s.Owner.Token, `{"name":"tea"}`)
		}
		return busy.MatchString(out.String())
	})
	stop()
	if err := <-done; err != nil {
		t.Errorf("watch ended with %v", err)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line is no JSON: %s", line)
		}
	}

	var rows map[string]row
	until(t, "mesh.json is there", func() bool { rows = readMesh(t, tw.dir); return len(rows) == 6 })
	syscall.Kill(rows["edge-2"].PID, syscall.SIGKILL)
	until(t, "its end is known", func() bool { return readMesh(t, tw.dir)["edge-2"].PID == 0 })
	text, _, err := tw.admin("sessions", "--admin", "http://"+rows["edge-1"].Admin+",http://"+rows["edge-2"].Admin)
	if err == nil || !strings.Contains(err.Error(), "nobody listens there") {
		t.Errorf("a dead page: got %v %s", err, text)
	}
	until(t, "the dead edge is left out", func() bool {
		_, remarks, err := tw.admin("sessions")
		return err == nil && strings.Contains(remarks, "on 1 edge")
	})
	tw.leave(t)
}

func TestAdminTeachesByExample(t *testing.T) {
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "starling admin") {
			t.Errorf("%s: want a short text, a long one, and examples", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(adminCommand(newAdminApp(&app{getenv: noEnv})))
}

func TestAdminWithoutAMesh(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	err := run(context.Background(), []string{"admin", "users", "--data", dir}, noEnv, &text{}, &text{})
	for _, want := range []string{dir, "starling dev", "--data", "--admin"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	err = run(context.Background(), []string{"admin", "users", "--admin", "http://127.0.0.1:1"}, noEnv, &text{}, &text{})
	if err == nil || !strings.Contains(err.Error(), "nobody listens there") {
		t.Errorf("got %v, want to hear that nobody listens", err)
	}
}
