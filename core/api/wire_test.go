package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestErrorsOnTheWire(t *testing.T) {
	m := startMesh(t, false)
	alice := m.register("alice")
	bot := alice.makeBot("Sparrow")
	guild, channel := alice.guild("Nest")
	const unknown = "175928847299117063"
	long := strings.Repeat("x", 2001)
	for _, c := range []struct {
		who            person
		method, target string
		body           any
		status, code   int
		field          string
	}{
		{person{}, "GET", "/v1/users/@me", nil, 401, 0, ""},
		{person{token: "Bot x.y.z"}, "GET", "/v1/users/@me", nil, 401, 0, ""},
		{person{}, "GET", "/nowhere", nil, 404, 0, ""},
		{person{}, "GET", "/api/v10/nowhere", nil, 404, 0, ""},
		{person{}, "GET", "/api/v8/gateway", nil, 404, 0, ""},
		{person{}, "DELETE", "/v1/gateway", nil, 405, 0, ""},
		{person{}, "GET", "/auth/login", nil, 405, 0, ""},
		{person{}, "TRACE", "/v1/users/@me", nil, 405, 0, ""},

		{alice, "GET", "/v1/channels/x", nil, 400, 50035, "channel_id"},
		{alice, "GET", "/v1/channels/0", nil, 400, 50035, "channel_id"},
		{alice, "GET", "/v1/channels/-1/messages", nil, 400, 50035, "channel_id"},
		{alice, "GET", "/v1/channels/+1", nil, 400, 50035, "channel_id"},
		{alice, "GET", "/v1/channels/9223372036854775808", nil, 400, 50035, "channel_id"},
		{alice, "GET", "/v1/channels/%ff%00", nil, 400, 50035, "channel_id"},
		{alice, "GET", "/v1/channels/" + channel + "/messages/1x", nil, 400, 50035, "message_id"},
		{alice, "GET", "/v1/guilds/x", nil, 400, 50035, "guild_id"},
		{alice, "GET", "/v1/users/me", nil, 400, 50035, "user_id"},
		{alice, "PUT", "/v1/channels/" + channel + "/permissions/x", "{}", 400, 50035, "overwrite_id"},
		{alice, "PATCH", "/v1/guilds/" + guild + "/roles/x", "{}", 400, 50035, "role_id"},
		{alice, "POST", "/v1/applications/x/bot/reset", nil, 400, 50035, "application_id"},

		{alice, "GET", "/v1/channels/" + unknown, nil, 404, 10003, ""},
		{alice, "POST", "/v1/channels/" + unknown + "/messages", `{"content":"x"}`, 404, 10003, ""},
		{alice, "GET", "/v1/guilds/" + unknown, nil, 404, 10004, ""},
		{alice, "GET", "/v1/users/" + unknown, nil, 404, 10013, ""},
		{alice, "GET", "/v1/channels/" + channel + "/messages/" + unknown, nil, 404, 10008, ""},
		{alice, "PATCH", "/v1/channels/" + channel + "/messages/" + unknown, `{"content":"x"}`, 404, 10008, ""},
		{alice, "GET", "/v1/invites/nosuch", nil, 404, 10006, ""},
		{alice, "POST", "/v1/invites/nosuch", nil, 404, 10006, ""},
		{alice, "GET", "/v1/guilds/" + guild + "/members/" + unknown, nil, 404, 10007, ""},
		{alice, "PUT", "/v1/guilds/" + guild + "/members/" + unknown, "{}", 404, 10013, ""},
		{alice, "POST", "/v1/applications/" + unknown + "/bot/reset", nil, 404, 10002, ""},
		{alice, "GET", "/v1/applications/@me", nil, 403, 20002, ""},
		{bot, "POST", "/applications", `{"name":"x"}`, 403, 20001, ""},
		{bot, "POST", "/v1/invites/nosuch", nil, 403, 20001, ""},

		{alice, "POST", "/v1/channels/" + channel + "/messages", `{"content":`, 400, 50109, ""},
		{alice, "POST", "/v1/channels/" + channel + "/messages", `{"content":""}`, 400, 50006, ""},
		{alice, "POST", "/v1/channels/" + channel + "/messages", `{"content":null}`, 400, 50006, ""},
		{alice, "POST", "/v1/channels/" + channel + "/messages", nil, 400, 50006, ""},
		{alice, "POST", "/v1/channels/" + channel + "/messages", `{"content":"` + long + `"}`, 400, 50035, "content"},
		{alice, "POST", "/v1/channels/" + channel + "/messages", `{"content":7}`, 400, 50035, "content"},
		{alice, "POST", "/v1/channels/" + channel + "/messages", `{"content":"x","nonce":{}}`, 400, 50035, "nonce"},
		{alice, "POST", "/v1/channels/" + channel + "/messages", `{"content":"` + strings.Repeat("x", 512<<10) + `"}`, 413, 40005, ""},
		{alice, "POST", "/v1/guilds", `{"name":"x"}`, 400, 50035, "name"},
		{alice, "POST", "/v1/guilds/" + guild + "/channels", `{"name":""}`, 400, 50035, "name"},
		{alice, "POST", "/v1/guilds/" + guild + "/channels", `{"name":"x","type":2}`, 400, 50035, "type"},
		{alice, "PATCH", "/v1/channels/" + channel, `{"rate_limit_per_user":-1}`, 400, 50035, "rate_limit_per_user"},
		{alice, "PUT", "/v1/channels/" + channel + "/permissions/" + guild, `{"type":3}`, 400, 50035, "type"},
		{alice, "POST", "/v1/channels/" + channel + "/invites", `{"max_age":999999999}`, 400, 50035, "max_age"},
		{alice, "POST", "/v1/guilds/" + guild + "/roles", `{"color":99999999}`, 400, 50035, "color"},
		{alice, "GET", "/v1/guilds/" + guild + "/members?limit=1001", nil, 400, 50035, "limit"},
		{person{}, "POST", "/auth/register", `{"username":"x","password":"password"}`, 400, 50035, "username"},
		{person{}, "POST", "/auth/register", `{"username":"a b","password":"password"}`, 400, 50035, "username"},
		{person{}, "POST", "/auth/register", `{"username":"` + strings.Repeat("x", 33) + `","password":"password"}`, 400, 50035, "username"},
		{person{}, "POST", "/auth/register", `{"username":"frank","password":"1234567"}`, 400, 50035, "password"},
		{person{}, "POST", "/auth/register", `{"username":"frank","password":"` + strings.Repeat("x", 129) + `"}`, 400, 50035, "password"},
		{person{}, "POST", "/auth/login", `{"password":"password"}`, 400, 50035, "login"},
		{person{}, "POST", "/auth/refresh", `{}`, 400, 50035, "refresh_token"},
		{person{}, "POST", "/auth/logout", `[]`, 400, 50035, "_errors"},
	} {
		a := m.call(c.who.token, c.method, c.target, c.body)
		if a.status != c.status || a.str("code") != fmt.Sprint(c.code) || c.field != "" && a.at("errors", c.field) == nil {
			t.Errorf("%s %s %.60v: got %.300v, want %d/%d %s", c.method, c.target, c.body, a, c.status, c.code, c.field)
		}
	}
	if a := m.call("", "GET", "/nowhere", nil); string(a.body) != `{"code":0,"message":"404: Not Found"}` {
		t.Errorf("unknown route: got %s", a.body)
	}
}

