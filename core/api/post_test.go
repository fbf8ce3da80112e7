package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// Bob replies to Alice, with and without mentions; the original goes, the reply stays.
func TestReplies(t *testing.T) {
	m := startMesh(t, false)
	alice, bob, eve := m.register("alice"), m.register("bob"), m.register("eve")
	guild, channel := alice.guild("Nest")
	alice.invite(channel, bob, eve)
	messages := "/channels/" + channel + "/messages"
	first := m.want(alice.do("POST", messages, `{"content":"first"}`), 200).str("id")
	reply := func(p person, content, rest string) answer {
		return p.do("POST", messages, fmt.Sprintf(`{"content":%q,"message_reference":{"message_id":"%s"%s`, content, first, rest))
	}
	r := m.want(reply(bob, "re", `,"channel_id":"`+channel+`","guild_id":"`+guild+`"}}`), 200)
	if r.str("type") != "19" || r.str("message_reference", "message_id") != first || r.str("message_reference", "guild_id") != guild ||
		r.str("referenced_message", "content") != "first" || r.str("mentions", 0, "id") != alice.id {
		t.Errorf("reply: got %v", r)
	}
	second := m.want(reply(bob, "quiet", `},"allowed_mentions":{"replied_user":false,"parse":[]}}`), 200)
	if second.str("mentions") != "[]" {
		t.Errorf("a reply that mentions nobody: got %v", second)
	}
	got := m.want(eve.do("GET", messages+"/"+r.str("id"), nil), 200)
	if got.str("referenced_message", "id") != first || got.str("referenced_message", "author", "id") != alice.id {
		t.Errorf("read: got %v", got)
	}
	edited := m.want(bob.do("PATCH", messages+"/"+r.str("id"), `{"content":"re: re"}`), 200)
	if edited.str("type") != "19" || edited.str("referenced_message", "content") != "first" {
		t.Errorf("edited: got %v", edited)
	}
	m.wantError(reply(bob, "x", `,"channel_id":"`+guild+`"}}`), 400, 50035)
	m.wantError(reply(bob, "x", `,"type":1}}`), 400, 50035)
	m.wantError(bob.do("POST", messages, `{"content":"x","message_reference":{}}`), 400, 50035)
	m.wantError(bob.do("POST", messages, `{"content":"x","message_reference":7}`), 400, 50035)
	m.want(alice.do("DELETE", messages+"/"+first, nil), 204)
	if l := m.want(bob.do("GET", messages, nil), 200); !strings.Contains(string(l.body), `"referenced_message":null`) || l.len() != 2 {
		t.Errorf("replies to a deleted message: got %v", l)
	}
	m.wantError(reply(bob, "late", `}}`), 400, 50035)
	if a := m.want(reply(bob, "late", `,"fail_if_not_exists":false}}`), 200); a.str("type") != "0" || a.at("message_reference") != nil {
		t.Errorf("a reply to nothing: got %v", a)
	}
	const readHistory = "65536"
	m.want(alice.do("PUT", "/channels/"+channel+"/permissions/"+eve.id, map[string]any{"type": 1, "allow": "0", "deny": readHistory}), 204)
	m.wantError(eve.do("POST", messages, `{"content":"x","message_reference":{"message_id":"`+r.str("id")+`"}}`), 403, 160002)
}

// What allowed_mentions lets through, and what it refuses.
func TestAllowedMentions(t *testing.T) {
	m := startMesh(t, false)
	alice, bob := m.register("alice"), m.register("bob")
	guild, channel := alice.guild("Nest")
	alice.invite(channel, bob)
	role := m.want(alice.do("POST", "/guilds/"+guild+"/roles", `{"name":"bird","mentionable":true}`), 200).str("id")
	text := fmt.Sprintf("<@%s> <@!%s> <@&%s> @everyone", alice.id, bob.id, role)
	for allowed, want := range map[string][3]string{ // users, roles, everyone
		`null`:         {"2", "1", "true"},
		`{}`:           {"0", "0", "false"},
		`{"parse":[]}`: {"0", "0", "false"},
		`{"parse":["users","roles","everyone"],"users":null,"roles":[]}`: {"2", "1", "true"},
		`{"parse":["everyone"]}`:                       {"0", "0", "true"},
		`{"users":["` + bob.id + `","1"]}`:             {"1", "0", "false"},
		`{"parse":["users"],"roles":["` + role + `"]}`: {"2", "1", "false"},
	} {
		a := m.want(alice.do("POST", "/channels/"+channel+"/messages", fmt.Sprintf(`{"content":%q,"allowed_mentions":%s}`, text, allowed)), 200)
		users, _ := a.at("mentions").([]any)
		roles, _ := a.at("mention_roles").([]any)
		if got := [3]string{fmt.Sprint(len(users)), fmt.Sprint(len(roles)), a.str("mention_everyone")}; got != want {
			t.Errorf("%s: got %v, want %v", allowed, got, want)
		}
	}
	for _, bad := range []string{`{"parse":["users"],"users":["1"]}`, `{"parse":["roles"],"roles":["1"]}`, `{"parse":["all"]}`, `{"parse":"users"}`,
		`{"users":["x"]}`, `7`, `{"users":[` + strings.Repeat(`"1",`, 100) + `"1"]}`} {
		m.wantError(alice.do("POST", "/channels/"+channel+"/messages", fmt.Sprintf(`{"content":"x","allowed_mentions":%s}`, bad)), 400, 50035)
	}
}

