package loadtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A gap is a time in which one of Gus's two sessions has no connection, while his rights change.
type gap struct {
	*town
	ctx    context.Context
	gus    client.Person
	rest   *client.REST // his
	fay    *client.REST // a friend
	guilds map[string]proto.ID
	square map[string]proto.ID // of each guild its channel
	direct proto.ID            // with Fay
	roles  map[string]proto.ID
	rooms  map[string]proto.ID // more channels of the town
	n      int
}

func newGap(t *testing.T) *gap {
	g := &gap{town: newTown(t, plain.get(t)), ctx: within(t, 4*patience), guilds: map[string]proto.ID{}, square: map[string]proto.ID{}, roles: map[string]proto.ID{},
		rooms: map[string]proto.ID{}}
	g.gus, g.rest = g.human("gus")
	fay, rest := g.human("fay")
	g.fay = rest
	for _, name := range []string{"kicked", "banned", "ended", "joined", "again"} {
		guild := take[proto.Guild](t)(g.owner.Guild(g.ctx, name))
		g.guilds[name] = guild.ID
		g.square[name] = take[proto.Channel](t)(g.owner.Channel(g.ctx, guild.ID, "square")).ID
		if name != "joined" {
			g.join(name)
		}
	}
	for _, name := range []string{"taken", "given", "byrole", "away", "twice"} {
		g.rooms[name] = take[proto.Channel](t)(g.owner.Channel(g.ctx, g.guild.ID, name)).ID
	}
	g.roles["reader"] = take[proto.Role](t)(g.owner.Role(g.ctx, g.guild.ID, "reader", 0)).ID
	g.roles["gone"] = take[proto.Role](t)(g.owner.Role(g.ctx, g.guild.ID, "gone", 0)).ID
	must(t, g.owner.GiveRole(g.ctx, g.guild.ID, g.gus.User.ID, g.roles["gone"]))
	hide := proto.Overwrite{ID: g.guild.ID, Type: proto.OverwriteRole, Deny: proto.PermViewChannel}
	must(t, g.owner.Overwrite(g.ctx, g.rooms["given"], hide))
	must(t, g.owner.Overwrite(g.ctx, g.rooms["byrole"], hide))
	must(t, g.owner.Overwrite(g.ctx, g.rooms["byrole"], proto.Overwrite{ID: g.roles["reader"], Type: proto.OverwriteRole, Allow: proto.PermViewChannel}))
	g.direct = take[proto.DirectChannel](t)(direct(g.ctx, g.rest, fay.User.ID)).ID
	take[proto.Message](t)(g.rest.Say(g.ctx, g.direct, "hello Fay"))
	return g
}

func (g *gap) join(guild string) {
	g.t.Helper()
	must(g.t, g.rest.Join(g.ctx, take[string](g.t)(g.owner.Invite(g.ctx, g.square[guild]))))
}

// talk says something in every channel that there is, and gives what was said last in each.
func (g *gap) talk() map[proto.ID]proto.Message {
	g.t.Helper()
	g.n++
	last := map[proto.ID]proto.Message{}
	say := func(r *client.REST, channel proto.ID) {
		m, err := r.Say(g.ctx, channel, fmt.Sprint("talk ", g.n))
		if e, ok := apiError(err); err != nil && (!ok || e.Code != 10003 && e.Code != 10004) { // what has ended says nothing
			g.t.Fatal(err)
		}
		last[channel] = m
	}
	for _, id := range g.square {
		say(g.owner, id)
	}
	for _, id := range g.rooms {
		say(g.owner, id)
	}
	say(g.fay, g.direct)
	say(g.owner, g.general)
	return last
}

func (g *gap) call(method, path string, body any) {
	g.t.Helper()
	must(g.t, g.owner.Call(g.ctx, method, path, body, nil))
}

