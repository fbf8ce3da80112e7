package loadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A message is sent, read, edited, deleted; both edges hear of it, the sender too, and bodies may hold nulls and strange keys.
func TestMessages(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	ann, annREST := w.bot("ann", true)
	ben, benREST := w.bot("ben", true)
	benREST = benREST.At(w.m.HTTP(1))
	a := w.open(0, ann.Token, client.Options{}, nil)
	b := w.open(1, ben.Token, client.Options{Compress: "zlib-stream"}, nil)

	m := take[proto.Message](t)(annREST.Post(ctx, w.general, json.RawMessage(`{"content":"hi <@`+ben.ID.String()+`>","tts":false,"embeds":null,
		"components":null,"sticker_ids":null,"poll":null,"attachments":null,"message_reference":null,"allowed_mentions":null,"flags":0,
		"nonce":null,"enforce_nonce":false,"file":null,"unknown":{"x":[1]}}`)))
	for _, s := range []*session{a, b} {
		var got proto.Message
		must(t, w.await(s.Gateway, 0, "MESSAGE_CREATE", says(m)).Into(&got))
		if got.Content != m.Content || *got.GuildID != w.guild.ID || got.Author.ID != ann.ID || len(got.Mentions) != 1 || got.Mentions[0].ID != ben.ID {
			t.Errorf("got %+v, want %+v", got, m)
		}
	}
	read := take[proto.Message](t)(benREST.Message(ctx, w.general, m.ID))
	if read.Content != m.Content || read.Timestamp.String() != m.Timestamp.String() {
		t.Errorf("GET: got %+v, want %+v", read, m)
	}

	_, err := benREST.Edit(ctx, w.general, m.ID, "not mine")
	fails(t, err, proto.ErrNotAuthor)
	var edited proto.Message
	must(t, annREST.Call(ctx, "PATCH", fmt.Sprintf("/channels/%s/messages/%s", w.general, m.ID), json.RawMessage(`{"ID":"`+m.ID.String()+
		`","Channel":"`+w.general.String()+`","content":"edited","embeds":null,"components":null,"flags":0,"tts":false,"enforce_nonce":false}`), &edited))
	if edited.EditedTimestamp == nil || edited.Content != "edited" || edited.ID != m.ID {
		t.Errorf("PATCH: %+v", edited)
	}
	for _, s := range []*session{a, b} {
		var got proto.Message
		must(t, w.await(s.Gateway, 0, "MESSAGE_UPDATE", event("MESSAGE_UPDATE")).Into(&got))
		if got.Content != "edited" || got.EditedTimestamp == nil || got.ID != m.ID {
			t.Errorf("MESSAGE_UPDATE: %+v", got)
		}
	}

	must(t, annREST.Type(ctx, w.general))
	typing := about("TYPING_START", func(e proto.TypingStart) bool { return e.UserID == ann.ID && e.ChannelID == w.general })
	w.await(b.Gateway, 0, "TYPING_START", typing)

	must(t, annREST.Delete(ctx, w.general, m.ID))
	gone := about("MESSAGE_DELETE", func(e proto.MessageDelete) bool { return e.ID == m.ID && e.GuildID == w.guild.ID })
	w.await(a.Gateway, 0, "MESSAGE_DELETE", gone)
	w.await(b.Gateway, 0, "MESSAGE_DELETE", gone)
	fails(t, annREST.Delete(ctx, w.general, m.ID), proto.ErrUnknownMessage)
	_, err = annREST.Message(ctx, w.general, m.ID)
	fails(t, err, proto.ErrUnknownMessage)
}

