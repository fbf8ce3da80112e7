package api_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// because calls with a reason for the audit log.
func (p person) because(reason, method, target string) answer {
	p.m.t.Helper()
	id := make([]byte, 16)
	rand.Read(id)
	in := &pb.RestCall{Id: id, DeadlineMs: time.Now().Add(10 * time.Second).UnixMilli(), Method: method, Target: "/api/v10" + target,
		Remote: "192.0.2.1", Edge: "edge-0", Headers: []*pb.Header{{Name: "Authorization", Value: p.token}, {Name: "X-Audit-Log-Reason", Value: reason}}}
	raw, err := gproto.Marshal(in)
	must(p.m.t, err)
	var out pb.RestAnswer
	p.m.request(relay.RESTSubject(relaytest.Region), raw, &out)
	return answer{status: int(out.Status), body: out.Body}
}

// keys lists the values under a key of every element of a list.
func (a answer) keys(key string) (all []string) {
	l, _ := a.at().([]any)
	for _, e := range l {
		m, _ := e.(map[string]any)
		all = append(all, fmt.Sprint(m[key]))
	}
	return all
}

// Alice runs her guild: she changes it, orders it, bans, and reads in the audit log what happened; Bob, a member, may none of it.
func TestRunAGuild(t *testing.T) {
	m := startMesh(t, false)
	alice, bob, carl, dora := m.register("alice"), m.register("bob"), m.register("carl"), m.register("dora")
	guild, talk := alice.guild("Nest")
	alice.invite(talk, bob, carl)
	base := "/guilds/" + guild

	const icon = "data:image/png;base64,iVBORw0KGgo="
	g := m.want(alice.do("PATCH", base, map[string]any{"name": " Eyrie ", "icon": icon, "banner": "b_1", "description": "high up", "system_channel_id": talk,
		"verification_level": 3, "default_message_notifications": 1, "explicit_content_filter": 2, "region": "x", "afk_channel_id": nil}), 200)
	if g.str("name") != "Eyrie" || g.str("icon") != icon || g.str("system_channel_id") != talk || g.str("verification_level") != "3" ||
		g.at("channels") != nil || g.str("roles", 0, "id") != guild {
		t.Errorf("edited: got %v", g)
	}
	if got := m.want(bob.do("GET", base, nil), 200); got.str("banner") != "b_1" || got.str("description") != "high up" {
		t.Errorf("read: got %v", got)
	}

	// Channels in one call, with a category.
	loft := m.want(alice.do("POST", base+"/channels", `{"name":"Loft","type":4}`), 201).str("id")
	m.want(alice.do("PATCH", base+"/channels", fmt.Sprintf(`[{"id":"%s","position":7,"parent_id":"%s","lock_permissions":true},{"id":%s,"position":2}]`,
		talk, loft, loft)), 204)
	if ch := m.want(alice.do("GET", "/channels/"+talk, nil), 200); ch.str("parent_id") != loft || ch.str("position") != "7" {
		t.Errorf("moved: got %v", ch)
	}
	// Roles in one call.
	var roles []string
	for _, name := range []string{"low", "high"} {
		roles = append(roles, m.want(alice.do("POST", base+"/roles", map[string]any{"name": name, "hoist": true, "mentionable": true}), 200).str("id"))
	}
	moved := m.want(alice.do("PATCH", base+"/roles", fmt.Sprintf(`[{"id":"%s","position":1},{"id":"%s","position":2},{"id":"%s","position":0}]`,
		roles[1], roles[0], guild)), 200)
	if got := moved.keys("id"); !slices.Equal(got, []string{guild, roles[1], roles[0]}) {
		t.Errorf("roles: got %v", moved)
	}

	// Members: search, nicks, a time-out.
	m.want(bob.do("PATCH", base+"/members/@me", `{"nick":"Robin"}`), 200)
	if n := m.want(carl.do("PATCH", base+"/members/@me/nick", `{"nick":"rook"}`), 200); n.str("nick") != "rook" {
		t.Errorf("nick: got %v", n)
	}
	if l := m.want(carl.do("GET", base+"/members/search?query=RO&limit=10", nil), 200); l.len() != 2 || l.str(0, "user", "id") != bob.id {
		t.Errorf("search: got %v", l)
	}
	m.want(alice.do("PATCH", base+"/members/"+bob.id, map[string]any{"communication_disabled_until": time.Now().Add(time.Hour)}), 200)
	m.wantError(bob.do("POST", "/channels/"+talk+"/messages", `{"content":"x"}`), 403, 50013)
	m.want(alice.do("PATCH", base+"/members/"+bob.id, `{"communication_disabled_until":null}`), 200)

	// Invites: preview, list, revoke.
	inv := m.want(alice.do("POST", "/channels/"+talk+"/invites", `{"max_uses":2,"max_age":60,"temporary":true}`), 200)
	preview := m.want(dora.do("GET", "/invites/"+inv.str("code")+"?with_counts=true", nil), 200)
	if preview.str("approximate_member_count") != "3" || preview.str("guild", "name") != "Eyrie" || preview.at("temporary") != true {
		t.Errorf("preview: got %v", preview)
	}
	if l := m.want(alice.do("GET", "/channels/"+talk+"/invites", nil), 200); l.len() != 2 {
		t.Errorf("invites: got %v", l)
	}
	m.wantError(bob.do("DELETE", "/invites/"+inv.str("code"), nil), 403, 50013)
	if gone := m.want(alice.do("DELETE", "/invites/"+inv.str("code"), nil), 200); gone.str("code") != inv.str("code") {
		t.Errorf("revoked: got %v", gone)
	}
	m.wantError(dora.do("POST", "/invites/"+inv.str("code"), nil), 404, 10006)

	// Bans, with what Bob wrote.
	code := m.want(alice.do("POST", "/channels/"+talk+"/invites", "{}"), 200).str("code")
	rude := m.want(bob.do("POST", "/channels/"+talk+"/messages", `{"content":"rude"}`), 200).str("id")
	fine := m.want(carl.do("POST", "/channels/"+talk+"/messages", `{"content":"fine"}`), 200).str("id")
	m.want(alice.do("PUT", base+"/bans/"+bob.id+"?reason=so%20rude", `{"delete_message_seconds":3600}`), 204)
	m.wantError(alice.do("GET", "/channels/"+talk+"/messages/"+rude, nil), 404, 10008)
	m.want(alice.do("GET", "/channels/"+talk+"/messages/"+fine, nil), 200)
	m.wantError(bob.do("POST", "/invites/"+code, nil), 403, 40007)
	m.wantError(bob.do("GET", base+"/bans", nil), 403, 50001)
	m.wantError(carl.do("GET", base+"/bans", nil), 403, 50013)
	if b := m.want(alice.do("GET", base+"/bans/"+bob.id, nil), 200); b.str("reason") != "so rude" || b.str("user", "username") != "bob" {
		t.Errorf("ban: got %v", b)
	}
	m.wantError(alice.do("GET", base+"/bans/"+carl.id, nil), 404, 10026)
	bulk := m.want(alice.do("POST", base+"/bulk-ban", map[string]any{"user_ids": []string{dora.id, bob.id, alice.id}}), 200)
	if bulk.str("banned_users", 0) != dora.id || bulk.str("failed_users", 0) != bob.id || bulk.str("failed_users", 1) != alice.id {
		t.Errorf("bulk ban: got %v", bulk)
	}
	if l := m.want(alice.do("GET", base+"/bans?limit=1&after="+bob.id, nil), 200); l.len() > 1 {
		t.Errorf("bans: got %v", l)
	}
	if l := m.want(alice.do("GET", base+"/bans", nil), 200); l.len() != 2 {
		t.Errorf("bans: got %v", l)
	}
	if a := alice.because("second%20chance%20%F0%9F%90%A6", "DELETE", base+"/bans/"+bob.id); a.status != 204 {
		t.Errorf("unban: got %v", a)
	}
	m.wantError(alice.do("DELETE", base+"/bans/"+bob.id, nil), 404, 10026)
	m.want(bob.do("POST", "/invites/"+code, nil), 200)

	if n := m.want(alice.do("GET", base+"/prune?days=7&include_roles="+roles[0]+","+roles[1], nil), 200); n.str("pruned") != "0" {
		t.Errorf("prune count: got %v", n)
	}
	m.want(alice.do("POST", base+"/prune", `{"days":1,"compute_prune_count":false}`), 200)
	m.wantError(carl.do("GET", base+"/prune?days=7", nil), 403, 50013)

	// What happened.
	log := m.want(alice.do("GET", base+"/audit-logs?limit=100", nil), 200)
	entries, _ := log.at("audit_log_entries").([]any)
	var actions []string
	for i := range entries {
		actions = append(actions, log.str("audit_log_entries", i, "action_type"))
	}
	slices.Reverse(actions)
	want := []string{"10", "40", "1", "10", "11", "11", "30", "30", "31", "24", "24", "24", "24", "40", "42", "40", "22", "22", "23"}
	if !slices.Equal(actions, want) {
		t.Errorf("audit log:\n got %v\nwant %v", actions, want)
	}
	if log.str("audit_log_entries", 0, "reason") != "second chance 🐦" || len(log.at("users").([]any)) < 2 {
		t.Errorf("audit log: got %v", log)
	}
	if l := m.want(alice.do("GET", base+"/audit-logs?action_type=22&user_id="+alice.id+"&limit=1", nil), 200); l.str("audit_log_entries", 0, "target_id") != dora.id {
		t.Errorf("audit log of bans: got %v", l)
	}
	m.wantError(carl.do("GET", base+"/audit-logs", nil), 403, 50013)

	// Carl becomes the owner; Alice leaves; Carl deletes.
	m.wantError(carl.do("PATCH", base, map[string]any{"owner_id": carl.id}), 403, 50013)
	m.want(alice.do("PATCH", base, map[string]any{"owner_id": carl.id}), 200)
	m.wantError(alice.do("DELETE", base, nil), 403, 50013)
	m.want(alice.do("DELETE", "/users/@me"+base, nil), 204)
	m.want(carl.do("DELETE", base, nil), 204)
	m.wantError(carl.do("GET", base, nil), 404, 10004)
	m.wantError(carl.do("GET", "/channels/"+talk, nil), 404, 10003)
	m.wantError(bob.do("POST", "/invites/"+code, nil), 404, 10006)
	relaytest.Until(t, "nobody has the guild in the own list", func() bool {
		return alice.do("GET", "/users/@me/guilds", nil).len()+bob.do("GET", "/users/@me/guilds", nil).len()+carl.do("GET", "/users/@me/guilds", nil).len() == 0
	})
}