// change does what may happen to somebody while he is away. Between any two steps there is talk.
func (g *gap) change() {
	gus, town := g.gus.User.ID, "/guilds/"+g.guild.ID.String()
	own := proto.Overwrite{ID: gus, Type: proto.OverwriteMember, Deny: proto.PermViewChannel}
	for _, step := range []func(){
		func() { must(g.t, g.owner.Overwrite(g.ctx, g.rooms["taken"], own)) },
		func() { must(g.t, g.owner.DropOverwrite(g.ctx, g.rooms["given"], g.guild.ID)) },
		func() { must(g.t, g.owner.GiveRole(g.ctx, g.guild.ID, gus, g.roles["reader"])) },
		func() { must(g.t, g.owner.Overwrite(g.ctx, g.rooms["twice"], own)) },
		func() { must(g.t, g.owner.DropOverwrite(g.ctx, g.rooms["twice"], gus)) },
		func() { g.call("DELETE", "/channels/"+g.rooms["away"].String(), nil) },
		func() { g.rooms["new"] = take[proto.Channel](g.t)(g.owner.Channel(g.ctx, g.guild.ID, "new")).ID },
		func() { g.call("PATCH", town+"/roles/"+g.roles["reader"].String(), map[string]any{"name": "readers"}) },
		func() { g.call("DELETE", town+"/roles/"+g.roles["gone"].String(), nil) },
		func() { g.call("PATCH", town, map[string]any{"name": "Another town"}) },
		func() { g.human("nell") },
		func() { g.call("DELETE", "/guilds/"+g.guilds["kicked"].String()+"/members/"+gus.String(), nil) },
		func() {
			g.call("PUT", fmt.Sprintf("/guilds/%s/bans/%s", g.guilds["banned"], gus), map[string]any{})
		},
		func() { g.join("joined") },
		func() {
			must(g.t, g.rest.Call(g.ctx, "DELETE", "/users/@me/guilds/"+g.guilds["again"].String(), nil, nil))
		},
		func() { g.join("again") },
		func() {
			must(g.t, g.rest.Call(g.ctx, "PATCH", "/users/@me", map[string]any{"global_name": "Gustav"}, nil))
		},
		func() { g.call("DELETE", "/guilds/"+g.guilds["ended"].String(), nil) },
	} {
		g.talk()
		step()
	}
	g.talk()
}

// heard waits until connections have got the last word of channels; what comes before in the same order they have then.
func (g *gap) heard(last map[proto.ID]proto.Message, channels []proto.ID, by ...*client.Gateway) {
	g.t.Helper()
	for _, c := range by {
		for _, id := range channels {
			g.await(c, 0, "talk", says(last[id]))
		}
	}
}

// Gus has two sessions. One has no connection while channels are taken from him and given, he is kicked, banned, joins, leaves and comes back, a
// guild ends, and everybody talks on. Resumed at either edge, it has been told what the other one was told, in each guild in the same order;
// once more from the same s, the same again.
func TestRightsAcrossTheGap(t *testing.T) {
	for _, way := range [][3]int{{0, 1, 1}, {1, 1, 0}, {0, 1, 0}} {
		t.Run(fmt.Sprintf("from edge %d to edge %d, the other at %d", way[0]+1, way[2]+1, way[1]+1), func(t *testing.T) {
			g := newGap(t)
			all := map[string]any{"intents": proto.IntentsAll}
			away, there := g.open(way[0], g.gus.Token, client.Options{}, all), g.open(way[1], g.gus.Token, client.Options{}, all)
			mark, other := away.Mark(), there.Mark()
			g.heard(g.talk(), []proto.ID{g.general, g.direct, g.square["kicked"], g.square["banned"], g.square["ended"], g.square["again"]}, away.Gateway, there.Gateway)
			away.Cut()
			s := away.S()
			g.change()
			for _, to := range []int{way[2], 1 - way[2]} { // the second time as one that got nothing of the first
				log := client.NewLog(g.tell)
				c := g.dial(to, client.Options{Log: log})
				must(t, c.Resume(g.gus.Token, away.ready.SessionID, s))
				g.await(c, 0, "RESUMED", event("RESUMED"))
				for _, name := range []string{"joined", "again"} {
					g.await(c, 0, "GUILD_CREATE of "+name, about("GUILD_CREATE", func(d proto.GuildCreate) bool { return d.ID == g.guilds[name] }))
				}
				g.heard(g.talk(), []proto.ID{g.general, g.direct, g.square["joined"], g.square["again"]}, c, there.Gateway)
				told(append(away.Since(mark), log.Since(0)...)).agree(t, fmt.Sprintf("resumed at edge %d", to+1), told(there.Since(other)))
				c.Cut()
			}
		})
	}
}
