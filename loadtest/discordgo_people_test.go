package loadtest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bwmarrin/discordgo"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// Ann and Ben, bots at two edges, are renamed, write to each other in private, close the channel and find it again; Eve, a stranger, can be
// written to from the moment she joins. What their states hold is what REST tells.
func TestDiscordgoPeople(t *testing.T) {
	quiet(t)
	w := newTown(t, plain.get(t))
	ctx := within(t, 6*patience)
	annBot, _ := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	rudy, rudyREST := w.human("rudy")
	ann, ben := w.watcher(0, annBot), w.watcher(1, benBot)
	guild := w.guild.ID.String()

	next := name("annie")
	if u := take[*discordgo.User](t)(ann.UserUpdate(next, "", "")); u.Username != next {
		t.Errorf("renamed: %+v", u)
	}
	ann.expect(0, "USER_UPDATE", about("USER_UPDATE", func(u proto.SelfUser) bool { return u.Username == next }))
	must(t, rudyREST.Call(ctx, "PATCH", "/users/@me", map[string]any{"global_name": "Rudolf"}, nil))
	for _, g := range []*gopher{ann, ben} {
		for _, match := range []func(proto.GuildMember) bool{
			func(m proto.GuildMember) bool { return m.User.Username == next },
			func(m proto.GuildMember) bool { return m.User.GlobalName != nil && *m.User.GlobalName == "Rudolf" },
		} {
			g.expect(0, "GUILD_MEMBER_UPDATE", about("GUILD_MEMBER_UPDATE", match))
		}
	}
	agree(guild, "after names changed", ann, ben)
	if u := take[*discordgo.User](t)(ben.User(rudy.User.ID.String())); u.GlobalName != "Rudolf" || u.Bot {
		t.Errorf("user: %+v", u)
	}

	dm := take[*discordgo.Channel](t)(ann.UserChannelCreate(benBot.ID.String()))
	var last *discordgo.Message
	say := func(g *gopher, text string) {
		t.Helper()
		last = take[*discordgo.Message](t)(g.ChannelMessageSend(dm.ID, text))
		for _, g := range []*gopher{ann, ben} {
			g.expect(0, text, saysID(last.ID))
		}
	}
	say(ann, "psst")
	say(ben, "what is it?")
	agreeOn(dm.ID, "a direct channel", ann, ben)
	mark := ben.Mark()
	take[*discordgo.Channel](t)(ben.ChannelDelete(dm.ID))
	ben.expect(mark, "CHANNEL_DELETE", isDirect("CHANNEL_DELETE", take[proto.ID](t)(proto.ParseID(dm.ID))))
	mark = ben.Mark()
	say(ann, "still there?")
	ben.expect(mark, "CHANNEL_CREATE", event("CHANNEL_CREATE"))
	agreeOn(dm.ID, "a channel that was never closed here", ann)

	must(t, rudyREST.Call(ctx, "PUT", "/users/@me/relationships/"+annBot.ID.String(), map[string]any{"type": proto.RelationshipBlocked}, nil))
	with := take[*discordgo.Channel](t)(ann.UserChannelCreate(rudy.User.ID.String()))
	_, err := ann.ChannelMessageSend(with.ID, "hello?")
	refuses(t, err, proto.ErrNotReachable)

	eve := take[client.Person](t)(w.owner.As("").Register(ctx, name("eve"), password))
	eveREST := w.owner.As("Bearer " + eve.Token).At(w.m.HTTP(1))
	with = take[*discordgo.Channel](t)(ann.UserChannelCreate(eve.User.ID.String()))
	_, err = ann.ChannelMessageSend(with.ID, "hello, stranger")
	refuses(t, err, proto.ErrNotReachable)
	code := take[string](t)(w.owner.Invite(ctx, w.general))
	for range 10 { // each time at the moment of the answer
		must(t, eveREST.Join(ctx, code))
		take[*discordgo.Message](t)(ann.ChannelMessageSend(with.ID, "hello, neighbour"))
		must(t, eveREST.Call(ctx, "DELETE", "/users/@me/guilds/"+guild, nil, nil))
		_, err = ann.ChannelMessageSend(with.ID, "goodbye")
		refuses(t, err, proto.ErrNotReachable)
	}
	agree(guild, "after comings and goings", ann, ben)
}