// History comes newest first in full pages, before, after and around an id.
func TestHistory(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 2*patience)
	var ids []proto.ID
	for i := range 60 {
		ids = append(ids, take[proto.Message](t)(w.owner.Say(ctx, w.general, fmt.Sprint(i))).ID)
	}
	page := func(query string, from, to int) { // ids[from:to], newest first
		t.Helper()
		got := take[[]proto.Message](t)(w.owner.History(ctx, w.general, query))
		if len(got) != to-from {
			t.Fatalf("%s: got %d messages, want %d", query, len(got), to-from)
		}
		for i, m := range got {
			if want := ids[to-1-i]; m.ID != want {
				t.Fatalf("%s: message %d: got %s, want %s", query, i, m.ID, want)
			}
		}
	}
	page("", 10, 60)
	page("limit=100", 0, 60)
	page("limit=7", 53, 60)
	page(fmt.Sprintf("limit=20&before=%s", ids[30]), 10, 30)
	page(fmt.Sprintf("limit=20&before=%s", ids[5]), 0, 5)
	page(fmt.Sprintf("limit=20&after=%s", ids[9]), 10, 30)
	page("limit=20&after=1", 0, 20)
	page(fmt.Sprintf("limit=20&after=%s", ids[55]), 56, 60)
	got := take[[]proto.Message](t)(w.owner.History(ctx, w.general, fmt.Sprintf("limit=11&around=%s", ids[30])))
	if len(got) < 10 || len(got) > 11 || got[0].ID < ids[34] || got[len(got)-1].ID > ids[26] {
		t.Errorf("around: got %d messages from %s to %s", len(got), got[len(got)-1].ID, got[0].ID)
	}
	_, err := w.owner.History(ctx, w.general, "limit=101")
	fails(t, err, &proto.Error{Status: 400, Code: 50035})
}

// With enforce_nonce a repeat is the first message again and nobody hears it twice; nonces come back as they were sent.
func TestNonce(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	bot, r := w.bot("nora", true)
	s := w.open(0, bot.Token, client.Options{}, nil)
	body := map[string]any{"content": "once", "nonce": "12345678901234567890", "enforce_nonce": true}
	first := take[proto.Message](t)(r.Post(ctx, w.general, body))
	for i := range 3 {
		if again := take[proto.Message](t)(r.At(w.m.HTTP(i%2)).Post(ctx, w.general, body)); again.ID != first.ID || again.Content != "once" {
			t.Errorf("repeat: got %s %q, want %s", again.ID, again.Content, first.ID)
		}
	}
	if other := take[proto.Message](t)(w.owner.Post(ctx, w.general, body)); other.ID == first.ID {
		t.Error("another author's nonce met the first message")
	}
	body["enforce_nonce"] = false
	if free := take[proto.Message](t)(r.Post(ctx, w.general, body)); free.ID == first.ID {
		t.Error("without enforce_nonce the nonce counted")
	}
	last := take[proto.Message](t)(r.Post(ctx, w.general, map[string]any{"content": "number", "nonce": 77}))
	if string(last.Nonce) != "77" {
		t.Errorf("nonce %s, want 77", last.Nonce)
	}
	var got proto.Message
	must(t, w.await(s.Gateway, 0, "last message", says(last)).Into(&got))
	if string(got.Nonce) != "77" {
		t.Errorf("nonce in the event %s, want 77", got.Nonce)
	}
	if got := s.Count(0, event("MESSAGE_CREATE")); got != 4 {
		t.Errorf("got %d MESSAGE_CREATE, want 4", got)
	}
	_, err := r.Post(ctx, w.general, map[string]any{"content": "x", "nonce": strings.Repeat("9", 26)})
	fails(t, err, &proto.Error{Status: 400, Code: 50035})
}

// Errors carry the codes that clients map.
func TestErrors(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	_, r := w.bot("erin", true)
	_, stranger := w.bot("sam", false)
	call := func(r *client.REST, method, path string, body any) error { return r.Call(ctx, method, path, body, nil) }
	channel := fmt.Sprintf("/channels/%s", w.general)
	for _, tt := range []struct {
		name string
		err  error
		want *proto.Error
	}{
		{"empty", call(r, "POST", channel+"/messages", map[string]any{"content": ""}), proto.ErrEmptyMessage},
		{"too long", call(r, "POST", channel+"/messages", map[string]any{"content": strings.Repeat("é", 2001)}), &proto.Error{Status: 400, Code: 50035}},
		{"not JSON", call(r, "POST", channel+"/messages", `{"content":`), proto.ErrInvalidJSON},
		{"unknown channel", call(r, "GET", "/channels/4611686018427387904", nil), proto.ErrUnknownChannel},
		{"unknown guild", call(r, "GET", "/guilds/4611686018427387904", nil), proto.ErrUnknownGuild},
		{"unknown user", call(r, "GET", "/users/4611686018427387904", nil), proto.ErrUnknownUser},
		{"unknown message", call(r, "GET", channel+"/messages/4611686018427387904", nil), proto.ErrUnknownMessage},
		{"unknown route", call(r, "GET", "/no/such/route", nil), proto.ErrNotFound},
		{"stranger reads", call(stranger, "GET", channel+"/messages", nil), proto.ErrMissingAccess},
		{"stranger writes", call(stranger, "POST", channel+"/messages", map[string]any{"content": "x"}), proto.ErrMissingAccess},
		{"no right to make channels", call(r, "POST", fmt.Sprintf("/guilds/%s/channels", w.guild.ID), map[string]any{"name": "x"}), proto.ErrMissingPermission},
		{"no token", call(r.As(""), "GET", "/users/@me", nil), proto.ErrUnauthorized},
		{"bad token", call(r.As("Bot a.b.c"), "GET", "/users/@me", nil), proto.ErrUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) { fails(t, tt.err, tt.want) })
	}
	if m := take[proto.Message](t)(r.Say(ctx, w.general, strings.Repeat("é", 2000))); len(m.Content) != 4000 {
		t.Errorf("2000 characters came back as %d bytes", len(m.Content))
	}
}

