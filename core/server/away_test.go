package server

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A core starts while both servers are away, and serves as soon as Postgres is there; later each of them goes and comes back. What needs
// the one that is away is answered 503, as Discord says it, never 500, and works after; sends go on without Cassandra.
func TestStoresAway(t *testing.T) {
	keyspace := fmt.Sprintf("test_away_%d", time.Now().UnixNano())
	postgres, cassandra := schemaOf(t, keyspace), servers.Address(t, "cassandra")
	t.Cleanup(func() { dropKeyspace(t, cassandra, keyspace) })
	directory, history := newDoor(t, postgres.Host), newDoor(t, cassandra)
	postgres.Host = directory.address
	m := relaytest.Start(t, 1)
	edge := m.EdgeBus(t, 0)
	s := New(Config{Name: "core-0", Region: relaytest.Region, HubURL: m.Hub.ClientURL(), Secret: relaytest.Secret, DataDir: t.TempDir(),
		Postgres: postgres.String(), AccessLife: time.Hour,
		CQL: cql.Config{Hosts: []string{history.address}, Keyspace: keyspace, Replication: 1, Patience: 300 * time.Millisecond}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})

	if s.Check() == nil {
		t.Error("ready without stores")
	}
	directory.open()
	select {
	case <-s.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("ended while Cassandra was away: %v", err)
	case <-time.After(60 * time.Second):
		t.Fatal("not ready 60 s after Postgres was there")
	}

	c := &caller{t: t, ask: func(in *pb.RestCall) *pb.RestAnswer { return call(t, edge, in) }}
	c.token = c.object(201, "POST", "/auth/register", `{"username":"alice","password":"alice password"}`)["token"].(string)
	guild := "/v1/guilds/" + c.object(201, "POST", "/v1/guilds", `{"name":"Birds"}`)["id"].(string)
	messages := "/v1/channels/" + c.object(201, "POST", guild+"/channels", `{"name":"lobby"}`)["id"].(string) + "/messages"
	var sent []string
	say := func(text string) {
		t.Helper()
		c.object(200, "POST", messages, `{"content":"`+text+`"}`)
		sent = append(sent, text)
	}
	remembers := func() {
		t.Helper()
		var got []string
		relaytest.Until(t, "the history has it all", func() bool {
			status, body := c.try("GET", messages, "")
			c.sound(status, body)
			var page []struct{ Content string }
			got = nil
			if status == 200 && json.Unmarshal(body, &page) == nil {
				for _, m := range slices.Backward(page) {
					got = append(got, m.Content)
				}
			}
			return len(got) >= len(sent)
		})
		if !slices.Equal(got, sent) {
			t.Errorf("history: got %q, want %q", got, sent)
		}
	}
	say("before Cassandra")
	c.away("GET", messages, "")
	history.open()
	remembers()

	directory.shut()
	structural := func() (int32, []byte) { return c.try("POST", guild+"/channels", `{"name":"attic"}`) }
	status, body := structural()
	c.wantAway("a channel made without Postgres", status, body)
	c.away("GET", guild+"/audit-logs", "")
	c.away("GET", guild+"/members?limit=10", "")
	for _, target := range []string{guild, guild + "/channels", guild + "/roles", guild + "/bans", "/v1/users/@me/guilds", "/v1/users/@me", messages} {
		c.sound(c.try("GET", target, ""))
	}
	c.sound(c.try("PATCH", guild, `{"name":"Fish"}`))
	directory.open()
	relaytest.Until(t, "a channel can be made again", func() bool {
		status, body := structural()
		c.sound(status, body)
		return status == 201
	})

	history.shut()
	for n := range 3 {
		say(fmt.Sprint("without Cassandra ", n))
	}
	c.away("GET", messages, "")
	history.open()
	remembers()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// A caller asks as Alice.
type caller struct {
	t     *testing.T
	ask   func(*pb.RestCall) *pb.RestAnswer
	token string
}

func (c *caller) try(method, target, body string) (int32, []byte) {
	c.t.Helper()
	out := c.ask(&pb.RestCall{Method: method, Target: target, Body: []byte(body), Headers: []*pb.Header{{Name: "Authorization", Value: c.token}}})
	return int32(out.Status), out.Body
}

func (c *caller) object(want int32, method, target, body string) map[string]any {
	c.t.Helper()
	status, answer := c.try(method, target, body)
	var v map[string]any
	if err := json.Unmarshal(answer, &v); err != nil || status != want {
		c.t.Fatalf("%s %s: got %d %s, want %d", method, target, status, answer, want)
	}
	return v
}

// away wants a 503.
func (c *caller) away(method, target, body string) {
	c.t.Helper()
	status, answer := c.try(method, target, body)
	c.wantAway(method+" "+target, status, answer)
}

func (c *caller) wantAway(what string, status int32, body []byte) {
	c.t.Helper()
	if status != 503 {
		c.t.Errorf("%s: got %d %s, want 503", what, status, body)
	}
	c.sound(status, body)
}

// sound wants success, or 503 in Discord's form.
func (c *caller) sound(status int32, body []byte) {
	c.t.Helper()
	if status < 300 {
		return
	}
	var e struct {
		Message string
		Code    *int
	}
	if err := json.Unmarshal(body, &e); err != nil || status != 503 || e.Message == "" || e.Code == nil || *e.Code != 0 {
		c.t.Errorf("got %d %s, want success or 503 with message and code 0", status, body)
	}
}

// schemaOf is the URL of a schema of the test's own.
func schemaOf(t *testing.T, name string) *url.URL {
	t.Helper()
	address := servers.Address(t, "postgres")
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE SCHEMA ` + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec(`DROP SCHEMA ` + name + ` CASCADE`); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	u, err := url.Parse(address + "&search_path=" + name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func dropKeyspace(t *testing.T, address, keyspace string) {
	t.Helper()
	s, err := gocql.NewCluster(address).CreateSession()
	if err != nil {
		t.Errorf("drop %s: %v", keyspace, err)
		return
	}
	defer s.Close()
	if err := s.Query("DROP KEYSPACE IF EXISTS " + keyspace).Exec(); err != nil {
		t.Errorf("drop %s: %v", keyspace, err)
	}
}
