// Package edgetest starts a real edge behind a real hub and leaf, with a scripted core that publishes real log entries, and hands out
// scripted clients. It is for tests only, and knows nothing of package core.
package edgetest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pbuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A Core answers what edges ask, from tables that a test fills, and writes what the test says to the log. Any goroutine may call it.
type Core struct {
	t    testing.TB
	bus  *relay.Bus
	log  *relay.Log
	stop context.CancelFunc

	mu      sync.Mutex
	writers map[int]*relay.Writer
	users   map[string]*User // by token
	guilds  map[proto.ID]*proto.Guild
	direct  map[proto.ID]*Direct
	step    uint64
	rest    func(*pb.RestCall) *pb.RestAnswer
	down    bool
	calls   map[string]int
	start   Start
	away    bool          // buckets of guilds
	held    chan struct{} // closed when guilds are told of; nil = always

	presence *presence
}

// A User can identify.
type User struct {
	proto.User
	Token  string
	Login  proto.ID // 0 for bots
	Guilds []proto.ID
}

// StartCore serves the region of the mesh; it ends with the test.
func StartCore(t testing.TB, mesh *relaytest.Mesh) *Core {
	t.Helper()
	bus := mesh.CoreBus(t)
	ctx, cancel := context.WithCancel(context.Background())
	log, err := relay.OpenLog(ctx, bus, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := relay.OpenJournals(ctx, bus); err != nil { // edges wait for it
		t.Fatal(err)
	}
	c := &Core{t: t, bus: bus, log: log, stop: cancel, writers: map[int]*relay.Writer{}, users: map[string]*User{},
		guilds: map[proto.ID]*proto.Guild{}, direct: map[proto.ID]*Direct{}, calls: map[string]int{}}
	var wg sync.WaitGroup
	wg.Go(func() { log.RunDigest(ctx, "core", c.digest) })
	var stops []func()
	for subject, h := range map[string]func(context.Context, []byte) []byte{
		relay.RPCSubject(relaytest.Region, "identify"): c.identify, relay.RPCSubject(relaytest.Region, "guild"): c.guild,
		relay.RPCSubject(relaytest.Region, "direct"): c.serveDirect,
		relay.RPCSubject(relaytest.Region, "resume"): c.resume,
		relay.RESTSubject(relaytest.Region):          c.serveREST,
	} {
		s, err := bus.Serve(subject, "api", 4, h)
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, s)
	}
	t.Cleanup(func() {
		cancel()
		for _, s := range stops {
			s()
		}
		wg.Wait()
	})
	return c
}

// resume knows of no session that moved: what its own edge does not have is over.
func (c *Core) resume(_ context.Context, body []byte) []byte {
	var call pb.ResumeCall
	if err := pbuf.Unmarshal(body, &call); err != nil {
		return nil
	}
	c.mu.Lock()
	u := c.users[call.Token]
	c.mu.Unlock()
	ans := &pb.ResumeAnswer{Outcome: pb.ResumeAnswer_INVALID, Why: "it never moved"}
	if u == nil {
		ans.Outcome = pb.ResumeAnswer_BAD_TOKEN
	}
	out, err := pbuf.Marshal(ans)
	if err != nil {
		c.t.Error(err)
	}
	return out
}

func (c *Core) digest() *pb.Digest {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &pb.Digest{Owner: "core", Incarnation: c.log.Incarnation(), Owned: make([]byte, proto.Buckets/8)}
	for i := range d.Owned {
		d.Owned[i] = 0xff
	}
	for b, w := range c.writers {
		p := w.Position()
		d.Positions = append(d.Positions, &pb.Position{Bucket: uint32(b), Sequence: p.Sequence, Counter: p.Counter})
	}
	return d
}

// NewID issues an id in a bucket.
func (c *Core) NewID(bucket int) proto.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step++
	return proto.ID(uint64(time.Now().UnixMilli()-proto.Epoch)<<22 | uint64(bucket)<<12 | c.step&4095)
}