func TestGatewayNeedsNoToken(t *testing.T) {
	m := startMesh(t, false)
	alice := m.register("alice")
	for _, target := range []string{"/gateway", "/v1/gateway", "/api/v9/gateway", "/api/v10/gateway", "/api/v10/gateway/"} {
		if a := m.want(m.call("Bot nonsense", "GET", target, nil), 200); string(a.body) != `{"url":"ws://edge-0/gateway"}` {
			t.Errorf("%s: got %v", target, a)
		}
	}
	m.wantError(m.call("", "GET", "/api/v10/gateway/bot", nil), 401, 0)
	a := m.want(alice.do("GET", "/gateway/bot", nil), 200)
	limit, _ := a.at("session_start_limit").(map[string]any)
	if a.str("url") != "ws://edge-0/gateway" || a.str("shards") != "1" || len(limit) != 4 || a.str("session_start_limit", "remaining") != "1000" {
		t.Errorf("/gateway/bot: got %v", a)
	}
	if a := m.want(m.call("", "GET", "/.well-known/jwks.json", nil), 200); a.str("keys", 0, "crv") != "Ed25519" || a.at("keys", 0, "d") != nil {
		t.Errorf("jwks: got %v", a)
	}
}

// What an edge can send beyond HTTP: none of it may end a core, or wait for long.
func TestHostileCalls(t *testing.T) {
	m := startMesh(t, false)
	many := make([]*pb.Header, 101)
	for i := range many {
		many[i] = &pb.Header{Name: "X", Value: "y"}
	}
	for name, c := range map[string]struct {
		in     *pb.RestCall
		status int32
	}{
		"empty":         {&pb.RestCall{}, 400},
		"no slash":      {&pb.RestCall{Method: "GET", Target: "gateway"}, 400},
		"absolute":      {&pb.RestCall{Method: "GET", Target: "http://x/gateway"}, 400},
		"bad escape":    {&pb.RestCall{Method: "GET", Target: "/%zz"}, 400},
		"long target":   {&pb.RestCall{Method: "GET", Target: "/" + strings.Repeat("x", 9000)}, 400},
		"bad method":    {&pb.RestCall{Method: "GET /", Target: "/gateway"}, 400},
		"many headers":  {&pb.RestCall{Method: "GET", Target: "/gateway", Headers: many}, 400},
		"large headers": {&pb.RestCall{Method: "GET", Target: "/gateway", Headers: []*pb.Header{{Name: "X", Value: strings.Repeat("y", 40000)}}}, 400},
		"late":          {&pb.RestCall{Method: "GET", Target: "/v1/users/@me", DeadlineMs: 1, Headers: []*pb.Header{{Name: "Authorization", Value: "MTIz.a.b"}}}, 503},
		"no id":         {&pb.RestCall{Method: "GET", Target: "/gateway"}, 200},
		"long id":       {&pb.RestCall{Method: "GET", Target: "/gateway", Id: make([]byte, 1000)}, 200},
		"host tricks":   {&pb.RestCall{Method: "GET", Target: "//evil/gateway"}, 404},
		"long token":    {&pb.RestCall{Method: "GET", Target: "/v1/users/@me", Headers: []*pb.Header{{Name: "Authorization", Value: strings.Repeat("x", 30000)}}}, 401},
	} {
		raw, err := gproto.Marshal(c.in)
		must(t, err)
		var out pb.RestAnswer
		m.request(relay.RESTSubject(relaytest.Region), raw, &out)
		if out.Status != c.status {
			t.Errorf("%s: got %d %s, want %d", name, out.Status, out.Body, c.status)
		}
	}
	var out pb.RestAnswer
	m.request(relay.RESTSubject(relaytest.Region), []byte("\xff\xff\xff"), &out)
	if out.Status != 400 {
		t.Errorf("garbage: got %d, want 400", out.Status)
	}
}

