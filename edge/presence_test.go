package edge_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/edge/edgetest"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A presenceWorld has a second edge, and cores that keep presence.
type presenceWorld struct {
	*world
	edges [2]*edgetest.Edge
}

// refresh is short, so that what is found by asking is found soon.
const refresh = 400 * time.Millisecond

func newPresenceWorld(t *testing.T, delay time.Duration) *presenceWorld {
	t.Helper()
	alter := func(name string) func(*edge.Config) {
		return func(c *edge.Config) { c.Name, c.PresenceDelay, c.PresenceRefresh = name, delay, refresh }
	}
	w := &presenceWorld{world: newWorld(t, alter("one"))}
	w.core.ServePresence()
	w.edges = [2]*edgetest.Edge{w.edge, edgetest.StartEdge(t, w.mesh, 0, alter("two"))}
	return w
}

// come identifies at an edge with the intents for guilds and presences, and gives GUILD_CREATE. One's own presence is in it or comes after it.
func (w *presenceWorld) come(t *testing.T, i int, u *edgetest.User, status string) (*edgetest.Client, proto.GuildCreate) {
	t.Helper()
	c := edgetest.Dial(t, w.edges[i].GatewayURL()+"/?v=10&encoding=json")
	c.Identify(u.Token, map[string]any{"intents": proto.IntentGuilds | proto.IntentGuildPresences,
		"presence": map[string]any{"status": status, "afk": false, "since": nil, "activities": []any{}}})
	var g proto.GuildCreate
	c.Expect(proto.EventGuildCreate, &g)
	if s := proto.Status(status); s.Visible() && shown(g)[u.ID] == "" {
		sees(t, c, u, s, "web")
	}
	return c, g
}

// quiet comes without the intent.
func (w *presenceWorld) quiet(t *testing.T, i int, u *edgetest.User, status string) *edgetest.Client {
	t.Helper()
	c := edgetest.Dial(t, w.edges[i].GatewayURL()+"/?v=10&encoding=json")
	c.Identify(u.Token, map[string]any{"intents": proto.IntentGuilds | proto.IntentGuildMessages | proto.IntentMessageContent,
		"presence": map[string]any{"status": status}})
	c.Expect(proto.EventGuildCreate, nil)
	return c
}

func poses(c *edgetest.Client, status string, activities ...any) {
	c.Send(proto.OpPresence, map[string]any{"since": nil, "afk": false, "status": status, "activities": append([]any{}, activities...)})
}

// sees wants the next event to be one user's presence.
func sees(t *testing.T, c *edgetest.Client, u *edgetest.User, status proto.Status, devices ...string) proto.Presence {
	t.Helper()
	var p proto.Presence
	f := c.Expect(proto.EventPresenceUpdate, &p)
	if p.User.ID != u.ID || p.Status != status || p.GuildID == 0 || len(p.ClientStatus) != len(devices) {
		t.Fatalf("got %s, want %s %s", f.D, u.Username, status)
	}
	for _, d := range devices {
		if p.ClientStatus[d] == "" {
			t.Fatalf("got %s, want %s", f.D, d)
		}
	}
	return p
}

func shown(g proto.GuildCreate) map[proto.ID]proto.Status {
	out := map[proto.ID]proto.Status{}
	for _, p := range g.Presences {
		out[p.User.ID] = p.Status
	}
	return out
}

// settled waits until the cores were told of a user through an edge.
func (w *presenceWorld) settled(t *testing.T, u *edgetest.User, edge, status string) {
	t.Helper()
	relaytest.Until(t, u.Username+" is "+status+" at "+edge, func() bool {
		r := w.core.Reported(u, edge)
		return r == nil && status == "gone" || r != nil && r.Status == status
	})
}

