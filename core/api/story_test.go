package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Alice makes an account, a bot and a guild; Bob joins by invite; they and the bot talk.
func TestFromAccountToConversation(t *testing.T) {
	m := startMesh(t, false)
	alice, bob := m.register("alice"), m.register("Bob")
	m.wantError(m.call("", "POST", "/auth/register", map[string]string{"username": "ALICE", "password": "password"}), 400, 50035)

	login := m.want(m.call("", "POST", "/v1/auth/login", map[string]string{"login": "Alice", "password": "alice password"}), 200)
	if login.str("user", "id") != alice.id || login.str("expires_in") != "900" || login.header.Get("Cache-Control") != "no-store" {
		t.Errorf("login: got %v", login)
	}
	m.wantError(m.call("", "POST", "/auth/login", map[string]string{"login": "alice", "password": "wrong"}), 400, 50035)
	m.wantError(m.call("", "POST", "/auth/login", map[string]string{"login": "nobody", "password": "wrong"}), 400, 50035)

	me := m.want(bob.do("GET", "/users/@me", nil), 200)
	if me.str("username") != "bob" || me.at("mfa_enabled") != false || me.at("verified") != true || me.at("bot") != false {
		t.Errorf("/users/@me: got %v", me)
	}
	bot := alice.makeBot("Sparrow")
	app := m.want(bot.do("GET", "/oauth2/applications/@me", nil), 200)
	if app.str("id") != bot.id || app.str("owner", "id") != alice.id || app.str("verify_key") != "" {
		t.Errorf("application: got %v", app)
	}
	m.want(bot.do("GET", "/applications/@me", nil), 200)

	guild, channel := alice.guild("Nest")
	alice.invite(channel, bob)
	member := m.want(alice.do("PUT", "/guilds/"+guild+"/members/"+bot.id, "{}"), 201)
	if member.str("user", "id") != bot.id || member.at("roles") == nil {
		t.Errorf("added bot: got %v", member)
	}
	m.want(alice.do("PUT", "/guilds/"+guild+"/members/"+bot.id, "{}"), 204)
	m.wantError(bob.do("PUT", "/guilds/"+guild+"/members/"+bot.id, "{}"), 403, 50013)
	m.wantError(alice.do("PUT", "/guilds/"+guild+"/members/"+bob.id, "{}"), 400, 50035)

	g := m.want(bob.do("GET", "/guilds/"+guild+"?with_counts=true", nil), 200)
	if g.str("approximate_member_count") != "3" || g.at("channels") != nil || g.str("roles", 0, "id") != guild || g.at("emojis") == nil {
		t.Errorf("guild: got %v", g)
	}
	if l := m.want(bob.do("GET", "/guilds/"+guild+"/members?limit=10", nil), 200); l.len() != 3 {
		t.Errorf("members: got %v", l)
	}
	relaytest.Until(t, "Bob's own list knows the guild", func() bool {
		l := bob.do("GET", "/users/@me/guilds", nil)
		return l.len() == 1 && l.str(0, "id") == guild && l.at(0, "owner") == false
	})

	messages := "/channels/" + channel + "/messages"
	sent := m.want(bot.do("POST", messages, `{"content":"hi","embeds":null,"nonce":"77","tts":false,"x":1}`), 200)
	if sent.str("content") != "hi" || sent.str("author", "id") != bot.id || sent.str("nonce") != "77" || sent.at("embeds") == nil ||
		sent.at("guild_id") != nil {
		t.Errorf("sent: got %v", sent)
	}
	message := messages + "/" + sent.str("id")
	if got := m.want(bob.do("GET", message, nil), 200); got.str("content") != "hi" || got.str("timestamp") != sent.str("timestamp") {
		t.Errorf("read: got %v", got)
	}
	m.wantError(bob.do("PATCH", message, `{"content":"no"}`), 403, 50005)
	if got := m.want(bot.do("PATCH", message, `{"content":"hello","ID":"1","Channel":"2","flags":0}`), 200); got.at("edited_timestamp") == nil {
		t.Errorf("edited: got %v", got)
	}
	if ch := m.want(bob.do("GET", "/channels/"+channel, nil), 200); ch.str("last_message_id") != sent.str("id") {
		t.Errorf("channel: got %v", ch)
	}
	m.want(bob.do("POST", "/channels/"+channel+"/typing", nil), 204)
	m.want(alice.do("DELETE", message, nil), 204)
	m.wantError(alice.do("DELETE", message, nil), 404, 10008)
	m.wantError(bob.do("GET", message, nil), 404, 10008)
}