var (
	float   = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)
	integer = regexp.MustCompile(`^[0-9]+$`)
)

// checkLimitHeaders holds for every answer of a limited route.
func checkLimitHeaders(t *testing.T, a answer, limit int, scope string) {
	t.Helper()
	for name, form := range map[string]*regexp.Regexp{"X-RateLimit-Limit": integer, "X-RateLimit-Remaining": integer, "X-RateLimit-Reset": float,
		"X-RateLimit-Reset-After": float, "X-RateLimit-Bucket": regexp.MustCompile(`^[0-9a-f]+$`), "X-RateLimit-Scope": regexp.MustCompile("^" + scope + "$")} {
		if got := a.header.Get(name); !form.MatchString(got) {
			t.Errorf("%s: got %q, want %v", name, got, form)
		}
	}
	if got := a.header.Get("X-RateLimit-Limit"); got != strconv.Itoa(limit) {
		t.Errorf("limit: got %s, want %d", got, limit)
	}
	if _, err := http.ParseTime(a.header.Get("Date")); err != nil {
		t.Errorf("Date: %v", err)
	}
}

func TestSendLimit(t *testing.T) {
	m := startMesh(t, true)
	alice, bob := m.register("alice"), m.register("bob")
	guild, channel := alice.guild("Nest")
	alice.invite(channel, bob)
	other := m.want(alice.do("POST", "/guilds/"+guild+"/channels", `{"name":"other"}`), 201).str("id")
	send := func(p person, channel string) answer {
		return p.do("POST", "/channels/"+channel+"/messages", `{"content":"x"}`)
	}
	began := time.Now()
	var refused answer
	for i := range 20 { // a slow machine may earn some more meanwhile
		a := send(alice, channel)
		checkLimitHeaders(t, a, 5, "user")
		if a.status == 429 {
			if i < 5 {
				t.Fatalf("send %d: got %v", i, a)
			}
			refused = a
			break
		}
		m.want(a, 200)
	}
	if allowed := 5 + int(time.Since(began)/time.Second); refused.status != 429 {
		t.Fatalf("20 sends in %v, want %d", time.Since(began), allowed)
	}
	if !regexp.MustCompile(`^\{"message":"You are being rate limited\.","retry_after":[01]\.[0-9]{3},"global":false\}$`).Match(refused.body) {
		t.Errorf("429 body: got %s", refused.body)
	}
	if got := refused.header.Get("Retry-After"); got != "1" || refused.header.Get("X-RateLimit-Global") != "" {
		t.Errorf("429: Retry-After %q, headers %v", got, refused.header)
	}
	m.want(send(alice, other), 200) // per channel
	m.want(send(bob, channel), 200) // per user
	if a := send(alice, other); a.header.Get("X-RateLimit-Bucket") != refused.header.Get("X-RateLimit-Bucket") {
		t.Error("the bucket id differs between channels of one route")
	}
}

