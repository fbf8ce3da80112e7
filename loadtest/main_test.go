package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

func TestMain(m *testing.M) {
	code := m.Run()
	for name, s := range map[string]*shared{"without rate limits": plain, "with rate limits": limited} {
		if s.mesh == nil {
			continue
		}
		if trouble := s.mesh.Trouble(); trouble != "" {
			fmt.Printf("--- FAIL: the mesh %s says:\n%s\n", name, trouble)
			code = max(code, 1)
		}
		if code != 0 {
			fmt.Printf("--- end of the log of the mesh %s\n%s\n", name, s.mesh.LogTail(60))
		}
		s.mesh.Close()
	}
	mesh.Clean()
	os.Exit(code)
}

// A shared mesh is started by the first story that asks for it and closed by TestMain.
type shared struct {
	opts mesh.Options
	once sync.Once
	mesh *mesh.Mesh
	err  error
}

var (
	plain   = &shared{}
	limited = &shared{opts: mesh.Options{RateLimits: true}}
)

func (s *shared) get(t *testing.T) *mesh.Mesh {
	t.Helper()
	s.once.Do(func() {
		if s.mesh, s.err = mesh.New(s.opts); s.err == nil {
			s.err = s.mesh.Start(within(t, 60*time.Second))
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.mesh
}

// own starts a mesh for one story alone.
func own(t *testing.T, opts mesh.Options) *mesh.Mesh {
	t.Helper()
	m := take[*mesh.Mesh](t)(mesh.New(opts))
	t.Cleanup(func() {
		if trouble := m.Trouble(); trouble != "" {
			t.Errorf("the mesh says:\n%s", trouble)
		}
		if t.Failed() {
			t.Log("end of the mesh's log:\n" + m.LogTail(60))
		}
		m.Close()
	})
	must(t, m.Start(within(t, 60*time.Second)))
	return m
}

// within is the test's context, bounded.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), d)
	t.Cleanup(stop)
	return ctx
}

// patience is how long a story waits for anything.
const patience = 20 * time.Second

// tell reports broken rules of the wire as errors of the test, each once, and no more after its end.
func tell(t testing.TB) func(string) {
	var mu sync.Mutex
	told := map[string]bool{}
	over := false
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	})
	return func(problem string) {
		mu.Lock()
		defer mu.Unlock()
		if !over && !told[problem] {
			told[problem] = true
			t.Errorf("wire: %s", problem)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func take[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

var serial atomic.Int64

// name makes a user name that no other story has.
func name(base string) string {
	return fmt.Sprintf("%s_%x", base, time.Now().UnixNano()&0xffffff<<8|serial.Add(1)&0xff)
}

// A town is a guild with one text channel and its owner, for one story.
type town struct {
	t       *testing.T
	m       *mesh.Mesh
	tell    func(string)
	person  client.Person // the owner
	owner   *client.REST
	guild   proto.Guild
	general proto.ID
}

const password = "correct horse battery"

func newTown(t *testing.T, m *mesh.Mesh) *town {
	t.Helper()
	w := &town{t: t, m: m, tell: tell(t)}
	ctx := within(t, patience)
	anon := client.NewREST(m.HTTP(0), w.tell)
	t.Cleanup(anon.HTTP.CloseIdleConnections)
	w.person = take[client.Person](t)(anon.Register(ctx, name("olivia"), password))
	w.owner = anon.As("Bearer " + w.person.Token)
	w.guild = take[proto.Guild](t)(w.owner.Guild(ctx, "Town of "+t.Name()))
	w.general = take[proto.Channel](t)(w.owner.Channel(ctx, w.guild.ID, "general")).ID
	return w
}

// bot makes a bot; join adds it to the guild.
func (w *town) bot(base string, join bool) (client.Bot, *client.REST) {
	w.t.Helper()
	ctx := within(w.t, patience)
	b := take[client.Bot](w.t)(w.owner.Application(ctx, name(base)))
	if join {
		must(w.t, w.owner.AddBot(ctx, w.guild.ID, b.ID))
	}
	return b, w.owner.As(b.Auth())
}

// human registers somebody who joins the guild by an invite.
func (w *town) human(base string) (client.Person, *client.REST) {
	w.t.Helper()
	ctx := within(w.t, patience)
	p := take[client.Person](w.t)(w.owner.As("").Register(ctx, name(base), password))
	r := w.owner.As("Bearer " + p.Token)
	must(w.t, r.Join(ctx, take[string](w.t)(w.owner.Invite(ctx, w.general))))
	return p, r
}

// A session is an identified connection.
type session struct {
	*client.Gateway
	t      *testing.T
	token  string
	ready  proto.Ready
	guilds map[proto.ID]proto.GuildCreate // of the start
}

// dial connects to an edge and waits for HELLO.
func (w *town) dial(edge int, o client.Options) *client.Gateway {
	w.t.Helper()
	o.Tell = w.tell
	mark := 0
	if o.Log != nil {
		mark = o.Log.Mark()
	}
	g := take[*client.Gateway](w.t)(client.Dial(within(w.t, patience), w.m.Gateway(edge), o))
	w.t.Cleanup(g.Cut)
	w.await(g, mark, "HELLO", op(proto.OpHello))
	return g
}

// open connects and identifies; it returns after READY and every guild that READY names.
func (w *town) open(edge int, token string, o client.Options, identify map[string]any) *session {
	w.t.Helper()
	return w.identify(w.dial(edge, o), token, identify)
}

func (w *town) identify(g *client.Gateway, token string, identify map[string]any) *session {
	w.t.Helper()
	mark := g.Mark()
	must(w.t, g.Identify(token, identify))
	return w.settle(g, mark, token)
}

func (w *town) settle(g *client.Gateway, mark int, token string) *session {
	w.t.Helper()
	s := &session{Gateway: g, t: w.t, token: token, guilds: map[proto.ID]proto.GuildCreate{}}
	must(w.t, w.await(g, mark, "READY", event("READY")).Into(&s.ready))
	for _, stub := range s.ready.Guilds {
		e := w.await(g, mark, "GUILD_CREATE "+stub.ID.String(), about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == stub.ID }))
		var c proto.GuildCreate
		must(w.t, e.Into(&c))
		s.guilds[stub.ID] = c
		own := false
		for _, m := range c.Members {
			own = own || m.User != nil && m.User.ID == s.ready.User.ID
		}
		if !own {
			w.t.Errorf("GUILD_CREATE %s: the session's own member is not in members", c.ID)
		}
	}
	return s
}

func (w *town) await(g *client.Gateway, mark int, what string, match func(client.Event) bool) client.Event {
	w.t.Helper()
	e, err := g.Await(within(w.t, patience), mark, match)
	if err != nil {
		var seen []string
		for _, e := range g.Since(mark) {
			seen = append(seen, e.String())
		}
		w.t.Fatalf("%s: %v\nseen:\n%s", what, err, strings.Join(seen, "\n"))
	}
	return e
}

func op(o proto.Opcode) func(client.Event) bool {
	return func(e client.Event) bool { return proto.Opcode(e.Op) == o }
}

func event(name string) func(client.Event) bool {
	return func(e client.Event) bool { return e.Op == 0 && e.T == name }
}

// about matches events of a name whose d, decoded as T, match accepts.
func about[T any](name string, match func(T) bool) func(client.Event) bool {
	return func(e client.Event) bool {
		if e.Op != 0 || e.T != name {
			return false
		}
		var v T
		return e.Into(&v) == nil && match(v)
	}
}

// says matches the MESSAGE_CREATE of one message.
func says(m proto.Message) func(client.Event) bool {
	return about("MESSAGE_CREATE", func(got proto.Message) bool { return got.ID == m.ID })
}

// closes waits for the end of a connection and compares its close code.
func closes(t *testing.T, g *client.Gateway, want proto.CloseCode) {
	t.Helper()
	if got, err := g.Closed(within(t, patience)); got != want {
		t.Errorf("closed with %v (%v), want %v", got, err, want)
	}
}

// fails wants an error of the API.
func fails(t *testing.T, err error, want *proto.Error) {
	t.Helper()
	got, ok := apiError(err)
	if !ok || got.Status != want.Status || got.Code != want.Code {
		t.Errorf("got %v, want %v", err, want)
	}
}

func jsonInto(b []byte, v any) error { return json.Unmarshal(b, v) }