// Alice hides a channel from Bob, then gives him a role that sees it again.
func TestRightsOfReads(t *testing.T) {
	m := startMesh(t, false)
	alice, bob, eve := m.register("alice"), m.register("bob"), m.register("eve")
	guild, channel := alice.guild("Nest")
	alice.invite(channel, bob)
	first := m.want(alice.do("POST", "/channels/"+channel+"/messages", `{"content":"first"}`), 200).str("id")

	m.wantError(eve.do("GET", "/guilds/"+guild, nil), 404, 10004)
	m.wantError(eve.do("GET", "/guilds/"+guild+"/channels", nil), 403, 50001)
	m.wantError(eve.do("GET", "/channels/"+channel, nil), 403, 50001)
	m.wantError(eve.do("GET", "/channels/"+channel+"/messages", nil), 403, 50001)
	m.wantError(eve.do("GET", "/guilds/"+guild+"/members", nil), 403, 50001)

	everyone := "/channels/" + channel + "/permissions/" + guild
	const readHistory, view = "65536", "1024"
	m.want(alice.do("PUT", everyone, map[string]any{"type": 0, "allow": "0", "deny": readHistory}), 204)
	if l := m.want(bob.do("GET", "/channels/"+channel+"/messages", nil), 200); l.len() != 0 {
		t.Errorf("without READ_MESSAGE_HISTORY: got %v", l)
	}
	m.wantError(bob.do("GET", "/channels/"+channel+"/messages/"+first, nil), 403, 50001)
	m.want(alice.do("PUT", everyone, map[string]any{"type": 0, "allow": nil, "deny": 1024}), 204)
	m.wantError(bob.do("GET", "/channels/"+channel, nil), 403, 50001)
	m.wantError(bob.do("GET", "/channels/"+channel+"/messages", nil), 403, 50001)
	if l := m.want(bob.do("GET", "/guilds/"+guild+"/channels", nil), 200); strings.Contains(string(l.body), channel) {
		t.Errorf("a hidden channel is listed: %v", l)
	}

	role := m.want(alice.do("POST", "/guilds/"+guild+"/roles", map[string]any{"name": "bird", "permissions": "0", "color": nil}), 200).str("id")
	m.want(alice.do("PUT", "/channels/"+channel+"/permissions/"+role, map[string]any{"type": 0, "allow": view, "deny": "0"}), 204)
	m.want(alice.do("PUT", "/guilds/"+guild+"/members/"+bob.id+"/roles/"+role, nil), 204)
	m.want(bob.do("GET", "/channels/"+channel, nil), 200)
	if r := m.want(alice.do("PATCH", "/guilds/"+guild+"/roles/"+role, `{"name":"owl"}`), 200); r.str("name") != "owl" {
		t.Errorf("role: got %v", r)
	}
	if l := m.want(bob.do("GET", "/guilds/"+guild+"/roles", nil), 200); l.len() != 2 {
		t.Errorf("roles: got %v", l)
	}
	m.want(alice.do("DELETE", "/guilds/"+guild+"/members/"+bob.id+"/roles/"+role, nil), 204)
	m.wantError(bob.do("GET", "/channels/"+channel, nil), 403, 50001)
	m.want(alice.do("DELETE", everyone, nil), 204)
	m.want(bob.do("GET", "/channels/"+channel, nil), 200)

	m.want(bob.do("PATCH", "/guilds/"+guild+"/members/@me", `{"nick":"Bobby"}`), 200)
	if got := m.want(alice.do("GET", "/guilds/"+guild+"/members/"+bob.id, nil), 200); got.str("nick") != "Bobby" {
		t.Errorf("nick: got %v", got)
	}
	m.wantError(bob.do("GET", "/guilds/"+guild+"/invites", nil), 403, 50013)
	if l := m.want(alice.do("GET", "/guilds/"+guild+"/invites", nil), 200); l.len() != 1 || l.str(0, "uses") != "1" {
		t.Errorf("invites: got %v", l)
	}
	if l := m.want(alice.do("GET", "/channels/"+channel+"/invites", nil), 200); l.len() != 1 {
		t.Errorf("invites of the channel: got %v", l)
	}
	m.want(bob.do("DELETE", "/users/@me/guilds/"+guild, nil), 204)
	m.wantError(bob.do("GET", "/channels/"+channel, nil), 403, 50001)
	m.wantError(alice.do("GET", "/guilds/"+guild+"/members/"+bob.id, nil), 404, 10007)

	if ch := m.want(alice.do("PATCH", "/channels/"+channel, `{"topic":"birds","name":"nest"}`), 200); ch.str("topic") != "birds" {
		t.Errorf("edited channel: got %v", ch)
	}
	m.want(alice.do("DELETE", "/channels/"+channel, nil), 200)
	m.wantError(alice.do("GET", "/channels/"+channel, nil), 404, 10003)
	m.wantError(alice.do("POST", "/channels/"+channel+"/messages", `{"content":"x"}`), 404, 10003)
}