// Eight at once, so that a slow machine gets to 50 a second too.
func TestGlobalLimit(t *testing.T) {
	m := startMesh(t, true)
	alice := m.register("alice")
	answers := make(chan answer, 400)
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for i := range cap(answers) / 8 {
				target := []string{"/users/@me", "/users/" + alice.id, "/users/@me/guilds", "/gateway/bot"}[(caller+i)%4]
				answers <- alice.do("GET", target, nil)
			}
		})
	}
	callers.Wait()
	close(answers)
	served, refused := 0, 0
	for a := range answers {
		if a.status == 200 {
			served++
			continue
		}
		if refused++; a.status != 429 {
			t.Fatalf("got %v", a)
		}
		checkLimitHeaders(t, a, 50, "global")
		if a.header.Get("X-RateLimit-Global") != "true" || a.at("global") != true || a.header.Get("Retry-After") != "1" {
			t.Errorf("global 429: got %v %v", a, a.header)
		}
	}
	if served < 50 || refused == 0 {
		t.Errorf("400 calls at once: %d served, %d refused, want 50 or more and some", served, refused)
	}
}

func TestLimitsOffKeepHeaders(t *testing.T) {
	m := startMesh(t, false)
	alice := m.register("alice")
	_, channel := alice.guild("Nest")
	for range 12 {
		a := m.want(alice.do("POST", "/channels/"+channel+"/messages", `{"content":"x"}`), 200)
		checkLimitHeaders(t, a, 5, "user")
		if a.header.Get("X-RateLimit-Remaining") == "0" {
			t.Error("Remaining 0: clients would wait")
		}
	}
}