// Members by op 8, presence and voice frames, intents, shards: the gateway as discordgo uses it.
func TestDiscordgoGateway(t *testing.T) {
	quiet(t)
	w := newTown(t, plain.get(t))
	ctx := within(t, 6*patience)
	annBot, _ := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	rudy, rudyREST := w.human("rudy")
	ann := w.watcher(0, annBot)
	guild := w.guild.ID.String()

	chunk := func(nonce string, err error) (c proto.GuildMembersChunk) {
		t.Helper()
		must(t, err)
		is := func(c proto.GuildMembersChunk) bool { return c.Nonce != nil && *c.Nonce == nonce }
		must(t, ann.expect(0, nonce, about("GUILD_MEMBERS_CHUNK", is)).Into(&c))
		return c
	}
	if c := chunk("all", ann.RequestGuildMembers(guild, "", 0, "all", false)); len(c.Members) != 4 || c.ChunkCount != 1 {
		t.Errorf("all: %+v", c)
	}
	if c := chunk("name", ann.RequestGuildMembers(guild, "RUD", 10, "name", true)); len(c.Members) != 1 || c.Members[0].User.ID != rudy.User.ID || c.Presences == nil {
		t.Errorf("by name: %+v", c)
	}
	ids := []string{rudy.User.ID.String(), benBot.ID.String(), "4611686018427387904"}
	if c := chunk("ids", ann.RequestGuildMembersList(guild, ids, 0, "ids", false)); len(c.Members) != 2 || len(c.NotFound) != 1 {
		t.Errorf("by id: %+v", c)
	}
	agree(guild, "after members were asked for", ann)

	// Op 3 and op 4 disturb nothing.
	must(t, ann.UpdateGameStatus(0, "chess"))
	must(t, ann.UpdateStatusComplex(discordgo.UpdateStatusData{Status: "dnd", AFK: true}))
	must(t, ann.ChannelVoiceJoinManual(guild, "", true, true))
	ann.expect(0, "still here", saysID(ann.say(w.general, "still here").ID))

	// Ben may not read: what he is told is empty, but for his own words and what mentions him.
	ben := w.gopherWith(1, benBot, func(g *gopher) {
		g.LogLevel = discordgo.LogDebug
		g.Identify.Intents = discordgo.IntentsGuilds | discordgo.IntentsGuildMessages
	})
	ben.expect(0, "GUILD_CREATE", event("GUILD_CREATE"))
	for text, want := range map[string]string{"for those who may": "", fmt.Sprintf("<@%s> you", benBot.ID): fmt.Sprintf("<@%s> you", benBot.ID)} {
		m := take[proto.Message](t)(rudyREST.Say(ctx, w.general, text))
		var got proto.Message
		must(t, ben.expect(0, "a message", says(m)).Into(&got))
		if got.Content != want {
			t.Errorf("without the intent: got %q, want %q", got.Content, want)
		}
	}
	var own proto.Message
	must(t, ben.expect(0, "own words", saysID(ben.say(w.general, "mine").ID)).Into(&own))
	if own.Content != "mine" {
		t.Errorf("own words: %q", own.Content)
	}
	must(t, rudyREST.Type(ctx, w.general))
	eve, _ := w.human("eve")
	ann.expect(0, "eve", about("GUILD_MEMBER_ADD", func(m proto.GuildMember) bool { return m.User.ID == eve.User.ID }))
	ann.expect(0, "typing", event("TYPING_START"))
	after := take[proto.Message](t)(w.owner.Say(ctx, w.general, "after"))
	ben.expect(0, "after", says(after))
	if n := ben.Count(0, func(e client.Event) bool {
		return slices.Contains([]string{"GUILD_MEMBER_ADD", "TYPING_START", "PRESENCE_UPDATE"}, e.T)
	}); n != 0 {
		t.Errorf("%d events that Ben had not asked for", n)
	}

	// Two shards of one bot at two edges: each guild at one of them.
	cyBot, _ := w.bot("cy", true)
	guilds := map[int]proto.Guild{int(w.guild.ID>>22) % 2: w.guild}
	for len(guilds) < 2 {
		g := take[proto.Guild](t)(w.owner.Guild(ctx, "Suburb"))
		if n := int(g.ID>>22) % 2; guilds[n].ID == 0 {
			must(t, w.owner.AddBot(ctx, g.ID, cyBot.ID))
			guilds[n] = g
		}
	}
	for n := range 2 {
		cy := w.gopherWith(n, cyBot, func(g *gopher) { g.LogLevel, g.ShardID, g.ShardCount = discordgo.LogDebug, n, 2 })
		g := guilds[n]
		cy.expect(0, "its guild", about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == g.ID }))
		var ready proto.Ready
		must(t, cy.expect(0, "READY", event("READY")).Into(&ready))
		if ready.Shard != [2]int{n, 2} || len(ready.Guilds) != 1 || ready.Guilds[0].ID != g.ID {
			t.Errorf("shard %d: %v with %+v", n, ready.Shard, ready.Guilds)
		}
		channel := take[proto.Channel](t)(w.owner.Channel(ctx, g.ID, "square"))
		m := take[proto.Message](t)(w.owner.Say(ctx, channel.ID, "to one shard"))
		cy.expect(0, "message", says(m))
	}
	if b := take[*discordgo.GatewayBotResponse](t)(ann.GatewayBot()); b.Shards != 1 || b.SessionStartLimit.MaxConcurrency < 1 || b.SessionStartLimit.Remaining < 1 {
		t.Errorf("/gateway/bot: %+v", b)
	}
}
