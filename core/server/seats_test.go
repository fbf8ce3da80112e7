package server

import (
	"encoding/json"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Alice takes from Bob the right to see a channel and gives it back, while Bob reads all the time and so fills the cache with both. What she was
// told is done counts for the very next call.
func TestRightsAreThoseOfNow(t *testing.T) {
	t.Run("in process", func(t *testing.T) {
		newPair(t, Config{}).toggle(8)
	})
	t.Run("redis", func(t *testing.T) {
		server := servers.Start(t, "redis")
		p := newPair(t, Config{Redis: server.Address})
		p.toggle(4)
		// Frozen, Redis keeps what it has, and is told nothing of changes once it is known to be away.
		signal(t, server, syscall.SIGSTOP)
		for range 10 {
			p.do(p.bob, "GET", "/v1/channels/"+p.channel, "", 200)
		}
		p.deny()
		signal(t, server, syscall.SIGCONT)
		for back := time.Now().Add(2 * time.Second); time.Now().Before(back); { // it is asked again within a second
			p.do(p.bob, "GET", "/v1/channels/"+p.channel, "", 403)
		}
		p.toggle(1)
		signal(t, server, syscall.SIGSTOP)
		p.toggle(3)
		signal(t, server, syscall.SIGCONT)
		p.toggle(4)
		signal(t, server, syscall.SIGKILL)
		p.toggle(3)
		server.Start(t)
		p.toggle(4)
	})
}

func signal(t *testing.T, s *servers.Server, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.PID(t), sig); err != nil {
		t.Fatal(err)
	}
}

// A pair is Alice, who owns a guild with a channel, and Bob, who is in it.
type pair struct {
	*testing.T
	bus            *relay.Bus
	alice, bob     string
	guild, channel string
}

func newPair(t *testing.T, cfg Config) *pair {
	t.Helper()
	m := relaytest.Start(t, 1)
	cfg.DataDir = t.TempDir()
	_, stop := startWith(t, m, cfg)
	t.Cleanup(stop)
	p := &pair{T: t, bus: m.EdgeBus(t, 0)}
	person := func(name string) string {
		return p.do("", "POST", "/auth/register", fmt.Sprintf(`{"username":%q,"password":"a long password"}`, name), 201)["token"].(string)
	}
	p.alice, p.bob = person("alice"), person("bob")
	p.guild = p.do(p.alice, "POST", "/v1/guilds", `{"name":"Birds"}`, 201)["id"].(string)
	p.channel = p.do(p.alice, "POST", "/v1/guilds/"+p.guild+"/channels", `{"name":"lobby"}`, 201)["id"].(string)
	code := p.do(p.alice, "POST", "/v1/channels/"+p.channel+"/invites", `{}`, 200)["code"].(string)
	p.do(p.bob, "POST", "/v1/invites/"+code, `{}`, 200)
	return p
}

func (p *pair) call(token, method, target, body string) *pb.RestCall {
	in := &pb.RestCall{Method: method, Target: target, Body: []byte(body)}
	if token != "" {
		in.Headers = []*pb.Header{{Name: "Authorization", Value: token}}
	}
	return in
}

func (p *pair) do(token, method, target, body string, status int32) (got map[string]any) {
	p.Helper()
	out := call(p.T, p.bus, p.call(token, method, target, body))
	if out.Status != status {
		p.Fatalf("%s %s: got %d %s, want %d", method, target, out.Status, out.Body, status)
	}
	json.Unmarshal(out.Body, &got) // a list, or nothing, has no fields
	return got
}

// toggle denies and allows so many times.
func (p *pair) toggle(times int) {
	p.Helper()
	read, err := gproto.Marshal(p.call(p.bob, "GET", "/v1/channels/"+p.channel, ""))
	if err != nil {
		p.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					p.bus.Request(p.Context(), relay.RESTSubject(relaytest.Region), read) // whatever the answer is
				}
			}
		})
	}
	defer wg.Wait()
	defer close(done)
	for range times {
		p.deny()
		p.do(p.bob, "GET", "/v1/channels/"+p.channel, "", 403)
		p.do(p.alice, "PUT", p.overwrite(), `{"type":0,"allow":"0","deny":"0"}`, 204)
		p.do(p.bob, "GET", "/v1/channels/"+p.channel, "", 200)
	}
}

func (p *pair) deny() {
	p.Helper()
	p.do(p.alice, "PUT", p.overwrite(), `{"type":0,"allow":"0","deny":"1024"}`, 204)
}

func (p *pair) overwrite() string { return "/v1/channels/" + p.channel + "/permissions/" + p.guild }