// Alice has a session at each of two edges; Bob hears what they come to, nothing twice and nothing else.
func TestPresenceOverTwoEdges(t *testing.T) {
	w := newPresenceWorld(t, 50*time.Millisecond)
	bob, g := w.come(t, 0, w.bob, "online")
	if s := shown(g); len(s) > 1 || s[w.alice.ID] != "" {
		t.Errorf("GUILD_CREATE shows %v", s)
	}
	first, second := w.quiet(t, 0, w.alice, "online"), (*edgetest.Client)(nil)
	sees(t, bob, w.alice, "online", "web")
	second = w.quiet(t, 1, w.alice, "idle")
	w.settled(t, w.alice, "two", "idle") // which adds nothing
	poses(second, "dnd")
	sees(t, bob, w.alice, "dnd", "web")
	poses(first, "idle", map[string]any{"name": "chess", "type": 0})
	w.settled(t, w.alice, "one", "idle")
	poses(second, "invisible")
	if p := sees(t, bob, w.alice, "idle", "web"); !json.Valid(p.Activities) || len(p.Activities) < 10 {
		t.Errorf("activities %s", p.Activities)
	}
	poses(first, "offline")
	sees(t, bob, w.alice, "offline")
	poses(first, "dnd")
	sees(t, bob, w.alice, "dnd", "web")
	second.Close(1000)
	first.Cut()
	sees(t, bob, w.alice, "offline")
	w.settled(t, w.alice, "two", "gone")
	w.core.Say(w.general, w.alice, "she has heard nothing of presence")
	again := w.quiet(t, 1, w.alice, "online")
	sees(t, bob, w.alice, "online", "web")
	w.core.Say(w.general, w.bob, "marker")
	var m proto.Message
	for m.Content != "marker" { // the edge may have been behind the one before it
		if again.Expect(proto.EventMessageCreate, &m); m.Content != "marker" && m.Content != "she has heard nothing of presence" {
			t.Fatalf("message %q", m.Content)
		}
	}
}

// Who is invisible shows nowhere: not to those who come later, not in members asked for.
func TestInvisibleNeverShows(t *testing.T) {
	w := newPresenceWorld(t, 50*time.Millisecond)
	carol := w.core.AddPerson("carol", 11)
	w.core.Join(w.guild, carol)
	w.quiet(t, 0, w.alice, "invisible")
	w.settled(t, w.alice, "one", "invisible")
	bob, g := w.come(t, 1, w.bob, "dnd")
	if s := shown(g); s[w.alice.ID] != "" {
		t.Fatalf("Bob sees %v", s)
	}
	c, g := w.come(t, 0, carol, "idle")
	if s := shown(g); s[w.alice.ID] != "" || s[w.bob.ID] != "dnd" {
		t.Fatalf("Carol sees %v", s)
	}
	sees(t, bob, carol, "idle", "web")
	for _, who := range []*edgetest.Client{bob, c} {
		who.Send(proto.OpRequestMembers, map[string]any{"guild_id": w.guild.ID, "user_ids": []proto.ID{w.alice.ID, w.bob.ID, carol.ID}, "presences": true})
		var chunk proto.GuildMembersChunk
		f := who.Expect(proto.EventGuildMembersChunk, &chunk)
		if len(chunk.Members) != 3 || len(chunk.Presences) != 2 || chunk.Presences[0].User.ID == w.alice.ID || chunk.Presences[1].User.ID == w.alice.ID {
			t.Errorf("chunk %s", f.D)
		}
	}
}

// The first session of a guild has no use for presence, the second has: its GUILD_CREATE waits for an answer.
func TestPresenceWantedLater(t *testing.T) {
	w := newPresenceWorld(t, time.Second)
	alice := w.quiet(t, 0, w.alice, "dnd")
	w.settled(t, w.alice, "one", "dnd")
	_, g := w.come(t, 0, w.bob, "online")
	if s := shown(g); s[w.alice.ID] != "dnd" {
		t.Fatalf("GUILD_CREATE shows %v", s)
	}
	w.core.Say(w.general, w.bob, "marker")
	expectMessage(t, alice, "marker") // no update before it
}

// Bob misses what happens while he is away, and hears of it at RESUME, before RESUMED; Alice's own reconnect is seen by nobody.
func TestPresenceAndResume(t *testing.T) {
	w := newPresenceWorld(t, 5*time.Second)
	bob, _ := w.come(t, 0, w.bob, "online")
	alice := w.quiet(t, 0, w.alice, "idle")
	sees(t, bob, w.alice, "idle", "web")
	alice.Cut()
	back := w.dial(t)
	back.Resume(w.alice.Token, alice.Session, alice.Seq)
	back.Expect(proto.EventResumed, nil)
	poses(back, "dnd")
	sees(t, bob, w.alice, "dnd", "web") // and nothing between

	bob.Cut()
	poses(back, "online")
	w.settled(t, w.alice, "one", "online")
	witness, g := w.come(t, 0, w.core.AddMember(w.guild, "carol", 12), "invisible")
	if shown(g)[w.alice.ID] != "online" { // the edge may not yet have heard
		sees(t, witness, w.alice, "online", "web")
	}
	again := w.dial(t)
	again.Resume(w.bob.Token, bob.Session, bob.Seq)
	sees(t, again, w.alice, "online", "web")
	again.Expect(proto.EventResumed, nil)
}

