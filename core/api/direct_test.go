package api_test

import (
	"strconv"
	"testing"

	"github.com/starling-chat/starling/loadtest/shape"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestDirectStory(t *testing.T) {
	m := startMesh(t, false)
	ada, bea, eve := m.register("ada"), m.register("bea"), m.register("eve")
	bot := ada.makeBot("tern")
	guild, channel := ada.guild("Aviary")
	ada.invite(channel, bea)

	m.wantError(ada.do("POST", "/users/@me/channels", `{"recipient_id":"`+ada.id+`"}`), 400, 50033)
	m.wantError(ada.do("POST", "/users/@me/channels", `{"recipient_id":"`+guild+`"}`), 400, 50033)
	m.wantError(ada.do("POST", "/users/@me/channels", `{}`), 400, 50035)
	dm := m.want(ada.do("POST", "/users/@me/channels", `{"recipient_id":"`+bea.id+`"}`), 200)
	if again := m.want(bea.do("POST", "/users/@me/channels", `{"recipients":["`+ada.id+`"]}`), 200); again.str("id") != dm.str("id") ||
		again.str("recipients", 0, "id") != ada.id {
		t.Fatalf("from the other side: %v, want %v", again, dm)
	}
	m.want(bea.do("DELETE", "/channels/"+dm.str("id"), nil), 200)
	if list := m.want(bea.do("GET", "/users/@me/channels", nil), 200); list.len() != 0 {
		t.Errorf("closed, and listed: %v", list)
	}
	path := "/channels/" + dm.str("id")
	send := func(p person) answer { return p.do("POST", path+"/messages", `{"content":"hello"}`) }
	relaytest.Until(t, "Bea's bucket knows of the guild", func() bool { return send(ada).status == 200 })
	list := m.want(bea.do("GET", "/users/@me/channels", nil), 200)
	if list.len() != 1 || list.str(0, "id") != dm.str("id") || list.str(0, "last_message_id") == "<nil>" {
		t.Errorf("Bea's list: %v", list)
	}
	msg := m.want(send(bea), 200).str("id")
	if page := m.want(ada.do("GET", path+"/messages", nil), 200); page.len() != 2 || page.str(0, "id") != msg || page.at(0, "guild_id") != nil {
		t.Errorf("page: %v", page)
	}
	m.want(ada.do("GET", path+"/messages/"+msg, nil), 200)
	m.want(ada.do("GET", path, nil), 200)
	m.want(bea.do("PATCH", path+"/messages/"+msg, `{"content":"edited"}`), 200)
	m.wantError(ada.do("PATCH", path+"/messages/"+msg, `{"content":"not mine"}`), 403, 50005)
	m.wantError(ada.do("DELETE", path+"/messages/"+msg, nil), 403, 50013)
	m.want(ada.do("POST", path+"/typing", nil), 204)
	m.wantError(ada.do("PATCH", path, `{"name":"x"}`), 403, 50003)
	m.wantError(ada.do("POST", path+"/invites", `{}`), 403, 50003)
	m.wantError(ada.do("PUT", path+"/permissions/"+ada.id, `{"type":1,"allow":"0","deny":"0"}`), 403, 50003)
	for _, a := range []answer{eve.do("GET", path, nil), eve.do("GET", path+"/messages", nil), send(eve), eve.do("POST", path+"/typing", nil),
		eve.do("DELETE", path, nil), eve.do("PATCH", path+"/messages/"+msg, `{"content":"x"}`), eve.do("DELETE", path+"/messages/"+msg, nil)} {
		m.wantError(a, 403, 50001)
	}
	m.want(bea.do("DELETE", path+"/messages/"+msg, nil), 204)

	// Strangers, people and bots alike, may open and not write.
	for _, p := range []person{eve, bot} {
		to := m.want(p.do("POST", "/users/@me/channels", `{"recipient_id":"`+bea.id+`"}`), 200)
		m.wantError(p.do("POST", "/channels/"+to.str("id")+"/messages", `{"content":"hello"}`), 403, 50007)
	}

	block := "/users/@me/relationships/" + ada.id
	m.wantError(bea.do("PUT", block, `{"type":1}`), 400, 50035)
	m.wantError(bot.do("PUT", block, `{"type":2}`), 403, 20001)
	m.want(bea.do("PUT", block, `{"type":2}`), 204)
	if all := m.want(bea.do("GET", "/users/@me/relationships", nil), 200); all.len() != 1 || all.str(0, "user", "username") != "ada" {
		t.Errorf("relationships: %v", all)
	}
	m.wantError(send(ada), 403, 50007)
	m.wantError(ada.do("POST", path+"/typing", nil), 403, 50007)
	m.want(ada.do("GET", path+"/messages", nil), 200)
	m.want(bea.do("DELETE", block, nil), 204)
	m.want(send(ada), 200)
	m.want(bea.do("DELETE", "/users/@me/guilds/"+guild, nil), 204)
	relaytest.Until(t, "Bea's bucket knows that she left", func() bool { return send(ada).str("code") == "50007" })
}

func TestProfileStory(t *testing.T) {
	m := startMesh(t, false)
	ada, bea := m.register("ada"), m.register("bea")
	guild, channel := ada.guild("Aviary")
	ada.invite(channel, bea)
	relaytest.Until(t, "Bea's list has the guild", func() bool { return m.want(bea.do("GET", "/users/@me/guilds", nil), 200).len() == 1 })

	edited := m.want(bea.do("PATCH", "/users/@me", `{"username":"Beatrice","global_name":"Bea","accent_color":255,
		"avatar":"data:image/png;base64,iVBORw0KGgo=","banner":null}`), 200)
	if edited.str("username") != "beatrice" || edited.str("global_name") != "Bea" || len(edited.str("avatar")) != 32 || edited.str("accent_color") != "255" {
		t.Errorf("edited: %v", edited)
	}
	m.wantError(bea.do("PATCH", "/users/@me", `{"username":"ada"}`), 400, 50035)
	m.wantError(bea.do("PATCH", "/users/@me", `{"avatar":"data:text/html;base64,AAAA"}`), 400, 50035)
	m.wantError(bea.do("PATCH", "/users/@me", `{"global_name":7}`), 400, 50035)
	m.want(m.call("", "POST", "/auth/login", map[string]string{"login": "beatrice", "password": "bea password"}), 200)
	m.wantError(m.call("", "POST", "/auth/login", map[string]string{"login": "bea", "password": "bea password"}), 400, 50035)
	m.register("bea") // the name is free again
	relaytest.Until(t, "the guild's bucket knows Bea's new name", func() bool {
		return m.want(bea.do("POST", "/channels/"+channel+"/messages", `{"content":"hi"}`), 200).str("author", "username") == "beatrice"
	})
	if u := m.want(ada.do("GET", "/users/"+bea.id, nil), 200); u.str("global_name") != "Bea" || u.at("email") != nil {
		t.Errorf("Bea as Ada sees her: %v", u)
	}
	bot := ada.makeBot("tern")
	if a := m.want(bot.do("PATCH", "/users/@me", `{"username":"Arctic Tern","avatar":"a_0123"}`), 200); a.str("username") != "Arctic Tern" ||
		a.str("avatar") != "a_0123" {
		t.Errorf("bot: %v", a)
	}

	guilds := []string{guild}
	for i := range 3 {
		id, _ := ada.guild("Guild " + strconv.Itoa(i))
		guilds = append(guilds, id)
	}
	relaytest.Until(t, "Ada's list has all", func() bool { return m.want(ada.do("GET", "/users/@me/guilds", nil), 200).len() == len(guilds) })
	all := m.want(ada.do("GET", "/users/@me/guilds", nil), 200)
	second := m.want(ada.do("GET", "/users/@me/guilds?limit=2&after="+all.str(0, "id"), nil), 200)
	if second.len() != 2 || second.str(0, "id") != all.str(1, "id") || second.at(0, "owner") != true {
		t.Errorf("after: %v of %v", second, all)
	}
	first := m.want(ada.do("GET", "/users/@me/guilds?limit=1&before="+all.str(2, "id"), nil), 200)
	if first.len() != 1 || first.str(0, "id") != all.str(1, "id") {
		t.Errorf("before: %v of %v", first, all)
	}
	if problems := shape.List(shape.OwnGuild.Shape()).Check("guilds", all.body); len(problems) > 0 {
		t.Error(problems)
	}
}
