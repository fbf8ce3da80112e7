package loadtest

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A siege is a town with a stranger, Eve, who has a guild of her own and no business in the town.
type siege struct {
	*town
	eve     *client.REST
	person  client.Person // Eve
	eves    proto.ID      // her channel
	message proto.Message // of the owner, in the town
}

func newSiege(t *testing.T, w *town) *siege {
	t.Helper()
	ctx := within(t, patience)
	s := &siege{town: w}
	s.person = take[client.Person](t)(w.owner.As("").Register(ctx, name("eve"), password))
	s.eve = w.owner.As("Bearer " + s.person.Token)
	g := take[proto.Guild](t)(s.eve.Guild(ctx, "Eve's"))
	s.eves = take[proto.Channel](t)(s.eve.Channel(ctx, g.ID, "lair")).ID
	s.message = take[proto.Message](t)(w.owner.Say(ctx, w.general, "private"))
	return s
}

// answers makes one call and compares status and code; -1 = no code is asked for.
func (s *siege) answers(t *testing.T, r *client.REST, method, path string, body any, status, code int) *client.Answer {
	t.Helper()
	a := take[*client.Answer](t)(r.Raw(within(t, patience), method, path, body))
	var e proto.Error
	if a.Status >= 400 && json.Unmarshal(a.Body, &e) != nil {
		t.Errorf("%s %s: %d %s: no error of the API", method, path, a.Status, a.Body)
	}
	if a.Status != status || code >= 0 && e.Code != code {
		t.Errorf("%s %.100s %.100s: %d %.300s; want %d, code %d", method, path, body, a.Status, a.Body, status, code)
	}
	return a
}

// Bodies of wrong types, odd numbers, depth, bytes and size get Discord's codes.
func TestHostileBodies(t *testing.T) {
	s := newSiege(t, newTown(t, plain.get(t)))
	send := "/channels/" + s.eves.String() + "/messages"
	channel, roles := "/channels/"+s.eves.String(), "/guilds/"+s.guild.ID.String()+"/roles"
	for _, tt := range []struct {
		method, path, body string
		status, code       int
	}{
		{"POST", send, `{"content":5}`, 400, 50035},
		{"POST", send, `{"content":{"a":1}}`, 400, 50035},
		{"POST", send, `{"content":["x"]}`, 400, 50035},
		{"POST", send, `{"content":true}`, 400, 50035},
		{"POST", send, `["content"]`, 400, 50035},
		{"POST", send, `"content"`, 400, 50035},
		{"POST", send, `5`, 400, 50035},
		{"POST", send, `{"content":"x","flags":1e99}`, 400, 50035},
		{"POST", send, `{"content":"x","flags":-9223372036854775809}`, 400, 50035},
		{"POST", send, `{"content":"x","nonce":{}}`, 400, 50035},
		{"POST", send, `{"content":"x","message_reference":"y"}`, 400, 50035},
		{"POST", send, `{"content":"x","allowed_mentions":[]}`, 400, 50035},
		{"POST", send, `{"content":"` + strings.Repeat("x", 2001) + `"}`, 400, 50035},
		{"POST", send, `{"content":"   "}`, 400, 50006},
		{"POST", send, `{}`, 400, 50006},
		{"POST", send, ``, 400, 50006},
		{"POST", send, `{"content":"x"`, 400, 50109},
		{"POST", send, `{"content":"x"}}`, 400, 50109},
		{"POST", send, `nul`, 400, 50109},
		{"POST", send, "{\"content\":\"\xff\xfe\"}", 400, 50109},
		{"POST", send, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 400, 50109},
		{"POST", send, strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), 400, 50109},
		{"POST", send, `{"embeds":` + strings.Repeat("[", 100000), 400, 50109},
		{"POST", send, `{"content":"` + strings.Repeat("x", 513<<10) + `"}`, 413, 40005},
		{"POST", send, `{"content":"first","content":"second"}`, 200, -1},
		{"POST", send, `{"content":"\u0000\ud800 ` + "\u202e" + `"}`, 200, -1},
		{"PATCH", channel, `{"rate_limit_per_user":-1}`, 400, 50035},
		{"PATCH", channel, `{"rate_limit_per_user":99999999999999999999}`, 400, 50035},
		{"PATCH", channel, `{"name":""}`, 400, 50035},
		{"PATCH", channel, `{"name":7}`, 400, 50035},
		{"PATCH", channel, `{"permission_overwrites":{}}`, 400, 50035},
		{"PATCH", channel, `{"permission_overwrites":[{"id":"x"}]}`, 400, 50035},
		{"PATCH", channel, `{"parent_id":-5}`, 400, 50035},
		{"PUT", channel + "/permissions/" + s.person.User.ID.String(), `{"type":9,"allow":"0"}`, 400, 50035},
		{"PUT", channel + "/permissions/" + s.person.User.ID.String(), `{"type":1,"allow":"-1"}`, 400, 50035},
		{"PUT", channel + "/permissions/" + s.person.User.ID.String(), `{"type":1,"allow":"99999999999999999999"}`, 400, 50035},
		{"POST", "/guilds", `{"name":"x"}`, 400, 50035},
		{"POST", "/guilds", `{"name":null}`, 400, 50035},
		{"POST", roles, `{"permissions":-1}`, 400, 50035},
		{"POST", roles, `{"color":[]}`, 400, 50035},
		{"POST", "/auth/login", `{"login":{"$gt":""},"password":{"$gt":""}}`, 400, 50035},
		{"POST", "/auth/register", `{"username":"' OR 1=1 --","password":"correct horse battery"}`, 400, 50035},
	} {
		t.Run(fmt.Sprintf("%s %.60s %.60q", tt.method, tt.path, tt.body), func(t *testing.T) {
			s.answers(t, s.eve, tt.method, tt.path, tt.body, tt.status, tt.code)
		})
	}
	var last []proto.Message
	must(t, s.eve.Call(within(t, patience), "GET", send+"?limit=100", nil, &last))
	if len(last) != 2 || last[1].Content != "second" {
		t.Errorf("%d messages were stored, want 2: %+v", len(last), last)
	}
}