func TestRunAGuildBadly(t *testing.T) {
	m := startMesh(t, false)
	alice := m.register("alice")
	guild, talk := alice.guild("Nest")
	base := "/guilds/" + guild
	const unknown = "175928847299117063"
	for _, c := range []struct {
		method, target string
		body           any
		status, code   int
		field          string
	}{
		{"PATCH", base, `{"name":"x"}`, 400, 50035, "name"},
		{"PATCH", base, `{"verification_level":9}`, 400, 50035, "verification_level"},
		{"PATCH", base, `{"verification_level":"high"}`, 400, 50035, "verification_level"},
		{"PATCH", base, `{"system_channel_id":"` + unknown + `"}`, 400, 50035, "system_channel_id"},
		{"PATCH", base, `{"owner_id":"` + unknown + `"}`, 404, 10007, ""},
		{"PATCH", "/guilds/" + unknown, `{"name":"xx"}`, 404, 10004, ""},
		{"PATCH", base + "/channels", `{}`, 400, 50035, "_errors"},
		{"PATCH", base + "/channels", `[{"position":1}]`, 400, 50035, "id"},
		{"PATCH", base + "/channels", `[7]`, 400, 50035, "0"},
		{"PATCH", base + "/channels", `[{"id":"` + unknown + `"}]`, 404, 10003, ""},
		{"PATCH", base + "/channels", `[{"id":"` + talk + `","position":-1}]`, 400, 50035, "position"},
		{"PATCH", base + "/channels", `[`, 400, 50109, ""},
		{"PATCH", base + "/roles", `[{"id":"` + unknown + `","position":1}]`, 404, 10011, ""},
		{"PATCH", base + "/roles", `[{"id":"` + guild + `","position":1}]`, 400, 50028, ""},
		{"GET", base + "/members/search", nil, 400, 50035, "query"},
		{"GET", base + "/members/search?query=x&limit=1001", nil, 400, 50035, "limit"},
		{"PUT", base + "/bans/" + unknown, nil, 404, 10013, ""},
		{"PUT", base + "/bans/" + alice.id, nil, 403, 50013, ""},
		{"PUT", base + "/bans/x", nil, 400, 50035, "user_id"},
		{"PUT", base + "/bans/" + unknown, `{"delete_message_seconds":604801}`, 400, 50035, "delete_message_seconds"},
		{"DELETE", base + "/bans/" + unknown, nil, 404, 10026, ""},
		{"POST", base + "/bulk-ban", `{"user_ids":[]}`, 400, 50035, "user_ids"},
		{"POST", base + "/bulk-ban", `{"user_ids":["` + unknown + `"]}`, 400, 500000, ""},
		{"GET", base + "/prune?days=31", nil, 400, 50035, "days"},
		{"GET", base + "/prune?include_roles=x", nil, 400, 50035, "include_roles"},
		{"POST", base + "/prune", `{"days":0}`, 400, 50035, "days"},
		{"GET", base + "/audit-logs?limit=101", nil, 400, 50035, "limit"},
		{"GET", base + "/audit-logs?user_id=x", nil, 400, 50035, "user_id"},
		{"GET", base + "/audit-logs?action_type=x", nil, 400, 50035, "action_type"},
		{"DELETE", "/invites/nosuch", nil, 404, 10006, ""},
	} {
		a := alice.do(c.method, c.target, c.body)
		if a.status != c.status || a.str("code") != fmt.Sprint(c.code) || c.field != "" && a.at("errors", c.field) == nil {
			t.Errorf("%s %s %.60v: got %.300v, want %d/%d %s", c.method, c.target, c.body, a, c.status, c.code, c.field)
		}
	}
}