// What libraries ask between log-in and READY, and what they ask when something is not in their cache.
func TestLookups(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	bot, r := w.bot("lou", true)
	for _, path := range []string{"/gateway", "/gateway/bot", "/users/@me", "/users/" + w.person.User.ID.String(), "/oauth2/applications/@me",
		"/applications/@me", "/guilds/" + w.guild.ID.String(), "/guilds/" + w.guild.ID.String() + "/channels", "/channels/" + w.general.String(),
		"/guilds/" + w.guild.ID.String() + "/members/" + bot.ID.String()} {
		must(t, r.Call(ctx, "GET", path, nil, nil))
	}
	var me proto.SelfUser
	must(t, r.Call(ctx, "GET", "/users/@me", nil, &me))
	var app struct{ ID proto.ID }
	must(t, r.Call(ctx, "GET", "/oauth2/applications/@me", nil, &app))
	if me.ID != bot.ID || app.ID != bot.ID || !me.Bot {
		t.Errorf("bot %s: /users/@me says %s, the application %s", bot.ID, me.ID, app.ID)
	}
	var gw struct{ URL string }
	must(t, r.As("Bot not.a.token").At(w.m.HTTP(1)).Call(ctx, "GET", "/gateway", nil, &gw))
	if want := w.m.Gateway(1); gw.URL != want {
		t.Errorf("GET /gateway at edge 1: %q, want %q", gw.URL, want)
	}
	short := *r
	short.Base = w.m.HTTP(0) + "/v1"
	must(t, short.Call(ctx, "GET", "/users/@me", nil, nil))
}

// Clients that attach files send the body as a part of a form; Starling keeps no files yet, but the text must arrive.
func TestMultipart(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	must(t, form.WriteField("payload_json", `{"content":"as a form","tts":false}`))
	must(t, form.Close())
	req := take[*http.Request](t)(http.NewRequestWithContext(ctx, "POST", w.owner.Base+"/channels/"+w.general.String()+"/messages", &body))
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", w.owner.Token)
	resp := take[*http.Response](t)(w.owner.HTTP.Do(req))
	defer resp.Body.Close()
	var m proto.Message
	must(t, json.NewDecoder(resp.Body).Decode(&m))
	if resp.StatusCode != 200 || m.Content != "as a form" {
		t.Errorf("got %s %q, want 200 and the text", resp.Status, m.Content)
	}
}

// Bodies beyond all measure and methods that nobody uses are refused in the API's own form.
func TestOddRequests(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	for _, tt := range []struct {
		name, method, path string
		body               any
		want               int
	}{
		{"huge body", "POST", "/channels/" + w.general.String() + "/messages", `{"content":"` + strings.Repeat("x", 4<<20) + `"}`, 413},
		{"unused method", "PUT", "/channels/" + w.general.String() + "/messages", map[string]any{}, 405},
		{"id that is none", "GET", "/channels/abc", nil, 400},
		{"id zero", "GET", "/channels/0", nil, 400},
		{"list for a text", "POST", "/channels/" + w.general.String() + "/messages", map[string]any{"content": []int{1}}, 400},
		{"body that is a list", "POST", "/channels/" + w.general.String() + "/messages", `[]`, 400},
		{"trailing slash", "GET", "/users/@me/", nil, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := *w.owner
			if tt.want == 200 {
				r.Tell = func(string) {} // the shapes know no slash
			}
			a := take[*client.Answer](t)(r.Raw(ctx, tt.method, tt.path, tt.body))
			if a.Status != tt.want {
				t.Errorf("got %d %.200s, want %d", a.Status, a.Body, tt.want)
			}
		})
	}
}
