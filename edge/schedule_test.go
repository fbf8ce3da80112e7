package edge_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/edge/edgetest"
	"github.com/starling-chat/starling/proto"
)

// A connection that breaks at any moment, in any form, and comes back by RESUME: every message once, in order.
func TestResumeAtRandomMoments(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	w := newWorld(t, nil)
	const total = 600
	queries := []string{"?v=10", "?v=10&compress=zlib-stream", "?v=9&encoding=json&compress=zstd-stream"}
	c := w.dial(t)
	c.Identify(w.bob.Token, nil)
	c.Expect(proto.EventGuildCreate, nil)
	said := make(chan struct{})
	go func() { // not before: what the guild was shown with does not come
		defer close(said)
		for i := range total {
			w.core.Say(w.general, w.alice, fmt.Sprint(i))
		}
	}()
	next, breaks := -1, 0
	for next < total-1 {
		for n := r.IntN(40); n >= 0 && next < total-1; n-- {
			var m proto.Message
			f := c.Next()
			if f.T == proto.EventResumed {
				continue
			}
			if f.T != proto.EventMessageCreate {
				t.Fatalf("got op %d %s, closed %d", f.Op, f.T, f.Code)
			}
			decode(t, f.D, &m)
			var got int
			fmt.Sscan(m.Content, &got)
			if got != next+1 {
				t.Fatalf("message %d after %d, %d breaks", got, next, breaks)
			}
			next = got
		}
		old := c
		switch r.IntN(3) {
		case 0:
			old.Cut()
		case 1:
			old.Close(4000)
		}
		c = edgetest.Dial(t, w.edge.GatewayURL()+queries[r.IntN(len(queries))])
		c.Resume(w.bob.Token, old.Session, old.Seq)
		breaks++
		old.Cut()
	}
	<-said
	t.Logf("%d breaks", breaks)
}

// Joins, leaves, rights and identifies at once; afterwards the tables agree, and who comes anew sees what the core says.
func TestTablesAgreeAfterAnyOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 4))
	w := newWorld(t, func(c *edge.Config) { c.GuildLinger = 1 })
	var bots []*edgetest.User
	in := map[*edgetest.User]bool{}
	var clients []*edgetest.Client
	for i := range 6 {
		bots = append(bots, w.core.AddBot(fmt.Sprint("bot", i), i))
	}
	role := proto.Role{ID: w.core.NewID(9), Name: "some"}
	w.core.SetRole(w.guild, role)
	for range 120 {
		u := bots[r.IntN(len(bots))]
		switch r.IntN(6) {
		case 0:
			if !in[u] {
				w.core.Join(w.guild, u)
			} else {
				w.core.Leave(w.guild, u)
			}
			in[u] = !in[u]
		case 1:
			c := w.dial(t)
			c.Send(proto.OpIdentify, map[string]any{"token": u.Token})
			clients = append(clients, c)
		case 2:
			if len(clients) > 0 {
				clients[r.IntN(len(clients))].Close([]proto.CloseCode{1000, 4000}[r.IntN(2)])
			}
		case 3:
			ch := *w.general
			if r.IntN(2) == 0 {
				ch.Overwrites = []proto.Overwrite{{ID: role.ID, Type: proto.OverwriteRole, Deny: proto.PermViewChannel},
					{ID: u.ID, Type: proto.OverwriteMember, Allow: proto.PermViewChannel}}
			}
			w.core.SetChannel(w.guild, ch)
		case 4:
			if in[u] {
				w.core.SetRoles(w.guild, u, role.ID)
			}
		case 5:
			w.core.Say(w.general, w.alice, "hello")
		}
	}
	for _, u := range bots {
		c := w.dial(t)
		if n := len(c.Identify(u.Token, nil).Guilds); n == 1 != in[u] {
			t.Errorf("%s: READY lists %d guilds, member %v", u.Username, n, in[u])
		}
		if !in[u] {
			continue
		}
		f := c.Expect(proto.EventGuildCreate, nil)
		if !strings.Contains(string(f.D), fmt.Sprintf(`"owner_id":"%d"`, w.alice.ID)) {
			t.Errorf("%s: %s", u.Username, f.D)
		}
	}
}
