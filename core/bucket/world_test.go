package bucket

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/pebble"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// A world is a hub, stores, and whoever owns the buckets at the moment.
type world struct {
	t      testing.TB
	mesh   *relaytest.Mesh
	dir    *faulty
	hist   *slowHistory // over absent
	bus    *relay.Bus   // of the one who asks
	absent *absentHistory

	ahead time.Duration // of the clock of owners that start from now on
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, mesh: relaytest.Start(t, 0)}
	folder := t.TempDir()
	dir, err := sqlstore.OpenSQLite(context.Background(), filepath.Join(folder, "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	hist, err := pebble.Open(filepath.Join(folder, "history"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hist.Close() })
	w.absent = &absentHistory{History: hist}
	w.dir, w.hist = &faulty{Directory: dir}, &slowHistory{History: w.absent}
	w.bus = w.mesh.CoreBus(t)
	return w
}

// An owned is an owner that runs.
type owned struct {
	*Owner
	stop func()
	log  *relay.Log
}

// own starts an owner and waits until it is ready; it stops with the test at the latest.
func (w *world) own(name string) *owned {
	w.t.Helper()
	bus := w.mesh.CoreBus(w.t)
	ctx, cancel := context.WithCancel(context.Background())
	opened, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	log, err := relay.OpenLog(opened, bus, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	ahead := w.ahead
	o := New(Config{Name: name, Region: relaytest.Region, Log: log, Bus: bus, Directory: w.dir, History: w.hist,
		Now: func() time.Time { return time.Now().Add(ahead) }})
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	var once sync.Once
	end := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("owner %s: %v", name, err)
			}
		})
	}
	w.t.Cleanup(end)
	select {
	case <-o.Ready():
	case <-time.After(20 * time.Second):
		w.t.Fatalf("owner %s is not ready", name)
	}
	return &owned{Owner: o, stop: end, log: log}
}

func newCommandID() []byte {
	id := make([]byte, 16)
	rand.Read(id)
	return id
}