// Alice and Bob react; counts hold, whatever is repeated.
func TestReactions(t *testing.T) {
	m := startMesh(t, false)
	alice, bob, eve := m.register("alice"), m.register("bob"), m.register("eve")
	guild, channel := alice.guild("Nest")
	alice.invite(channel, bob, eve)
	messages := "/channels/" + channel + "/messages"
	message := messages + "/" + m.want(alice.do("POST", messages, `{"content":"vote"}`), 200).str("id")
	at := func(emoji, who string) string { return message + "/reactions/" + url.PathEscape(emoji) + who }
	const heart, fire = "❤️", "🔥"
	for range 2 {
		m.want(alice.do("PUT", at(heart, "/@me"), nil), 204)
		m.want(bob.do("PUT", strings.ToLower(at(heart, "/@me")), nil), 204)
	}
	m.want(bob.do("PUT", at(fire, "/@me"), nil), 204)
	check := func(p person, want string) {
		t.Helper()
		l := m.want(p.do("GET", messages+"?limit=1", nil), 200)
		got := ""
		reactions, _ := l.at(0, "reactions").([]any)
		for i := range reactions {
			got += fmt.Sprintf("%s %s %s;", l.str(0, "reactions", i, "emoji", "name"), l.str(0, "reactions", i, "count"), l.str(0, "reactions", i, "me"))
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check(alice, heart+" 2 true;"+fire+" 1 false;")
	check(bob, heart+" 2 true;"+fire+" 1 true;")
	check(eve, heart+" 2 false;"+fire+" 1 false;")
	if l := m.want(eve.do("GET", at(heart, "?limit=1&after="+min(alice.id, bob.id)), nil), 200); l.len() != 1 || l.str(0, "id") != max(alice.id, bob.id) {
		t.Errorf("users: got %v", l)
	}
	if l := m.want(eve.do("GET", at("👀", ""), nil), 200); l.len() != 0 {
		t.Errorf("users of no reaction: got %v", l)
	}
	if e := m.want(alice.do("PATCH", message, `{"content":"vote!"}`), 200); e.str("reactions", 0, "count") != "2" {
		t.Errorf("edited: got %v", e)
	}
	m.wantError(bob.do("DELETE", at(heart, "/"+alice.id), nil), 403, 50013)
	m.want(alice.do("DELETE", at(heart, "/"+bob.id), nil), 204)
	m.want(alice.do("DELETE", at(heart, "/"+bob.id), nil), 204)
	m.want(bob.do("DELETE", at(fire, "/@me"), nil), 204)
	check(bob, heart+" 1 false;")
	m.wantError(bob.do("DELETE", message+"/reactions", nil), 403, 50013)
	m.wantError(bob.do("DELETE", at(heart, ""), nil), 403, 50013)
	m.want(alice.do("DELETE", at(heart, ""), nil), 204)
	check(alice, "")
	m.want(bob.do("PUT", at(heart, "/@me"), nil), 204)
	check(alice, heart+" 1 false;")
	for _, bad := range []string{"gull", "gull:123", "🔥🔥", "%FF"} {
		m.wantError(bob.do("PUT", at(bad, "/@me"), nil), 400, 10014)
	}
	m.wantError(bob.do("PUT", messages+"/1/reactions/"+url.PathEscape(fire)+"/@me", nil), 404, 10008)

	// Without ADD_REACTIONS one may join in, but not begin; and there is room for twenty.
	m.want(alice.do("PUT", "/channels/"+channel+"/permissions/"+eve.id, map[string]any{"type": 1, "allow": "0", "deny": "64"}), 204)
	m.wantError(eve.do("PUT", at(fire, "/@me"), nil), 403, 50013)
	m.want(eve.do("PUT", at(heart, "/@me"), nil), 204)
	for i := range 19 {
		m.want(bob.do("PUT", at(string(rune(0x1F600+i)), "/@me"), nil), 204)
	}
	m.wantError(bob.do("PUT", at(fire, "/@me"), nil), 403, 30010)
	m.want(alice.do("DELETE", message+"/reactions", nil), 204)
	check(alice, "")
	m.wantError(m.register("mallory").do("PUT", at(fire, "/@me"), nil), 403, 50001)
	_ = guild
}

// Pins by the old and the new routes; deleting a message takes its pin along.
func TestPins(t *testing.T) {
	m := startMesh(t, false)
	alice, bob := m.register("alice"), m.register("bob")
	_, channel := alice.guild("Nest")
	alice.invite(channel, bob)
	messages := "/channels/" + channel + "/messages"
	var ids []string
	for i := range 3 {
		ids = append(ids, m.want(alice.do("POST", messages, fmt.Sprintf(`{"content":"%d"}`, i)), 200).str("id"))
	}
	m.wantError(bob.do("PUT", "/channels/"+channel+"/pins/"+ids[0], nil), 403, 50013)
	m.want(alice.do("PUT", "/channels/"+channel+"/pins/"+ids[0], nil), 204)
	m.want(alice.do("PUT", messages+"/pins/"+ids[2], nil), 204)
	m.want(alice.do("PUT", messages+"/pins/"+ids[2], nil), 204)
	m.want(alice.do("PUT", messages+"/pins/"+ids[1], nil), 204)
	m.wantError(alice.do("PUT", messages+"/pins/1", nil), 404, 10008)
	l := m.want(bob.do("GET", "/channels/"+channel+"/pins", nil), 200)
	if l.len() != 3 || l.str(0, "id") != ids[1] || l.str(1, "id") != ids[2] || l.at(0, "pinned") != true {
		t.Errorf("old route: got %v", l)
	}
	page := m.want(bob.do("GET", messages+"/pins?limit=2", nil), 200)
	if page.str("items", 1, "message", "id") != ids[2] || page.at("has_more") != true {
		t.Errorf("new route: got %v", page)
	}
	rest := m.want(bob.do("GET", messages+"/pins?limit=2&before="+url.QueryEscape(page.str("items", 1, "pinned_at")), nil), 200)
	if rest.str("items", 0, "message", "id") != ids[0] || rest.at("has_more") != false {
		t.Errorf("second page: got %v", rest)
	}
	m.wantError(bob.do("GET", messages+"/pins?limit=51", nil), 400, 50035)
	m.wantError(bob.do("GET", messages+"/pins?before=noon", nil), 400, 50035)
	if e := m.want(alice.do("PATCH", messages+"/"+ids[2], `{"content":"edited"}`), 200); e.at("pinned") != true {
		t.Errorf("an edit unpinned: %v", e)
	}
	m.want(alice.do("DELETE", messages+"/pins/"+ids[1], nil), 204)
	m.want(alice.do("DELETE", messages+"/pins/"+ids[1], nil), 204)
	m.want(alice.do("DELETE", messages+"/"+ids[2], nil), 204)
	if l := m.want(bob.do("GET", "/channels/"+channel+"/pins", nil), 200); l.len() != 1 || l.str(0, "id") != ids[0] {
		t.Errorf("left: got %v", l)
	}

	// Bulk delete, pinned ones included.
	bulk := func(p person, ids ...string) answer {
		return p.do("POST", messages+"/bulk-delete", map[string]any{"messages": ids})
	}
	m.wantError(bulk(bob, ids[0], ids[1]), 403, 50013)
	m.wantError(bulk(alice, ids[0]), 400, 50016)
	m.wantError(bulk(alice, "1", ids[0]), 400, 50034)
	m.want(bulk(alice, ids[0], ids[1], ids[2]), 204)
	m.want(bulk(alice, ids[0], ids[1]), 204)
	if l := m.want(bob.do("GET", messages, nil), 200); l.len() != 3 || l.str(0, "type") != "6" || l.str(2, "message_reference", "message_id") != ids[0] {
		t.Errorf("bulk delete left %v, want what tells of the three pins", l)
	}
	if l := m.want(bob.do("GET", messages+"/pins", nil), 200); l.str("items") != "[]" {
		t.Errorf("pins of deleted messages: %v", l)
	}
	m.wantError(alice.do("POST", messages+"/"+ids[0]+"/crosspost", nil), 404, 0)
}

// Slow mode holds people up, and neither those who moderate nor bots.
func TestSlowMode(t *testing.T) {
	m := startMesh(t, false)
	alice, bob := m.register("alice"), m.register("bob")
	bot := alice.makeBot("Sparrow")
	guild, channel := alice.guild("Nest")
	alice.invite(channel, bob)
	m.want(alice.do("PUT", "/guilds/"+guild+"/members/"+bot.id, "{}"), 201)
	messages := "/channels/" + channel + "/messages"
	m.want(bob.do("POST", messages, `{"content":"before"}`), 200)
	m.want(alice.do("PATCH", "/channels/"+channel, `{"rate_limit_per_user":3600}`), 200)
	a := bob.do("POST", messages, `{"content":"too soon"}`)
	m.wantError(a, 429, 20016)
	if a.header.Get("X-RateLimit-Remaining") != "0" || a.at("global") != false || a.header.Get("Retry-After") == "" {
		t.Errorf("got %v %v", a, a.header)
	}
	for range 2 {
		m.want(alice.do("POST", messages, `{"content":"moderator"}`), 200)
		m.want(bot.do("POST", messages, `{"content":"bot"}`), 200)
	}
	m.want(alice.do("PATCH", "/channels/"+channel, `{"rate_limit_per_user":0}`), 200)
	m.want(bob.do("POST", messages, `{"content":"free"}`), 200)
}
