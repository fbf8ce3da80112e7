package loadtest

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A guide is a town in which every documented call makes sense: path holds an id for each parameter that a path may have.
type guide struct {
	*town
	bot      client.Bot // in the guild, with a session; so are the owner and ben
	botREST  *client.REST
	ben      client.Person
	benREST  *client.REST
	newREST  *client.REST // somebody who is in no guild
	newcomer client.Person
	path     map[string]string
	sessions []*session
}

const thumb = "\U0001F44D"

func newGuide(t *testing.T) *guide {
	t.Helper()
	g := &guide{town: newTown(t, plain.get(t))}
	g.tell = func(string) {} // other stories compare with package shape; here the documents count
	g.owner.Tell = g.tell
	ctx := within(t, patience)
	g.bot, g.botREST = g.town.bot("guide", true)
	g.ben, g.benREST = g.human("ben")
	g.newcomer = take[client.Person](t)(g.owner.As("").Register(ctx, name("nina"), password))
	g.newREST = g.owner.As("Bearer " + g.newcomer.Token)
	role := take[proto.Role](t)(g.owner.Role(ctx, g.guild.ID, "reader", 0))
	must(t, g.owner.GiveRole(ctx, g.guild.ID, g.bot.ID, role.ID))
	first := take[proto.Message](t)(g.owner.Say(ctx, g.general, "first"))
	g.path = map[string]string{"guild": g.guild.ID.String(), "channel": g.general.String(), "message": first.ID.String(),
		"role": role.ID.String(), "user": g.bot.ID.String(), "overwrite": role.ID.String(), "application": g.bot.ID.String(),
		"code": take[string](t)(g.owner.Invite(ctx, g.general)), "emoji": url.PathEscape(thumb)}
	for i, token := range []string{g.person.Token, g.ben.Token, g.bot.Token, g.newcomer.Token} {
		g.begin(i%2, token)
	}
	return g
}

// begin opens a session with all intents.
func (g *guide) begin(edge int, token string) {
	g.t.Helper()
	g.sessions = append(g.sessions, g.open(edge, token, client.Options{}, map[string]any{"intents": proto.IntentsAll}))
}

// A sensible call of an operation: by the owner, with the guide's ids and the document's example, unless calls says otherwise.
type sensible struct {
	as    *client.REST
	path  map[string]string
	query string // with the question mark
	body  any
}

func (g *guide) call(t *testing.T, o operation) *sensible {
	t.Helper()
	c := &sensible{as: g.owner, path: map[string]string{}, body: o.example()}
	for k, v := range g.path {
		c.path[k] = v
	}
	if o.public() {
		c.as = g.owner.As("")
	}
	if prepare := calls[o.ID]; prepare != nil {
		prepare(t, g, c)
	}
	return c
}