// ask sends one command, once, and gives the answer.
func (w *world) ask(cmd *pb.Command, body any) (*pb.Result, error) {
	if body != nil {
		cmd.Body = encode(body)
	}
	if cmd.Id == nil {
		cmd.Id = newCommandID()
	}
	if cmd.Guild != 0 && cmd.Bucket == 0 {
		cmd.Bucket = uint32(proto.ID(cmd.Guild).Bucket())
	}
	if cmd.DeadlineMs == 0 {
		cmd.DeadlineMs = time.Now().Add(10 * time.Second).UnixMilli()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return askFor(ctx, w, cmd)
}

// askFor sends a command as it is and waits for the answer until ctx ends.
func askFor(ctx context.Context, w *world, cmd *pb.Command) (*pb.Result, error) {
	raw, err := protobuf.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	answer, err := w.bus.Request(ctx, relay.CommandSubject(relaytest.Region, int(cmd.Bucket)), raw)
	if err != nil {
		return nil, err
	}
	r := &pb.Result{}
	return r, protobuf.Unmarshal(answer, r)
}

// do asks, wants a status, and decodes the answer into out unless it is nil.
func (w *world) do(want int, cmd *pb.Command, body, out any) *pb.Result {
	w.t.Helper()
	r, err := w.ask(cmd, body)
	if err != nil {
		w.t.Fatalf("%s: %v", cmd.Kind, err)
	}
	if int(r.Status) != want {
		w.t.Fatalf("%s: got status %d (%s), want %d", cmd.Kind, r.Status, r.Body, want)
	}
	if out != nil {
		if err := json.Unmarshal(r.Body, out); err != nil {
			w.t.Fatalf("%s: answer %s: %v", cmd.Kind, r.Body, err)
		}
	}
	return r
}

// refused asks and wants one of Discord's codes.
func (w *world) refused(want *proto.Error, cmd *pb.Command, body any) {
	w.t.Helper()
	var got proto.Error
	w.do(want.Status, cmd, body, &got)
	if got.Code != want.Code {
		w.t.Fatalf("%s: got code %d (%s), want %d", cmd.Kind, got.Code, got.Message, want.Code)
	}
}

// person gives birth to a person.
func (w *world) person(name string) proto.ID {
	w.t.Helper()
	id := newCommandID()
	w.reserve(name, id)
	var u proto.SelfUser
	w.do(201, &pb.Command{Id: id, Kind: core.KindUserCreate, Bucket: uint32(core.BirthBucket(id))},
		core.Account{User: proto.User{Username: name}}, &u)
	return u.ID
}

// reserve takes a username for a command, as the API does.
func (w *world) reserve(name string, command []byte) {
	w.t.Helper()
	if err := w.dir.Reserve(context.Background(), name, command, "$argon2id$"+name, time.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// bot gives birth to a bot.
func (w *world) bot(owner proto.ID, name string) proto.ID {
	w.t.Helper()
	id := newCommandID()
	var u proto.SelfUser
	w.do(201, &pb.Command{Id: id, Kind: core.KindUserCreate, Actor: uint64(owner), Bucket: uint32(core.BirthBucket(id))},
		core.Account{User: proto.User{Username: name, Bot: true}, TokenHash: make([]byte, 32), OwnerID: owner}, &u)
	return u.ID
}

// A home is a guild with its general channel.
type home struct {
	w              *world
	guild, general proto.ID
	owner          proto.ID
}

func (w *world) home(owner proto.ID) *home {
	w.t.Helper()
	id := newCommandID()
	var g proto.Guild
	w.do(201, &pb.Command{Id: id, Kind: core.KindGuildCreate, Actor: uint64(owner), Bucket: uint32(core.BirthBucket(id))},
		core.GuildCreate{Name: "Roost"}, &g)
	return &home{w: w, guild: g.ID, general: *g.SystemChannelID, owner: owner}
}

// cmd is a command of the home's guild and general channel.
func (h *home) cmd(kind string, actor, target proto.ID) *pb.Command {
	return &pb.Command{Kind: kind, Actor: uint64(actor), Guild: uint64(h.guild), Channel: uint64(h.general), Target: uint64(target)}
}

// in is cmd for another channel.
func (h *home) in(channel proto.ID, kind string, actor, target proto.ID) *pb.Command {
	c := h.cmd(kind, actor, target)
	c.Channel = uint64(channel)
	return c
}

// join has a person join by a new invite.
func (h *home) join(user proto.ID) {
	h.w.t.Helper()
	code := fmt.Sprintf("%x", newCommandID()[:8])
	var inv proto.Invite
	h.w.do(200, h.cmd(core.KindInviteCreate, h.owner, 0), core.InviteCreate{Code: code}, &inv)
	h.w.do(200, h.cmd(core.KindMemberJoin, user, 0), core.InviteRef{Code: inv.Code}, nil)
}

// role makes a role with permissions and gives it to a user.
func (h *home) role(user proto.ID, p proto.Permissions) proto.ID {
	h.w.t.Helper()
	var r proto.Role
	h.w.do(200, h.cmd(core.KindRoleCreate, h.owner, 0), core.RoleEdit{Permissions: &p}, &r)
	if user != 0 {
		h.w.do(204, h.cmd(core.KindMemberRoleAdd, h.owner, user), core.RoleRef{Role: r.ID}, nil)
	}
	return r.ID
}

// say sends a message.
func (h *home) say(user proto.ID, content string) proto.Message {
	h.w.t.Helper()
	var m proto.Message
	h.w.do(200, h.cmd(core.KindMessageCreate, user, 0), core.MessageCreate{Content: content}, &m)
	return m
}

// snapshot of the guild.
func (h *home) snapshot() (proto.Guild, *pb.GuildSnapshot) {
	h.w.t.Helper()
	r := h.w.do(200, h.cmd(core.KindSnapshotGuild, 0, 0), core.SnapshotGuild{AllMembersUpTo: 100}, nil)
	s := &pb.GuildSnapshot{}
	var g proto.Guild
	if err := protobuf.Unmarshal(r.Body, s); err != nil {
		h.w.t.Fatal(err)
	}
	if err := json.Unmarshal(s.Body, &g); err != nil {
		h.w.t.Fatal(err)
	}
	return g, s
}

// faulty is a real directory whose Apply, or Outbox, fails while told to, or whose Outbox waits.
type faulty struct {
	core.Directory
	mu            sync.Mutex
	fail, blocked bool
	gate          func(bucket int) // Outbox waits in it
}

func (f *faulty) Outbox(ctx context.Context, bucket, limit int) ([]core.Effect, error) {
	f.mu.Lock()
	blocked, gate := f.blocked, f.gate
	f.mu.Unlock()
	if gate != nil {
		gate(bucket)
	}
	if blocked {
		return nil, os.ErrDeadlineExceeded
	}
	return f.Directory.Outbox(ctx, bucket, limit)
}

func (f *faulty) block(blocked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocked = blocked
}

func (f *faulty) Apply(ctx context.Context, e []core.Applied) error {
	f.mu.Lock()
	fail := f.fail
	f.mu.Unlock()
	if fail {
		return os.ErrDeadlineExceeded
	}
	return f.Directory.Apply(ctx, e)
}

func (f *faulty) set(fail bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// slowHistory is a real history whose Apply waits while told to.
type slowHistory struct {
	core.History
	mu   sync.Mutex
	gate chan struct{}
}

func (s *slowHistory) Apply(ctx context.Context, e []core.Applied) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.History.Apply(ctx, e)
}

// halt has Apply wait until the returned function is called.
func (s *slowHistory) halt() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gate = nil
		close(gate)
	}
}
