package loadtest

import (
	"encoding/json"
	"path"
	"testing"

	"github.com/bwmarrin/discordgo"

	"github.com/starling-chat/starling/edge/edgetest"
	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// An outage is a real edge whose core can be told that a guild's bucket is out of reach, which no core of a whole mesh can be.
type outage struct {
	core     *edgetest.Core
	edge     *edgetest.Edge
	guild    *proto.Guild
	ann, ben *edgetest.User
	owner    *edgetest.User
}

func newOutage(t *testing.T) *outage {
	mesh := relaytest.Start(t, 1)
	o := &outage{core: edgetest.StartCore(t, mesh)}
	o.owner, o.ann, o.ben = o.core.AddPerson("olivia", 7), o.core.AddBot("ann", 8), o.core.AddBot("ben", 10)
	o.guild = o.core.AddGuild(9, o.owner, o.ann, o.ben)
	o.core.OnREST(o.rest)
	o.edge = edgetest.StartEdge(t, mesh, 0, nil)
	return o
}

// away makes the edge throw away what it knows of the guild, by an event that it cannot read, while there is nobody to ask.
func (o *outage) away() {
	o.core.GuildsAway(true)
	o.core.Publish(9, nil, &pb.Event{Type: proto.EventGuildRoleUpdate, Guild: uint64(o.guild.ID), Id: uint64(o.guild.ID), Body: []byte("{")})
}

func (o *outage) back() { o.core.GuildsAway(false) }

func (o *outage) say() { o.core.Say(&o.guild.Channels[0], o.owner, "welcome back") }

// rest answers what libraries ask before they connect, and what the story of discord.js asks for.
func (o *outage) rest(c *pb.RestCall) *pb.RestAnswer {
	body := map[string]any{}
	switch path.Base(c.Target) {
	case "gateway", "bot":
		body = map[string]any{"url": c.GatewayUrl, "shards": 1,
			"session_start_limit": map[string]int{"total": 9, "remaining": 9, "reset_after": 0, "max_concurrency": 1}}
	case "away":
		o.away()
	case "back":
		o.back()
	case "say":
		o.say()
	default:
		return &pb.RestAnswer{Status: 404}
	}
	out, _ := json.Marshal(body)
	return &pb.RestAnswer{Status: 200, Headers: []*pb.Header{{Name: "Content-Type", Value: "application/json"}}, Body: out}
}

// A guild goes away and comes back, for who is connected and for who comes meanwhile: discordgo.
func TestDiscordgoUnavailableGuild(t *testing.T) {
	quiet(t)
	o := newOutage(t)
	w := &town{t: t, tell: func(string) {}} // the core is a scripted one, and says less than a core does
	enter := func(u *edgetest.User) *gopher {
		return w.gopherAt(o.edge.HTTPAddr().String(), client.Bot{ID: u.ID, User: u.User, Token: u.Token}, func(g *gopher) { g.LogLevel = discordgo.LogDebug })
	}
	created := about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == o.guild.ID && !c.Unavailable })
	gone := about("GUILD_DELETE", func(s proto.GuildStub) bool { return s.ID == o.guild.ID && s.Unavailable })
	ann := enter(o.ann)
	ann.expect(0, "GUILD_CREATE", created)
	o.away()
	ann.expect(0, "GUILD_DELETE", gone)
	ben := enter(o.ben)
	ben.expect(0, "GUILD_DELETE", gone)
	mark := ann.Mark()
	o.back()
	ann.expect(mark, "GUILD_CREATE again", created)
	ben.expect(0, "GUILD_CREATE", created)
	o.say()
	for _, g := range []*gopher{ann, ben} {
		g.expect(0, "a message", about("MESSAGE_CREATE", func(m proto.Message) bool { return m.Content == "welcome back" }))
	}
}

// The same by discord.js: discordjs/unavailable.mjs.
func TestDiscordJSUnavailableGuild(t *testing.T) {
	dir := discordJS(t)
	o := newOutage(t)
	(&town{t: t}).runStory(dir, map[string]any{"story": "unavailable", "edges": []string{"http://" + o.edge.HTTPAddr().String()},
		"tokens": []string{o.ann.Token, o.ben.Token}, "guild": o.guild.ID, "channel": o.guild.Channels[0].ID})
}