func TestPagesAreFullAndNewestFirst(t *testing.T) {
	m := startMesh(t, false)
	alice := m.register("alice")
	_, channel := alice.guild("Nest")
	messages := "/channels/" + channel + "/messages"
	var ids []string
	for i := range 60 {
		ids = append(ids, m.want(alice.do("POST", messages, fmt.Sprintf(`{"content":"%d"}`, i)), 200).str("id"))
	}
	for query, want := range map[string][]string{
		"":                           ids[10:],
		"?limit=3":                   ids[57:],
		"?limit=100":                 ids,
		"?limit=3&before=" + ids[10]: ids[7:10],
		"?limit=3&after=" + ids[10]:  ids[11:14],
		"?limit=3&after=0":           ids[57:],
		"?limit=3&around=" + ids[10]: ids[9:12],
		"?limit=4&around=" + ids[59]: ids[56:60],
		"?limit=4&around=" + ids[0]:  ids[:4],
		"?limit=50&after=" + ids[58]: ids[59:],
		"?limit=50&before=" + ids[0]: {},
	} {
		a := m.want(alice.do("GET", messages+query, nil), 200)
		var got []string
		for i := range a.len() {
			got = append(got, a.str(i, "id"))
		}
		slices.Reverse(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d messages %v, want %d %v", query, len(got), got, len(want), want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?before=x", "?after=-1", "?around=0"} {
		m.wantError(alice.do("GET", messages+query, nil), 400, 50035)
	}
}

// An edge that lost an answer repeats the call under the same id, and is told what it was told the first time.
func TestRepeatedCallMeetsItsFirstTry(t *testing.T) {
	m := startMesh(t, false)
	alice := m.register("alice")
	guild, channel := alice.guild("Nest")
	for i, c := range []struct {
		token, target string
		body          any
		same          [][]any
	}{
		{"", "/auth/register", map[string]string{"username": "bob", "password": "password"}, [][]any{{"user", "id"}}},
		{alice.token, "/applications", map[string]string{"name": "Sparrow"}, [][]any{{"id"}, {"token"}}},
		{alice.token, "/v1/guilds", map[string]string{"name": "Other"}, [][]any{{"id"}}},
		{alice.token, "/v1/guilds/" + guild + "/roles", `{"name":"bird"}`, [][]any{{"id"}}},
		{alice.token, "/v1/channels/" + channel + "/messages", `{"content":"once"}`, [][]any{{"id"}, {"timestamp"}}},
		{alice.token, "/v1/channels/" + channel + "/invites", nil, [][]any{{"code"}}},
	} {
		id := []byte(fmt.Sprintf("repeated call %02d", i))
		first, second := m.callAs(id, c.token, "POST", c.target, c.body), m.callAs(id, c.token, "POST", c.target, c.body)
		if first.status >= 300 || second.status != first.status {
			t.Errorf("%s: got %v, then %v", c.target, first, second)
		}
		for _, keys := range c.same {
			if a, b := first.str(keys...), second.str(keys...); a != b || a == "<nil>" {
				t.Errorf("%s: %v is %s, then %s", c.target, keys, a, b)
			}
		}
	}
	if l := alice.do("GET", "/channels/"+channel+"/messages", nil); l.len() != 1 {
		t.Errorf("messages: got %v, want one", l)
	}
	refresh := func(id string, token string) answer {
		return m.callAs([]byte(id), "", "POST", "/auth/refresh", map[string]string{"refresh_token": token})
	}
	first, second := refresh("repeated call 98", alice.refresh), refresh("repeated call 98", alice.refresh)
	if first.status != 200 || second.status != 200 || first.str("refresh_token") != second.str("refresh_token") {
		t.Errorf("refresh: got %v, then %v", first, second)
	}
	m.wantError(refresh("another call  99", alice.refresh), 401, 0)
	m.want(refresh("another call  99", first.str("refresh_token")), 200)
	m.wantError(refresh("repeated call 98", alice.refresh), 401, 0)
}

func TestRevokedTokens(t *testing.T) {
	m := startMesh(t, false)
	alice, bob := m.register("alice"), m.register("bob")
	bot := alice.makeBot("Sparrow")
	identify := func(token string) *pb.IdentifyAnswer {
		raw, err := gproto.Marshal(&pb.IdentifyCall{Token: token})
		must(t, err)
		var out pb.IdentifyAnswer
		m.request(relay.RPCSubject(relaytest.Region, "identify"), raw, &out)
		return &out
	}
	for _, token := range []string{alice.token, "Bearer " + alice.token, "Bot " + alice.token} {
		if a := identify(token); a.Error != "" || fmt.Sprint(a.User.GetUser()) != alice.id || a.AuthSession == 0 {
			t.Errorf("identify Alice: got %v", a)
		}
	}
	for _, token := range []string{bot.token, strings.TrimPrefix(bot.token, "Bot ")} {
		if a := identify(token); a.Error != "" || fmt.Sprint(a.User.GetUser()) != bot.id || a.AuthSession != 0 {
			t.Errorf("identify the bot: got %v", a)
		}
	}
	for _, token := range []string{"", "x", bot.token + "x", alice.token[:len(alice.token)-5], "MTIz.a.b"} {
		if a := identify(token); a.Error != "" || a.User != nil {
			t.Errorf("identify %q: got %v, want nobody", token, a)
		}
		m.wantError(m.call(token, "GET", "/v1/users/@me", nil), 401, 0)
	}

	reset := "/applications/" + bot.id + "/bot/reset"
	m.wantError(bob.do("POST", reset, nil), 403, 50001)
	m.wantError(bot.do("POST", reset, nil), 403, 20001)
	m.wantError(alice.do("POST", "/applications/"+bob.id+"/bot/reset", nil), 404, 10002)
	fresh := m.want(alice.do("POST", reset, nil), 200).str("token")
	if a := identify(bot.token); a.User != nil || a.Error != "" {
		t.Errorf("the old token: got %v, want nobody", a)
	}
	m.wantError(bot.do("GET", "/users/@me", nil), 401, 0)
	m.want(m.call("Bot "+fresh, "GET", "/v1/users/@me", nil), 200)

	// Refresh turns once; the token that was used up is worth nothing, the login lives on.
	next := m.want(m.call("", "POST", "/auth/refresh", map[string]string{"refresh_token": alice.refresh}), 200)
	m.wantError(m.call("", "POST", "/auth/refresh", map[string]string{"refresh_token": alice.refresh}), 401, 0)
	m.want(m.call(next.str("token"), "GET", "/v1/users/@me", nil), 200)
	m.want(alice.do("GET", "/users/@me", nil), 200)
	m.want(m.call("", "POST", "/auth/logout", map[string]string{"refresh_token": next.str("refresh_token")}), 204)
	m.want(m.call("", "POST", "/auth/logout", map[string]string{"refresh_token": next.str("refresh_token")}), 204)
	for _, token := range []string{alice.token, next.str("token")} {
		m.wantError(m.call(token, "GET", "/v1/users/@me", nil), 401, 0)
		if a := identify(token); a.User != nil || a.Error != "" {
			t.Errorf("after logout: got %v, want nobody", a)
		}
	}
	m.wantError(m.call("", "POST", "/auth/refresh", map[string]string{"refresh_token": next.str("refresh_token")}), 401, 0)
}

func TestGuildSnapshot(t *testing.T) {
	m := startMesh(t, false)
	alice := m.register("alice")
	guild, _ := alice.guild("Nest")
	ask := func(id uint64) *pb.GuildAnswer {
		raw, err := gproto.Marshal(&pb.GuildCall{Guild: id, AllMembersUpTo: 100})
		must(t, err)
		var out pb.GuildAnswer
		m.request(relay.RPCSubject(relaytest.Region, "guild"), raw, &out)
		return &out
	}
	var id uint64
	fmt.Sscan(guild, &id)
	if a := ask(id); a.Status != 200 || a.Guild.GetGuild() != id || a.Guild.Sequence == 0 || !a.Guild.AllMembers {
		t.Errorf("got %v, want the guild", a)
	}
	if a := ask(id + 1<<22); a.Status != 404 || a.Guild != nil {
		t.Errorf("got %v, want 404", a)
	}
}
