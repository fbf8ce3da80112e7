package loadtest

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

var (
	fuzzSeed = flag.Uint64("hostile.seed", uint64(time.Now().UnixNano()), "of TestHostileFuzz")
	fuzzFor  = flag.Duration("hostile.for", 5*time.Second, "how long TestHostileFuzz goes on")
)

// fuzzBodies are what clients send; the fuzz run bends them.
var fuzzBodies = []string{
	`{"content":"hi","tts":false,"embeds":[{"title":"x"}],"nonce":"5","enforce_nonce":true,"flags":4,"allowed_mentions":{"parse":["users"],"users":["1"]},"message_reference":{"message_id":"1"}}`,
	`{"name":"room","type":0,"topic":null,"nsfw":false,"parent_id":"1","position":3,"rate_limit_per_user":5,"permission_overwrites":[{"id":"1","type":0,"allow":"1024","deny":"0"}]}`,
	`{"name":"role","permissions":"1024","color":255,"hoist":true,"mentionable":false}`,
	`{"nick":"n","roles":["1","2"],"communication_disabled_until":"2026-01-02T03:04:05.678000+00:00"}`,
	`{"max_age":86400,"max_uses":1,"temporary":false,"unique":true}`,
	`{"messages":["1","2"],"user_ids":["1"],"days":7,"delete_message_seconds":60,"recipient_id":"1","username":"x","owner_id":"1"}`,
	`[{"id":"1","position":2}]`,
}

var fuzzFrames = []string{
	`{"op":1,"d":251}`, `{"op":2,"d":{"token":"MTIz.a.b","intents":513,"shard":[0,1],"large_threshold":50,"compress":false,"properties":{"os":"x"}}}`,
	`{"op":6,"d":{"token":"MTIz.a.b","session_id":"x","seq":5}}`, `{"op":8,"d":{"guild_id":["1"],"user_ids":[1,"2"],"query":"","limit":0,"nonce":"n"}}`,
	`{"op":3,"d":{"since":null,"activities":[],"status":"online","afk":false}}`, `{"op":4,"d":{"guild_id":"1","channel_id":null}}`,
}

// bend changes a text a little, at places that parsers care about.
func bend(r *rand.Rand, s string) string {
	b := []byte(s)
	odd := []string{`null`, `-1`, `9223372036854775808`, `1e400`, `""`, `{}`, `[]`, `[[`, `"\u0000"`, `"\ud800"`, "\xff", `true`, `0.1`, `"`, `,`, `:`, `}`,
		strings.Repeat("9", 300), `"` + strings.Repeat("x", 3000) + `"`, `"` + strings.Repeat("\U0001F426", 700) + `"`}
	for range 1 + r.IntN(3) {
		i := r.IntN(len(b) + 1)
		switch r.IntN(6) {
		case 0:
			b = append(b[:i:i], append([]byte(odd[r.IntN(len(odd))]), b[i:]...)...)
		case 1: // a value for another
			if at := bytes.IndexByte(b[i:], ':'); at >= 0 {
				end := bytes.IndexAny(b[i+at:], ",}]")
				if end < 0 {
					end = len(b) - i - at
				}
				b = append(b[:i+at+1:i+at+1], append([]byte(odd[r.IntN(len(odd))]), b[i+at+end:]...)...)
			}
		case 2:
			b = b[:i]
		case 3:
			if i < len(b) {
				b[i] = byte(r.IntN(256))
			}
		case 4:
			b = append(b, b[i:]...)
		}
		if len(b) == 0 {
			b = []byte("{")
		}
	}
	return string(b)
}