// Ids and numbers in paths and queries that are none, and those of others: nothing is told, nothing is done.
func TestHostileIDs(t *testing.T) {
	s := newSiege(t, newTown(t, plain.get(t)))
	mine, theirs := "/channels/"+s.eves.String(), "/channels/"+s.general.String()
	text := `{"content":"x"}`
	for _, tt := range []struct {
		method, path, body string
		status, code       int
	}{
		{"GET", "/channels/0", "", 400, 50035},
		{"GET", "/channels/-1", "", 400, 50035},
		{"GET", "/channels/abc", "", 400, 50035},
		{"GET", "/channels/9223372036854775808", "", 400, 50035},
		{"GET", "/channels/99999999999999999999999999", "", 400, 50035},
		{"GET", "/channels/1e5", "", 400, 50035},
		{"GET", "/channels/%00", "", 400, 50035},
		{"GET", "/channels/%F0%9F%90%A6", "", 400, 50035},
		{"GET", "/channels/1'%20OR%20'1'='1", "", 400, 50035},
		{"GET", "/channels/4611686018427387904", "", 404, 10003},
		{"GET", "/guilds/4611686018427387904", "", 404, 10004},
		{"GET", "/users/4611686018427387904", "", 404, 10013},
		{"GET", mine + "/messages/4611686018427387904", "", 404, 10008},
		{"GET", mine + "/messages?limit=0", "", 400, 50035},
		{"GET", mine + "/messages?limit=-5", "", 400, 50035},
		{"GET", mine + "/messages?limit=101", "", 400, 50035},
		{"GET", mine + "/messages?limit=99999999999999999999", "", 400, 50035},
		{"GET", mine + "/messages?before=x", "", 400, 50035},
		{"GET", theirs, "", 403, 50001},
		{"GET", theirs + "/messages", "", 403, 50001},
		{"GET", theirs + "/messages/" + s.message.ID.String(), "", 403, 50001},
		{"POST", theirs + "/messages", text, 403, 50001},
		{"PATCH", theirs + "/messages/" + s.message.ID.String(), text, 403, 50001},
		{"DELETE", theirs + "/messages/" + s.message.ID.String(), "", 403, 50001},
		{"POST", theirs + "/typing", "", 403, 50001},
		{"POST", theirs + "/invites", "{}", 403, 50001},
		{"PATCH", theirs, `{"name":"taken"}`, 403, 50001},
		{"DELETE", theirs, "", 403, 50001},
		// a message of the town in a channel of hers
		{"GET", mine + "/messages/" + s.message.ID.String(), "", 404, 10008},
		{"PATCH", mine + "/messages/" + s.message.ID.String(), text, 404, 10008},
		{"DELETE", mine + "/messages/" + s.message.ID.String(), "", 404, 10008},
		{"GET", "/guilds/" + s.general.String(), "", 404, 10004},
		{"DELETE", "/users/@me/guilds/" + s.guild.ID.String(), "", 404, 10004}, // nobody leaves where she is not
		{"DELETE", "/users/@me/guilds/4611686018427387904", "", 404, 10004},
		{"GET", "/channels/" + s.guild.ID.String(), "", 404, 10003},
	} {
		t.Run(fmt.Sprintf("%s %.60s %.60q", tt.method, tt.path, tt.body), func(t *testing.T) {
			s.answers(t, s.eve, tt.method, tt.path, tt.body, tt.status, tt.code)
		})
	}
	for _, path := range []string{"", "/channels", "/roles", "/members", "/members/" + s.town.person.User.ID.String()} {
		a := take[*client.Answer](t)(s.eve.Raw(within(t, patience), "GET", "/guilds/"+s.guild.ID.String()+path, nil))
		if a.Status != 403 && a.Status != 404 {
			t.Errorf("a stranger at the town's%s: %d %s", path, a.Status, a.Body)
		}
	}
	if got := take[proto.Message](t)(s.owner.Message(within(t, patience), s.general, s.message.ID)); got.Content != "private" {
		t.Errorf("the owner's message now says %q", got.Content)
	}
}

