package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core/api"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/core/pebble"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/loadtest/shape"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// mesh is a real hub, a real leaf, real stores, a real owner and the API; calls go in at the leaf, as an edge's do.
type mesh struct {
	t    *testing.T
	edge *relay.Bus
	api  *api.Server
}

// startMesh runs all of it until the test ends.
func startMesh(t *testing.T, limits bool) *mesh {
	t.Helper()
	n := newNode(t, limits)
	wait(t, n.startOwner())
	ready, _ := n.startAPI()
	wait(t, ready)
	return n.mesh
}

// A node is a mesh whose parts a test starts one by one. All of them end with the test, the API first.
type node struct {
	*mesh
	owner *bucket.Owner
}

func newNode(t *testing.T, limits bool) *node {
	t.Helper()
	m := relaytest.Start(t, 1)
	dir := t.TempDir()
	keys, err := auth.OpenKeys(filepath.Join(dir, "keys"))
	must(t, err)
	directory, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "directory.db"))
	must(t, err)
	t.Cleanup(func() { directory.Close() })
	history, err := pebble.Open(filepath.Join(dir, "history"))
	must(t, err)
	t.Cleanup(func() { history.Close() })
	bus := m.CoreBus(t)
	log, err := relay.OpenLog(t.Context(), bus, 1)
	must(t, err)
	journals, err := relay.OpenJournals(t.Context(), bus)
	must(t, err)
	tombs, err := relay.OpenTombs(t.Context(), bus)
	must(t, err)
	seats := api.NewSeats(memory.NewCache(time.Now), time.Now)
	return &node{mesh: &mesh{t: t, edge: m.EdgeBus(t, 0), api: api.New(api.Config{Region: relaytest.Region, Name: "core", Bus: bus,
		Directory: directory, History: history, Keys: keys, Seats: seats, RateLimits: limits, Journals: journals, Tombs: api.Tombs(tombs)})},
		owner: bucket.New(bucket.Config{Name: "core", Region: relaytest.Region, Log: log, Bus: bus, Directory: seats.Directory(directory), History: history})}
}

func (n *node) startOwner() (ready <-chan struct{}) {
	run(n.t, "owner", n.owner.Run)
	return n.owner.Ready()
}

func (n *node) startAPI() (ready <-chan struct{}, stop func()) {
	return n.api.Ready(), run(n.t, "api", n.api.Run)
}

// run runs a part until the test ends or stop is called; stop waits for the part.
func run(t *testing.T, name string, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, ready <-chan struct{}) {
	t.Helper()
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("waited 20 s in vain")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// an answer as a client sees it.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// at reads the value under keys: names or list indices.
func (a answer) at(keys ...any) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	for _, k := range keys {
		switch k := k.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			l, _ := v.([]any)
			if k >= len(l) {
				return nil
			}
			v = l[k]
		}
	}
	return v
}

func (a answer) str(keys ...any) string { return fmt.Sprint(a.at(keys...)) }

func (a answer) len() int {
	l, _ := a.at().([]any)
	return len(l)
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// call sends one REST call through the leaf; body is JSON, nil, or a string sent as it is.
func (m *mesh) call(token, method, target string, body any) answer {
	m.t.Helper()
	id := make([]byte, 16)
	rand.Read(id)
	return m.callAs(id, token, method, target, body)
}

// callAs sends a call under an id of the test's choice: an edge that repeats itself.
func (m *mesh) callAs(id []byte, token, method, target string, body any) answer {
	m.t.Helper()
	in := &pb.RestCall{Id: id, DeadlineMs: time.Now().Add(10 * time.Second).UnixMilli(), Method: method, Target: target, Remote: "192.0.2.1",
		Edge: "edge-0", GatewayUrl: "ws://edge-0/gateway", Headers: []*pb.Header{{Name: "Host", Value: "edge-0"}}}
	if token != "" {
		in.Headers = append(in.Headers, &pb.Header{Name: "authorization", Value: token})
	}
	switch b := body.(type) {
	case nil:
	case string:
		in.Body = []byte(b)
	default:
		var err error
		in.Body, err = json.Marshal(b)
		must(m.t, err)
	}
	raw, err := gproto.Marshal(in)
	must(m.t, err)
	var out pb.RestAnswer
	m.request(relay.RESTSubject(relaytest.Region), raw, &out)
	a := answer{status: int(out.Status), header: http.Header{}, body: out.Body}
	for _, h := range out.Headers {
		a.header.Add(h.Name, h.Value)
	}
	m.checkForm(method, target, a)
	return a
}

func (m *mesh) request(subject string, body []byte, out gproto.Message) {
	m.t.Helper()
	must(m.t, gproto.Unmarshal(relaytest.Request(m.t, m.edge, subject, body), out))
}

// checkForm holds every answer there is against the strictest form of it.
func (m *mesh) checkForm(method, target string, a answer) {
	m.t.Helper()
	for _, prefix := range []string{"/api/v10", "/api/v9", "/v1"} {
		target = strings.TrimPrefix(target, prefix)
	}
	for _, problem := range shape.Answer(method, target, a.status, a.header, a.body) {
		if !strings.HasSuffix(problem, "a route without a shape") {
			m.t.Error(problem)
		}
	}
}

// want fails the test at once unless the answer has the status.
func (m *mesh) want(a answer, status int) answer {
	m.t.Helper()
	if a.status != status {
		m.t.Fatalf("got %v, want %d", a, status)
	}
	return a
}

// wantError fails the test unless the answer is the error.
func (m *mesh) wantError(a answer, status, code int) {
	m.t.Helper()
	if a.status != status || a.str("code") != fmt.Sprint(code) {
		m.t.Errorf("got %v, want %d/%d", a, status, code)
	}
}

// a person or bot of a story.
type person struct {
	m         *mesh
	id, token string
	refresh   string
}

func (m *mesh) register(name string) person {
	m.t.Helper()
	a := m.want(m.call("", "POST", "/auth/register", map[string]string{"username": name, "password": name + " password"}), 201)
	return person{m, a.str("user", "id"), a.str("token"), a.str("refresh_token")}
}

func (p person) do(method, target string, body any) answer {
	p.m.t.Helper()
	return p.m.call(p.token, method, "/api/v10"+target, body)
}

// makeBot makes an application and its bot.
func (p person) makeBot(name string) person {
	p.m.t.Helper()
	a := p.m.want(p.do("POST", "/applications", map[string]string{"name": name}), 201)
	if a.str("id") != a.str("bot", "id") {
		p.m.t.Errorf("application %s has bot %s: clients want them equal", a.str("id"), a.str("bot", "id"))
	}
	return person{p.m, a.str("id"), "Bot " + a.str("token"), ""}
}

// guild makes a guild and tells its id and that of its first text channel, made if there is none.
func (p person) guild(name string) (guild, channel string) {
	p.m.t.Helper()
	guild = p.m.want(p.do("POST", "/guilds", map[string]string{"name": name}), 201).str("id")
	channel = p.m.want(p.do("POST", "/guilds/"+guild+"/channels", map[string]any{"name": "talk", "type": 0}), 201).str("id")
	return guild, channel
}

// invite makes an invite to the channel and has others join by it.
func (p person) invite(channel string, others ...person) {
	p.m.t.Helper()
	code := p.m.want(p.do("POST", "/channels/"+channel+"/invites", "{}"), 200).str("code")
	for _, o := range others {
		p.m.want(o.do("POST", "/invites/"+code, nil), 200)
	}
}
