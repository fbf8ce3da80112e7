package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Alice makes a guild and writes, on Postgres and Cassandra; the core is stopped and another one, with a folder of its own but for the
// keys, goes on from what these servers hold.
func TestRealServers(t *testing.T) {
	name := fmt.Sprintf("test_server_%d", time.Now().UnixNano())
	postgres, cassandra := schemaOf(t, name), servers.Address(t, "cassandra")
	t.Cleanup(func() { dropKeyspace(t, cassandra, name) })
	m := relaytest.Start(t, 1)
	edge := m.EdgeBus(t, 0)
	cfg := Config{DataDir: t.TempDir(), Postgres: postgres.String(),
		CQL: cql.Config{Hosts: []string{cassandra}, Keyspace: name, Replication: 1, Patience: time.Minute}}
	_, stop := startWith(t, m, cfg)

	var token string
	ask := func(method, target, body string, status int32) map[string]any {
		t.Helper()
		in := &pb.RestCall{Method: method, Target: target, Body: []byte(body), Headers: []*pb.Header{{Name: "Authorization", Value: token}}}
		out := call(t, edge, in)
		if int32(out.Status) != status {
			t.Fatalf("%s %s: got %d %s, want %d", method, target, out.Status, out.Body, status)
		}
		var got any
		if err := json.Unmarshal(out.Body, &got); err != nil {
			t.Fatal(err)
		}
		if list, ok := got.([]any); ok {
			return map[string]any{"list": list}
		}
		return got.(map[string]any)
	}
	token = ask("POST", "/auth/register", `{"username":"alice","password":"alice password"}`, 201)["token"].(string)
	guild := ask("POST", "/v1/guilds", `{"name":"Birds"}`, 201)["id"].(string)
	channel := ask("POST", "/v1/guilds/"+guild+"/channels", `{"name":"lobby"}`, 201)["id"].(string)
	ask("POST", "/v1/channels/"+channel+"/messages", `{"content":"hello"}`, 200)
	history := func() string {
		t.Helper()
		list := ask("GET", "/v1/channels/"+channel+"/messages", "", 200)["list"].([]any)
		if len(list) != 1 {
			t.Fatalf("got %d messages, want 1", len(list))
		}
		return list[0].(map[string]any)["content"].(string)
	}
	if got := history(); got != "hello" {
		t.Errorf("history: got %q", got)
	}
	stop()
	_, stop = startWith(t, m, cfg)
	defer stop()
	if got := history(); got != "hello" {
		t.Errorf("history after the restart: got %q", got)
	}
	if got := ask("GET", "/v1/guilds/"+guild, "", 200)["name"].(string); !strings.EqualFold(got, "birds") {
		t.Errorf("guild after the restart: got %q", got)
	}
}