// AddBot makes a bot that is in no guild.
func (c *Core) AddBot(name string, bucket int) *User {
	u := &User{User: proto.NewUser(c.NewID(bucket), name, true)}
	h := sha256.Sum256([]byte(name))
	u.Token = base64.RawStdEncoding.EncodeToString([]byte(u.ID.String())) + ".t." + base64.RawURLEncoding.EncodeToString(h[:8])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[u.Token] = u
	return u
}

// AddPerson makes a person with one login.
func (c *Core) AddPerson(name string, bucket int) *User {
	u := &User{User: proto.NewUser(c.NewID(bucket), name, false), Login: c.NewID(bucket)}
	claims, _ := json.Marshal(map[string]string{"sub": u.ID.String()})
	u.Token = "eyJhbGciOiJFZERTQSJ9." + base64.RawURLEncoding.EncodeToString(claims) + ".sig" + name
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[u.Token] = u
	return u
}

// Alias gives a user a second token, as a refresh does.
func (c *Core) Alias(u *User) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	token := u.Token + "2"
	c.users[token] = u
	return token
}

// Forget makes a token worth nothing.
func (c *Core) Forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.users, token)
}

// AddGuild makes a guild with the everyone role, one text channel "general", and members.
func (c *Core) AddGuild(bucket int, owner *User, members ...*User) *proto.Guild {
	id := c.NewID(bucket)
	ch := c.NewID(bucket)
	g := proto.NewGuild(id, "Starlings", owner.ID)
	g.Roles = []proto.Role{{ID: id, Name: "@everyone", Permissions: proto.PermDefault}}
	g.Channels = []proto.Channel{{ID: ch, Type: proto.ChannelText, GuildID: id, Name: "general", Overwrites: []proto.Overwrite{}}}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range append([]*User{owner}, members...) {
		g.Members = append(g.Members, member(u))
		u.Guilds = append(u.Guilds, id)
	}
	c.guilds[id] = &g
	return &g
}

func member(u *User) proto.Member {
	return proto.Member{User: &u.User, Roles: []proto.ID{}, JoinedAt: proto.Time(time.UnixMilli(1700000000000))}
}

// OnREST sets who answers REST calls.
func (c *Core) OnREST(f func(*pb.RestCall) *pb.RestAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = f
}

// A Start is what one who starts a session is told.
type Start struct {
	Wait    time.Duration // before READY
	Limited bool          // too many starts of the same user
	Later   time.Duration // many come: when to ask again
}

// OnStart sets what session starts are told.
func (c *Core) OnStart(s Start) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = s
}

// GuildsAway makes the core unable to tell of guilds, as if their buckets could not be reached, or ends that.
func (c *Core) GuildsAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// HoldGuilds lets questions about guilds wait until release is called, which the end of the test does as well.
func (c *Core) HoldGuilds() (release func()) {
	held := make(chan struct{})
	release = sync.OnceFunc(func() { close(held) })
	c.mu.Lock()
	c.held = held
	c.mu.Unlock()
	c.t.Cleanup(release)
	return release
}

// queried answers a MemberQuery. The members of a guild are in order of ids where the test made them so.
func queried(g *proto.Guild, call *pb.GuildCall) (rows []proto.Member) {
	q := call.Query
	for _, m := range g.Members {
		id := uint64(m.User.ID)
		switch {
		case len(call.Members) > 0 && !slices.Contains(call.Members, id), q.Prefix != "" && !strings.HasPrefix(m.User.Username, q.Prefix),
			id <= q.After && len(call.Members) == 0 && q.Prefix == "", len(rows) == int(q.Limit):
		default:
			rows = append(rows, m)
		}
	}
	return rows
}