// Bent bodies at every route and bent frames at every state: no 5xx, no code but Discord's, the mesh lives, and Eve gets nothing of the town's.
func TestHostileFuzz(t *testing.T) {
	t.Logf("seed %d", *fuzzSeed)
	rnd := rand.New(rand.NewPCG(*fuzzSeed, 1))
	s := newSiege(t, newTown(t, plain.get(t)))
	ctx := within(t, *fuzzFor+patience)
	ids := []string{s.general.String(), s.eves.String(), s.guild.ID.String(), s.message.ID.String(), s.person.User.ID.String(), "@me", "0", "-1", "x", "%2f", "1"}
	id := func() string { return ids[rnd.IntN(len(ids))] }
	paths := []string{"/channels/%s", "/channels/%s/messages", "/channels/%s/messages/%s", "/channels/%s/permissions/%s", "/channels/%s/invites",
		"/channels/%s/typing", "/channels/%s/pins/%s", "/channels/%s/messages/%s/reactions/%s/@me", "/channels/%s/messages/bulk-delete", "/guilds",
		"/guilds/%s", "/guilds/%s/channels", "/guilds/%s/roles", "/guilds/%s/roles/%s", "/guilds/%s/members", "/guilds/%s/members/%s",
		"/guilds/%s/members/%s/roles/%s", "/guilds/%s/bans/%s", "/guilds/%s/prune", "/guilds/%s/audit-logs", "/users/%s", "/users/@me/channels",
		"/invites/%s", "/applications", "/oauth2/applications/@me", "/gateway/bot"}
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	quiet := *s.eve
	quiet.Tell = func(string) {} // routes of others have no shape here
	calls, frames := 0, 0
	closed := map[proto.CloseCode]int{}
	for until := time.Now().Add(*fuzzFor); time.Now().Before(until); {
		path := paths[rnd.IntN(len(paths))]
		args := make([]any, strings.Count(path, "%s"))
		for i := range args {
			args[i] = id()
		}
		method, body := methods[rnd.IntN(len(methods))], bend(rnd, fuzzBodies[rnd.IntN(len(fuzzBodies))])
		path = fmt.Sprintf(path, args...)
		a, err := quiet.At(s.m.HTTP(calls%2)).Raw(ctx, method, path, body)
		if err != nil {
			t.Fatalf("%s %s %q: %v", method, path, body, err)
		}
		if calls++; a.Status >= 500 || bytes.Contains(a.Body, []byte("private")) {
			t.Errorf("%s %s %q: %d %.200s", method, path, body, a.Status, a.Body)
		}
		if calls%8 == 0 {
			closed[s.bentFrames(t, rnd)]++
			frames++
		}
	}
	t.Logf("%d calls; %d connections, closed with %v", calls, frames, closed)
	for code := range closed {
		switch code {
		case 0, proto.CloseDecode, proto.CloseUnknownOpcode, proto.CloseAuthFailed, proto.CloseNotIdentified, proto.CloseIdentifiedTwice,
			proto.CloseInvalidIntents, proto.CloseInvalidShard, proto.CloseProtocol, proto.CloseRateLimited, 1007:
		default:
			t.Errorf("closed with %v", code)
		}
	}
	if got := take[proto.Message](t)(s.owner.Message(ctx, s.general, s.message.ID)); got.Content != "private" {
		t.Errorf("the owner's message now says %q", got.Content)
	}
	w := s.open(0, s.town.person.Token, client.Options{}, nil)
	m := take[proto.Message](t)(s.owner.Say(ctx, s.general, "still here"))
	s.await(w.Gateway, 0, "message", says(m))
}

// bentFrames sends a few on a connection of their own; 0 = it lived.
func (s *siege) bentFrames(t *testing.T, rnd *rand.Rand) proto.CloseCode {
	c := s.raw(t, rnd.IntN(2))
	defer c.Close()
	if rnd.IntN(2) == 0 {
		c.text(`{"op":2,"d":{"token":"` + s.person.Token + `","intents":513,"properties":{}}}`)
	}
	for range 1 + rnd.IntN(4) {
		f := bend(rnd, fuzzFrames[rnd.IntN(len(fuzzFrames))])
		if rnd.IntN(10) == 0 {
			c.Write([]byte(f)) // no frame at all
			c.Write(make([]byte, 1<<16))
			continue
		}
		c.frame(ws.NewTextFrame([]byte(f)))
	}
	c.text(`{"op":1,"d":"end"}`)
	c.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(4900), "")))
	switch code := c.closed(); code {
	case 4900:
		return 0
	default:
		return code
	}
}
