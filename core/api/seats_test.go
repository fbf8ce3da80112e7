package api

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/core/redis"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// aviary is a guild with 20 roles and 50 channels, and Alice in it, in a directory whose owner tells seats.
type aviary struct {
	directory, owned core.Directory
	guild, alice     proto.ID
	counter          uint64
}

func newAviary(t testing.TB, seats *Seats) *aviary {
	t.Helper()
	d, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	a := &aviary{directory: d, owned: d, guild: 7 << 12, alice: 9<<22 | 5<<12}
	if seats != nil {
		a.owned = seats.Directory(d)
	}
	g := proto.NewGuild(a.guild, "Birds", a.alice)
	for i := range 20 {
		g.Roles = append(g.Roles, proto.Role{ID: a.guild + proto.ID(i), Name: "role", Permissions: proto.PermViewChannel})
	}
	for i := range 50 {
		g.Channels = append(g.Channels, proto.Channel{ID: a.guild + proto.ID(1<<22*(i+1)), GuildID: a.guild, Name: "channel",
			Overwrites: []proto.Overwrite{{ID: a.guild, Deny: proto.PermSendMessages}}})
	}
	g.Members = []proto.Member{{User: &proto.User{ID: a.alice, Username: "alice"}, Roles: []proto.ID{a.guild + 1, a.guild + 2}}}
	a.apply(t, proto.EventInternalGuildBorn, g)
	return a
}

func (a *aviary) apply(t testing.TB, kind string, body any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	a.counter++
	e := &pb.Entry{Epoch: 1, Counter: a.counter, Events: []*pb.Event{{Type: kind, Guild: uint64(a.guild), Body: b}}}
	if err := a.owned.Apply(t.Context(), []core.Applied{{Bucket: a.guild.Bucket(), Sequence: a.counter, Entry: e}}); err != nil {
		t.Fatal(err)
	}
}

// brokenCache is a cache that nobody can tell anything any more, or only after a wait; what it holds it gives out.
type brokenCache struct {
	core.Cache
	broken bool
	slow   func() // Void waits in it
}

func (c *brokenCache) Void(ctx context.Context, group string, epoch, counter uint64) error {
	if c.broken {
		return errors.New("broken")
	}
	if c.slow != nil {
		c.slow()
	}
	return c.Cache.Void(ctx, group, epoch, counter)
}

// Alice's role goes while the cache cannot be told: it is not asked, until it has been told or can hold nothing so old.
func TestSeatsOfABrokenCache(t *testing.T) {
	clock := newClock()
	cache := &brokenCache{Cache: memory.NewCache(clock.now)}
	seats := NewSeats(cache, clock.now)
	a := newAviary(t, seats)
	roles := func(what string, want int) {
		t.Helper()
		_, got, err := seats.find(t.Context(), a.directory, a.guild, a.alice)
		if err != nil || len(got) != want {
			t.Fatalf("%s: got roles %v, %v, want %d", what, got, err, want)
		}
	}
	change := func(ids ...proto.ID) {
		a.apply(t, proto.EventGuildMemberUpdate, proto.GuildMember{GuildID: a.guild,
			Member: proto.Member{User: &proto.User{ID: a.alice, Username: "alice"}, Roles: ids}})
	}
	roles("at first", 2)
	roles("cached", 2)
	if b, err := cache.Cached(t.Context(), groupOf(a.guild), "guild"); err != nil || b[0] == nil {
		t.Fatalf("nothing is cached: %v", err)
	}
	cache.broken = true
	change(a.guild + 1)
	roles("cannot be told", 1)
	roles("still not", 1)
	cache.broken = false
	roles("can be told", 1)
	change()
	roles("told", 0)
	change(a.guild+1, a.guild+2, a.guild+3)
	roles("and cached", 3)
	cache.broken = true
	change()
	roles("cannot be told again", 0)
	clock.add(seatLife + 3*seatLate)
	roles("what it held is too old", 0)
	change(a.guild + 1)
	seats.mu.Lock()
	untold := len(seats.unvoid)
	seats.mu.Unlock()
	if untold != 1 {
		t.Errorf("remembers %d groups, want 1", untold)
	}
}

// While the cache is told what it could not be told before, and is slow, nobody else waits for it, and what changes meanwhile is told too.
func TestSeatsOfASlowCache(t *testing.T) {
	cache := &brokenCache{Cache: memory.NewCache(time.Now), broken: true}
	seats := NewSeats(cache, time.Now)
	void := func(counter uint64) {
		seats.void(t.Context(), map[string]core.Applied{"roost": {Entry: &pb.Entry{Epoch: 1, Counter: counter}}})
	}
	void(1)
	asked, answer := make(chan struct{}), make(chan struct{})
	cache.broken = false
	cache.slow = func() { asked <- struct{}{}; <-answer }
	teller := make(chan bool)
	go func() { teller <- seats.trusted(t.Context(), "roost") }()
	<-asked
	if seats.trusted(t.Context(), "roost") {
		t.Error("trusted for what it is yet to be told")
	}
	if !seats.trusted(t.Context(), "nest") {
		t.Error("not trusted for what it knows")
	}
	seats.remember("roost", 1, 2)
	close(answer)
	if <-teller {
		t.Error("trusted for what has changed meanwhile")
	}
	go func() { teller <- seats.trusted(t.Context(), "roost") }()
	<-asked
	if !<-teller {
		t.Error("told all, and not trusted")
	}
}

// BenchmarkSeat is what finding a caller's place in a guild costs, which every read does.
func BenchmarkSeat(b *testing.B) {
	bench := func(name string, seats *Seats) {
		a := newAviary(b, seats)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if seats == nil {
					_, _, err = ask(b.Context(), a.directory, a.guild, a.alice)
				} else {
					_, _, err = seats.find(b.Context(), a.directory, a.guild, a.alice)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("directory", nil)
	bench("memory", NewSeats(memory.NewCache(time.Now), time.Now))
	s, err := redis.Open(b.Context(), servers.Address(b, "redis")+"?read_timeout=10s&db=8", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	bench("redis", NewSeats(s.Cache(), time.Now))
}