// Presence is away: GUILD_CREATE goes out without, and what it did not say is told when presence is back. The same where an update is lost.
func TestPresenceAway(t *testing.T) {
	w := newPresenceWorld(t, 50*time.Millisecond)
	alice := w.quiet(t, 1, w.alice, "idle")
	w.settled(t, w.alice, "two", "idle")
	w.core.PresenceDown(true)
	bob, g := w.come(t, 0, w.bob, "invisible")
	if len(g.Presences) != 0 {
		t.Errorf("GUILD_CREATE shows %v", g.Presences)
	}
	w.core.PresenceDown(false)
	sees(t, bob, w.alice, "idle", "web")
	w.settled(t, w.bob, "one", "invisible") // told again when his turn came

	w.core.PresenceMute(true)
	poses(alice, "dnd")
	w.settled(t, w.alice, "two", "dnd")
	w.core.PresenceMute(false)
	alice.Cut()
	sees(t, bob, w.alice, "offline")
}

// An update that is lost right after a guild was loaded is found by asking.
func TestLostPresenceIsFound(t *testing.T) {
	w := newPresenceWorld(t, 50*time.Millisecond)
	w.core.PresenceMute(true)
	bob, _ := w.come(t, 0, w.bob, "invisible")
	w.quiet(t, 1, w.alice, "dnd")
	sees(t, bob, w.alice, "dnd", "web")
}

// Somebody who is online joins: the others are told, though nothing has changed but that.
func TestPresenceOfNewcomer(t *testing.T) {
	w := newPresenceWorld(t, 50*time.Millisecond)
	bob, _ := w.come(t, 0, w.bob, "online")
	carol := w.core.AddPerson("carol", 11)
	c := edgetest.Dial(t, w.edges[1].GatewayURL()+"/?v=10&encoding=json")
	c.Identify(carol.Token, map[string]any{"intents": proto.IntentGuilds | proto.IntentGuildPresences, "presence": map[string]any{"status": "idle"}})
	w.settled(t, carol, "two", "idle")
	w.core.Join(w.guild, carol)
	sees(t, bob, carol, "idle", "web")
	var g proto.GuildCreate
	c.Expect(proto.EventGuildCreate, &g)
	if s := shown(g); s[w.bob.ID] != "online" || s[carol.ID] != "idle" {
		t.Errorf("Carol sees %v", s)
	}
	w.core.Leave(w.guild, carol)
	poses(c, "dnd")
	w.settled(t, carol, "two", "dnd")
	w.quiet(t, 1, w.alice, "online")
	sees(t, bob, w.alice, "online", "web") // and nothing of Carol
}

// In a guild of more than a thousand bots alone are told; GUILD_CREATE and chunks tell everybody who asks.
func TestPresenceInACrowd(t *testing.T) {
	w := newPresenceWorld(t, 50*time.Millisecond)
	rob := w.core.AddBot("rob", 16)
	members := []*edgetest.User{}
	for i := range 1000 {
		members = append(members, w.core.AddPerson(fmt.Sprint("member", i), 13))
	}
	crowd := w.core.AddGuild(14, w.core.AddPerson("olivia", 15), append(members, rob)...)
	bot, _ := w.come(t, 0, rob, "dnd")
	person, g := w.come(t, 0, members[0], "invisible")
	if g.ID != crowd.ID || len(g.Members) != 1 || !g.Large {
		t.Fatalf("guild %d with %d members", g.ID, len(g.Members))
	}
	w.quiet(t, 1, members[1], "idle")
	sees(t, bot, members[1], "idle", "web")
	person.Send(proto.OpRequestMembers, map[string]any{"guild_id": crowd.ID, "user_ids": []proto.ID{members[1].ID, members[2].ID, rob.ID}, "presences": true})
	var chunk proto.GuildMembersChunk
	f := person.Expect(proto.EventGuildMembersChunk, &chunk) // and no update before it
	if len(chunk.Members) != 3 || len(chunk.Presences) != 2 {
		t.Errorf("chunk %s", f.D)
	}
}