// calls makes what an operation needs beyond the town as it stands. What is deleted is made for it.
var calls = map[string]func(t *testing.T, g *guide, c *sensible){
	"register": func(t *testing.T, g *guide, c *sensible) {
		c.body = map[string]any{"username": name("quinn"), "password": password}
	},
	"login": func(t *testing.T, g *guide, c *sensible) {
		c.body = map[string]any{"login": g.ben.User.Username, "password": password}
	},
	"refresh": func(t *testing.T, g *guide, c *sensible) {
		c.body = map[string]any{"refresh_token": g.login(t).RefreshToken}
	},
	"logout": func(t *testing.T, g *guide, c *sensible) {
		c.body = map[string]any{"refresh_token": g.login(t).RefreshToken}
	},

	"getOwnApplication":    func(t *testing.T, g *guide, c *sensible) { c.as = g.botREST },
	"getOAuth2Application": func(t *testing.T, g *guide, c *sensible) { c.as = g.botREST },
	"resetBotToken":        func(t *testing.T, g *guide, c *sensible) { c.path["application"] = g.freshBot(false) },

	"leaveGuild": func(t *testing.T, g *guide, c *sensible) {
		b, r := g.town.bot("leaver", true)
		r.Tell = g.tell
		g.begin(0, b.Token)
		c.as = r
	},
	"openDM":             func(t *testing.T, g *guide, c *sensible) { c.body = map[string]any{"recipient_id": g.ben.User.ID} },
	"putRelationship":    func(t *testing.T, g *guide, c *sensible) { c.path["user"] = g.newcomer.User.ID.String() },
	"deleteRelationship": func(t *testing.T, g *guide, c *sensible) { c.path["user"] = g.block(t) },
	"deleteGuild": func(t *testing.T, g *guide, c *sensible) {
		marks, guild := g.marks(), take[proto.Guild](t)(g.owner.Guild(within(t, patience), "Short-lived"))
		// Who never was shown a guild is not told of its end.
		if !g.hears(marks, about("GUILD_CREATE", func(d proto.GuildCreate) bool { return d.ID == guild.ID })) {
			t.Error("GUILD_CREATE did not come")
		}
		c.path["guild"] = guild.ID.String()
	},
	"moveChannels": func(t *testing.T, g *guide, c *sensible) {
		c.body = []any{map[string]any{"id": g.freshChannel(t), "position": 0}}
	},
	"moveRoles": func(t *testing.T, g *guide, c *sensible) {
		c.body = []any{map[string]any{"id": g.freshRole(t), "position": 1}}
	},
	"deleteRole":    func(t *testing.T, g *guide, c *sensible) { c.path["role"] = g.freshRole(t) },
	"addMember":     func(t *testing.T, g *guide, c *sensible) { c.path["user"] = g.freshBot(false) },
	"removeMember":  func(t *testing.T, g *guide, c *sensible) { c.path["user"] = g.freshBot(true) },
	"addMemberRole": func(t *testing.T, g *guide, c *sensible) { c.path["role"] = g.freshRole(t) },
	"removeMemberRole": func(t *testing.T, g *guide, c *sensible) {
		c.path["role"] = g.freshRole(t)
		must(t, g.owner.Call(within(t, patience), "PUT", "/guilds/"+c.path["guild"]+"/members/"+c.path["user"]+"/roles/"+c.path["role"], nil, nil))
	},
	"searchMembers": func(t *testing.T, g *guide, c *sensible) { c.query = "?query=gui&limit=10" },

	"getBan":    func(t *testing.T, g *guide, c *sensible) { c.path["user"] = g.banned(t) },
	"putBan":    func(t *testing.T, g *guide, c *sensible) { c.path["user"] = g.freshBot(true) },
	"deleteBan": func(t *testing.T, g *guide, c *sensible) { c.path["user"] = g.banned(t) },
	"bulkBan": func(t *testing.T, g *guide, c *sensible) {
		c.body = map[string]any{"user_ids": []any{g.freshBot(true), g.freshBot(false)}}
	},
	"countPrune": func(t *testing.T, g *guide, c *sensible) { c.query = "?days=30" },

	"joinGuild": func(t *testing.T, g *guide, c *sensible) { c.as = g.newREST },
	"deleteInvite": func(t *testing.T, g *guide, c *sensible) {
		c.path["code"] = take[string](t)(g.owner.Invite(within(t, patience), g.general))
	},
	"deleteChannel": func(t *testing.T, g *guide, c *sensible) { c.path["channel"] = g.freshChannel(t) },
	"putOverwrite":  func(t *testing.T, g *guide, c *sensible) { c.path["channel"] = g.freshChannel(t) },
	"deleteOverwrite": func(t *testing.T, g *guide, c *sensible) {
		c.path["channel"] = g.freshChannel(t)
		must(t, g.owner.Call(within(t, patience), "PUT", "/channels/"+c.path["channel"]+"/permissions/"+c.path["overwrite"],
			map[string]any{"type": 0, "allow": "0", "deny": "2048"}, nil))
	},
	"deleteMessage": func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.say(t) },
	"bulkDelete": func(t *testing.T, g *guide, c *sensible) {
		c.body = map[string]any{"messages": []string{g.say(t), g.say(t)}}
	},

	"putPin":       func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.say(t) },
	"putPinOld":    func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.say(t) },
	"deletePin":    func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.pin(t) },
	"deletePinOld": func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.pin(t) },

	"addReaction":         func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.say(t) },
	"removeOwnReaction":   func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.react(t, g.owner) },
	"removeReaction":      func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.react(t, g.botREST) },
	"listReactions":       func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.react(t, g.owner) },
	"removeReactionEmoji": func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.react(t, g.owner) },
	"removeAllReactions":  func(t *testing.T, g *guide, c *sensible) { c.path["message"] = g.react(t, g.owner) },
}

func (g *guide) login(t *testing.T) client.Person {
	t.Helper()
	return take[client.Person](t)(g.owner.As("").Login(within(t, patience), g.ben.User.Username, password))
}

func (g *guide) freshBot(join bool) string {
	b, _ := g.town.bot("passer", join)
	return b.ID.String()
}

func (g *guide) freshChannel(t *testing.T) string {
	t.Helper()
	return take[proto.Channel](t)(g.owner.Channel(within(t, patience), g.guild.ID, "passing")).ID.String()
}

func (g *guide) freshRole(t *testing.T) string {
	t.Helper()
	return take[proto.Role](t)(g.owner.Role(within(t, patience), g.guild.ID, "passing", 0)).ID.String()
}

func (g *guide) say(t *testing.T) string {
	t.Helper()
	return take[proto.Message](t)(g.owner.Say(within(t, patience), g.general, "for a call")).ID.String()
}

func (g *guide) pin(t *testing.T) string {
	t.Helper()
	id := g.say(t)
	must(t, g.owner.Call(within(t, patience), "PUT", "/channels/"+g.path["channel"]+"/messages/pins/"+id, nil, nil))
	return id
}

func (g *guide) react(t *testing.T, by *client.REST) string {
	t.Helper()
	id := g.say(t)
	must(t, by.Call(within(t, patience), "PUT", "/channels/"+g.path["channel"]+"/messages/"+id+"/reactions/"+g.path["emoji"]+"/@me", nil, nil))
	return id
}

func (g *guide) banned(t *testing.T) string {
	t.Helper()
	id := g.freshBot(true)
	must(t, g.owner.Call(within(t, patience), "PUT", "/guilds/"+g.path["guild"]+"/bans/"+id, map[string]any{}, nil))
	return id
}

func (g *guide) block(t *testing.T) string {
	t.Helper()
	id := g.newcomer.User.ID.String()
	must(t, g.owner.Call(within(t, patience), "PUT", "/users/@me/relationships/"+id, json.RawMessage(`{"type":2}`), nil))
	return id
}