// Down makes the core answer that it cannot say, or ends that.
func (c *Core) Down(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// Calls counts the calls of an rpc so far: "identify" or "guild".
func (c *Core) Calls(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[name]
}

// Publish appends one entry to a bucket's log and returns its sequence. change, if any, alters the tables with it.
func (c *Core) Publish(bucket int, change func(), events ...*pb.Event) uint64 {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	w, err := c.writerLocked(ctx, bucket)
	if err != nil {
		c.t.Errorf("bucket %d: %v", bucket, err)
		return 0
	}
	_, seq, err := w.Append(ctx, events, 1)
	if err != nil {
		c.t.Errorf("bucket %d: %v", bucket, err)
	}
	if change != nil {
		change()
	}
	return seq
}

func (c *Core) writerLocked(ctx context.Context, bucket int) (*relay.Writer, error) {
	if w := c.writers[bucket]; w != nil {
		return w, nil
	}
	w, err := c.log.TakeOver(ctx, bucket, relay.Position{}, time.Now(), func(uint64, *pb.Entry) error { return nil })
	if err == nil {
		c.writers[bucket] = w
	}
	return w, err
}

func (c *Core) sequenceLocked(bucket int) uint64 {
	if w := c.writers[bucket]; w != nil {
		return w.Position().Sequence
	}
	return 0
}

func (c *Core) identify(_ context.Context, body []byte) []byte {
	call, ans := new(pb.IdentifyCall), new(pb.IdentifyAnswer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls["identify"]++
	if err := pbuf.Unmarshal(body, call); err != nil || c.down {
		ans.Error = "down"
	} else if u := c.users[call.Token]; u != nil {
		self, _ := json.Marshal(u.Self())
		ans.User = &pb.UserSnapshot{User: uint64(u.ID), Bucket: uint32(u.ID.Bucket()), Sequence: c.sequenceLocked(u.ID.Bucket()),
			Incarnation: c.log.Incarnation(), Self: self}
		ans.User.Directs = c.directsOf(u)
		for _, g := range u.Guilds {
			ans.User.Guilds = append(ans.User.Guilds, uint64(g))
		}
		ans.AuthSession = uint64(u.Login)
		if call.Start {
			ans.WaitMs, ans.Limited = uint32(c.start.Wait.Milliseconds()), c.start.Limited
			if later := uint32(c.start.Later.Milliseconds()); later > 0 && !call.Admitted {
				ans = &pb.IdentifyAnswer{LaterMs: later}
			}
		}
	}
	out, _ := pbuf.Marshal(ans)
	return out
}

func (c *Core) guild(_ context.Context, body []byte) []byte {
	call, ans := new(pb.GuildCall), &pb.GuildAnswer{Status: 404}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls["guild"]++
	if held := c.held; held != nil {
		c.mu.Unlock()
		<-held
		c.mu.Lock()
	}
	if err := pbuf.Unmarshal(body, call); err != nil || c.down || c.away {
		ans.Status = 503
	} else if g := c.guilds[proto.ID(call.Guild)]; g != nil {
		d := *g
		d.MemberCount = len(g.Members)
		all := len(g.Members) <= int(call.AllMembersUpTo)
		if call.Query != nil {
			d.Members, all = queried(g, call), false
		} else if !all {
			d.Members = slices.DeleteFunc(slices.Clone(d.Members), func(m proto.Member) bool { return !slices.Contains(call.Members, uint64(m.User.ID)) })
		}
		b, err := json.Marshal(d)
		if err != nil {
			panic(fmt.Sprint("guild: ", err))
		}
		ans = &pb.GuildAnswer{Status: 200, Guild: &pb.GuildSnapshot{Guild: call.Guild, Bucket: uint32(g.ID.Bucket()),
			Sequence: c.sequenceLocked(g.ID.Bucket()), Incarnation: c.log.Incarnation(), Body: b, AllMembers: all}}
	}
	out, _ := pbuf.Marshal(ans)
	return out
}

func (c *Core) serveREST(_ context.Context, body []byte) []byte {
	call := new(pb.RestCall)
	c.mu.Lock()
	f := c.rest
	c.mu.Unlock()
	ans := &pb.RestAnswer{Status: 404}
	if err := pbuf.Unmarshal(body, call); err == nil && f != nil {
		ans = f(call)
	}
	out, _ := pbuf.Marshal(ans)
	return out
}