// Tokens that we did not issue in this form, or no longer honour, are 401 whatever they claim.
func TestHostileTokens(t *testing.T) {
	s := newSiege(t, newTown(t, plain.get(t)))
	ctx := within(t, patience)
	bot, _ := s.bot("tia", false)
	head, rest, _ := strings.Cut(s.town.person.Token, ".")
	body, sig, _ := strings.Cut(rest, ".")
	b64 := base64.RawURLEncoding
	header := func(h string) string { return b64.EncodeToString([]byte(h)) }
	var real struct {
		KID string `json:"kid"`
	}
	must(t, json.Unmarshal(take[[]byte](t)(b64.DecodeString(head)), &real))
	claims := string(take[[]byte](t)(b64.DecodeString(body)))
	swapped := strings.Replace(claims, s.town.person.User.ID.String(), s.person.User.ID.String(), 1)
	longer := b64.EncodeToString([]byte(strings.Replace(claims, `"exp":1`, `"exp":9`, 1)))
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	forge := func(head, body string) string {
		return head + "." + body + "." + b64.EncodeToString(ed25519.Sign(key, []byte(head+"."+body)))
	}
	hs := func(head, body, secret string) string {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write([]byte(head + "." + body))
		return head + "." + body + "." + b64.EncodeToString(m.Sum(nil))
	}
	_, jwks, err := tcp(t, s.m.Addr(0), "GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	must(t, err)
	first, tail, _ := strings.Cut(bot.Token, ".")
	tokens := map[string]string{
		"none":               header(`{"alg":"none","typ":"JWT"}`) + "." + body + ".",
		"none, signed":       header(`{"alg":"none","kid":"`+real.KID+`"}`) + "." + body + "." + sig,
		"None":               header(`{"alg":"None","kid":"`+real.KID+`"}`) + "." + body + "." + sig,
		"no signature":       head + "." + body + ".",
		"two parts":          head + "." + body,
		"other claims":       head + "." + b64.EncodeToString([]byte(swapped)) + "." + sig,
		"longer life":        head + "." + longer + "." + sig,
		"wrong key":          forge(head, body),
		"wrong kid":          forge(header(`{"alg":"EdDSA","kid":"other","typ":"JWT"}`), body),
		"no kid":             forge(header(`{"alg":"EdDSA"}`), body),
		"kid is a path":      forge(header(`{"alg":"EdDSA","kid":"../../../../dev/null"}`), body),
		"brings its key":     forge(header(`{"alg":"EdDSA","kid":"`+real.KID+`","jwk":{"kty":"OKP","crv":"Ed25519","x":"`+b64.EncodeToString(key.Public().(ed25519.PublicKey))+`"}}`), body),
		"HMAC by public key": hs(header(`{"alg":"HS256","kid":"`+real.KID+`"}`), body, jwks),
		"HMAC by nothing":    hs(header(`{"alg":"HS256","kid":"`+real.KID+`"}`), body, ""),
		"bot's, other id":    base64.RawStdEncoding.EncodeToString([]byte(s.person.User.ID.String())) + "." + tail,
		"bot's, padded":      first + "=." + tail,
		"bot's, cut":         bot.Token[:len(bot.Token)-1],
		"bot's, id 0":        base64.RawStdEncoding.EncodeToString([]byte("0")) + "." + tail,
		"bot's, no secret":   first + "..",
		"empty":              "",
		"blank":              "   ",
		"long":               strings.Repeat("a", 9000),
		"a quote":            `'"` + "\t",
	}
	// Those that were good once.
	old, r := s.bot("uma", false)
	take[string](t)(s.owner.ResetBot(ctx, old.ID))
	tokens["reset bot's"] = old.Token
	gone := take[client.Person](t)(r.As("").Register(ctx, name("gus"), password))
	must(t, r.As("Bearer "+gone.Token).Logout(ctx, gone.RefreshToken))
	tokens["logged out"] = gone.Token

	// And those that were good until a moment ago: of a login that is alive, signed by the mesh's own key, with another life.
	keys, err := auth.OpenKeys(filepath.Join(s.m.DataDir(), "core", "keys"))
	must(t, err)
	now := time.Now()
	alive, err := keys.Verify(s.town.person.Token, now)
	must(t, err)
	sign := func(at time.Time, life time.Duration) string { return take[string](t)(keys.Sign(alive, at, life)) }
	tokens["expired"] = sign(now.Add(-time.Hour), 50*time.Minute)
	tokens["expired just now"] = sign(now.Add(-time.Minute), 50*time.Second)
	tokens["of tomorrow"] = sign(now.Add(24*time.Hour), time.Hour)
	must(t, s.eve.As("Bearer "+sign(now, time.Hour)).Call(ctx, "GET", "/users/@me", nil, nil)) // the forger's tools work

	for what, token := range tokens {
		t.Run(what, func(t *testing.T) {
			for _, scheme := range []string{"Bot ", "Bearer ", ""} {
				a := take[*client.Answer](t)(s.eve.As(scheme+token).Raw(ctx, "GET", "/users/@me", nil))
				if a.Status != 401 {
					t.Errorf("%q: %d %s, want 401", scheme, a.Status, a.Body)
				}
			}
			if len(token) > 4000 {
				return
			}
			g := s.dial(0, client.Options{})
			must(t, g.Identify(token, nil))
			if got, err := g.Closed(within(t, patience)); got != proto.CloseAuthFailed {
				t.Errorf("IDENTIFY: closed with %v (%v), want 4004", got, err)
			}
		})
	}
	must(t, s.owner.Call(ctx, "GET", "/users/@me", nil, nil))
}

// tcp sends bytes as they are and reads one answer.
func tcp(t *testing.T, addr, request string) (*http.Response, string, error) {
	t.Helper()
	c := take[net.Conn](t)(net.DialTimeout("tcp", addr, patience))
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		return nil, "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return resp, string(bytes.TrimSpace(b)), err
}

// Paths that try to be others, and headers beyond measure. No redirect, no 5xx, nothing of the owner's comes out.
func TestHostilePathsAndHeaders(t *testing.T) {
	s := newSiege(t, newTown(t, plain.get(t)))
	addr, auth := s.m.Addr(0), "Authorization: "+s.eve.Token+"\r\n"
	get := func(target, more string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + auth + more + "\r\n"
	}
	theirs := "/channels/" + s.general.String()
	for _, tt := range []struct {
		what, request string
		want          []int
	}{
		{"//", get("//api/v10/users/@me", ""), []int{404}},
		{"// within", get("/api/v10//users//@me", ""), []int{404}},
		{"..", get("/api/v10/channels/../users/@me", ""), []int{404}},
		{"../..", get("/api/v10/../../etc/passwd", ""), []int{404}},
		{"%2e%2e", get("/api/v10/channels/%2e%2e/users/@me", ""), []int{400, 404}},
		{"%2f in an id", get("/api/v10"+strings.Replace(theirs, "/channels/", "/channels%2f", 1), ""), []int{404}},
		{"%2f behind an id", get("/api/v10/channels/"+s.eves.String()+"%2f.."+"%2f"+s.general.String()+"/messages", ""), []int{400, 404}},
		{"%25", get("/api/v10/channels/%2561", ""), []int{400}},
		{"half an escape", get("/api/v10/channels/%4", ""), []int{400}},
		{"bad UTF-8", get("/api/v10/channels/\xff\xfe", ""), []int{400}},
		{"escaped bad UTF-8", get("/api/v10/channels/%ff", ""), []int{400}},
		{"semicolons", get("/api/v10"+theirs+";/users/@me", ""), []int{400, 404}},
		{"a whole URL", get("http://"+addr+"/api/v10"+theirs, ""), []int{400}},
		{"a star", get("*", ""), []int{400}},
		{"9 KB of path", get("/api/v10/"+strings.Repeat("a", 9000), ""), []int{400}},
		{"9 KB of query", get("/api/v10/users/@me?"+strings.Repeat("a", 9000), ""), []int{400}},
		{"20 KB of header", get("/api/v10/users/@me", "X: "+strings.Repeat("a", 24<<10)+"\r\n"), []int{431}},
		{"500 headers", get("/api/v10/users/@me", strings.Repeat("X: a\r\n", 500)), []int{400}},
		{"Latin-1 in a header", get("/api/v10/users/@me", "X-Audit-Log-Reason: caf\xe9\r\n"), []int{200}},
		{"a reason beyond measure", get("/api/v10/users/@me", "X-Audit-Log-Reason: "+strings.Repeat("%F0", 700)+"\r\n"), []int{200, 400}},
		{"two hosts", "GET /api/v10/users/@me HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + auth + "\r\n", []int{400}},
		{"no host", "GET /api/v10/users/@me HTTP/1.1\r\n" + auth + "\r\n", []int{400}},
		{"a host that is none", "GET /api/v10/users/@me HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n" + auth + "\r\n", []int{400}},
		{"two lengths", "POST /api/v10/users/@me HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n" + auth + "\r\nhello", []int{400}},
		{"length and chunks", "POST /api/v10/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + auth + "\r\n0\r\n\r\n", []int{400, 404}},
		{"a method of its own", "BREW /api/v10/users/@me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + auth + "\r\n", []int{405}},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
		{"method override", "POST /api/v10" + theirs + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-HTTP-Method-Override: DELETE\r\n" + auth + "\r\n", []int{405}},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400, 405, 505}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			resp, body, err := tcp(t, addr, tt.request)
			must(t, err)
			if !slices.Contains(tt.want, resp.StatusCode) || strings.Contains(body, "private") || resp.Header.Get("Location") != "" {
				t.Errorf("%s %s %.200s, want %v", resp.Status, resp.Header.Get("Location"), body, tt.want)
			}
		})
	}
	take[proto.Channel](t)(callChannel(t, s))
}

// callChannel reads the town's channel as its owner: it is still there.
func callChannel(t *testing.T, s *siege) (c proto.Channel, err error) {
	err = s.owner.Call(within(t, patience), "GET", fmt.Sprintf("/channels/%s", s.general), nil, &c)
	return c, err
}
