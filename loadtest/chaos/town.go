package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

const (
	password    = "correct horse battery"
	memberships = 3   // guilds of each client, where there are as many
	maxGuild    = 200 // clients of a guild: a GUILD_CREATE shows all members of such
	writers     = 8   // accounts that write
	settlers    = 12  // calls at once while the town is made
)

// Rooms of every guild.
const (
	square = iota // all see it
	den           // who has the role outsider does not
	vault         // the owner alone sees it
	rooms
)

// A guild of the town.
type guild struct {
	id       proto.ID
	channels [rooms]proto.ID
	outsider proto.ID // role
	members  []int    // clients
}

// A person is an account that listens.
type person struct {
	id     proto.ID
	token  string // as it is said to the gateway
	guilds []int
}

// A town is the guilds and accounts of one run.
type town struct {
	owner   *client.REST // speaks to the address that all use
	ownerID proto.ID
	guilds  []*guild
	people  []person
	writers []*client.REST
	home    map[proto.ID]place // of channels
}

// A place is a room of a guild.
type place struct{ guild, room int }

// callLimit is how long libraries wait for an answer, the shortest of them.
const callLimit = 10 * time.Second

func newREST(base string, tell func(string)) *client.REST {
	r := client.NewREST(base, tell)
	r.HTTP = &http.Client{Timeout: callLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: client.IdleTime}}
	return r
}

// settle makes the town over the public API.
func settle(ctx context.Context, base string, guilds, clients int, rnd *rand.Rand, tell func(string)) (*town, error) {
	stamp := time.Now().UnixNano() & 0xffffffffff
	rest := newREST(base, tell)
	boss, err := rest.Register(ctx, fmt.Sprintf("mayor_%x", stamp), password)
	if err != nil {
		return nil, err
	}
	t := &town{owner: rest.As("Bearer " + boss.Token), ownerID: boss.User.ID, guilds: make([]*guild, guilds), people: make([]person, clients),
		writers: make([]*client.REST, writers), home: map[proto.ID]place{}}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(settlers)
	for i := range t.guilds {
		g.Go(func() (err error) { t.guilds[i], err = t.found(gctx, i); return err })
	}
	bots := make([]client.Bot, writers+clients)
	for i := range bots {
		g.Go(func() (err error) {
			bots[i], err = t.owner.Application(gctx, fmt.Sprintf("folk%d_%x", i, stamp))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, x := range t.guilds {
		for room, id := range x.channels {
			t.home[id] = place{i, room}
		}
	}
	g, gctx = errgroup.WithContext(ctx)
	g.SetLimit(settlers)
	join := func(guild int, b client.Bot) {
		g.Go(func() error { return t.owner.AddBot(gctx, t.guilds[guild].id, b.ID) })
	}
	for i, b := range bots[:writers] {
		t.writers[i] = t.owner.As(b.Auth())
		for k := range t.guilds {
			join(k, b)
		}
	}
	for i, b := range bots[writers:] {
		t.people[i] = person{id: b.ID, token: b.Token}
		for k := range min(memberships, guilds) {
			n := i % guilds
			for k > 0 && (n == i%guilds || k == 2 && n == t.people[i].guilds[1]) {
				n = rnd.IntN(guilds)
			}
			t.people[i].guilds = append(t.people[i].guilds, n)
			t.guilds[n].members = append(t.guilds[n].members, i)
			join(n, b)
		}
	}
	return t, g.Wait()
}

// found makes one guild.
func (t *town) found(ctx context.Context, i int) (*guild, error) {
	made, err := t.owner.Guild(ctx, fmt.Sprintf("Town %d", i))
	if err != nil {
		return nil, err
	}
	g := &guild{id: made.ID}
	role, err := t.owner.Role(ctx, g.id, "outsider", 0)
	if err != nil {
		return nil, err
	}
	g.outsider = role.ID
	for room, name := range [rooms]string{"square", "den", "vault"} {
		ch, err := t.owner.Channel(ctx, g.id, name)
		if err != nil {
			return nil, err
		}
		g.channels[room] = ch.ID
	}
	hidden := map[int]proto.ID{den: g.outsider, vault: g.id} // the role of all has the guild's id
	for room, role := range hidden {
		err := t.owner.Overwrite(ctx, g.channels[room], proto.Overwrite{ID: role, Type: proto.OverwriteRole, Deny: proto.PermViewChannel})
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}
