package loadtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

func apiError(err error) (*proto.Error, bool) {
	var e *proto.Error
	ok := errors.As(err, &e)
	return e, ok
}

// Every form of compression carries the same payloads; compress:true in IDENTIFY beside a stream means the stream alone.
func TestCompression(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("zoe", true)
	for _, tt := range []struct {
		name, compress string
		identify       map[string]any
	}{
		{"none", "", nil},
		{"payload", "", map[string]any{"compress": true}},
		{"zlib-stream", "zlib-stream", nil},
		{"zlib-stream and payload", "zlib-stream", map[string]any{"compress": true}},
		{"zstd-stream", "zstd-stream", nil},
		{"zstd-stream and payload", "zstd-stream", map[string]any{"compress": true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := w.open(1, bot.Token, client.Options{Compress: tt.compress}, tt.identify)
			ctx := within(t, patience)
			for i := range 40 {
				text := fmt.Sprintf("%d: %s grüße 雀 \U0001F426", i, strings.Repeat("starling ", i*4))
				m := take[proto.Message](t)(w.owner.Say(ctx, w.general, text))
				var got proto.Message
				must(t, w.await(s.Gateway, 0, "message", says(m)).Into(&got))
				if got.Content != text || got.Timestamp.String() != m.Timestamp.String() {
					t.Fatalf("got %q at %v, want %q at %v", got.Content, got.Timestamp, text, m.Timestamp)
				}
			}
			mark := s.Mark()
			must(t, s.Heartbeat())
			w.await(s.Gateway, mark, "ACK", op(proto.OpHeartbeatAck))
			must(t, s.Close(proto.CloseNormal))
		})
	}
}

// A token may come with or without its scheme, in IDENTIFY and in RESUME, of bots and of people.
func TestTokenForms(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("tom", true)
	for _, token := range []string{bot.Token, "Bot " + bot.Token, w.person.Token, "Bearer " + w.person.Token} {
		s := w.open(0, token, client.Options{}, nil)
		if got := len(s.guilds); got != 1 {
			t.Errorf("got %d guilds, want 1", got)
		}
		s.Cut()
		mark := s.Mark()
		g := w.dial(0, client.Options{Log: s.Log})
		must(t, g.Resume(token, s.ready.SessionID, s.S()))
		w.await(g, mark, "RESUMED", event("RESUMED"))
	}
}

// People get the same READY as bots; without intents they hear everything. The shard is told even if it was not asked for.
func TestReadyOfPerson(t *testing.T) {
	w := newTown(t, plain.get(t))
	s := w.open(0, w.person.Token, client.Options{}, map[string]any{"intents": client.Drop})
	if s.ready.User.ID != w.person.User.ID || s.ready.Application.ID != s.ready.User.ID || s.ready.Shard != [2]int{0, 1} || s.ready.V != 10 {
		t.Errorf("READY: %+v", s.ready)
	}
	if want := w.m.Gateway(0); s.ready.ResumeGatewayURL != want {
		t.Errorf("resume_gateway_url %q, want %q", s.ready.ResumeGatewayURL, want)
	}
	m := take[proto.Message](t)(w.owner.Say(within(t, patience), w.general, "hello"))
	var got proto.Message
	must(t, w.await(s.Gateway, 0, "message", says(m)).Into(&got))
	if got.Content != "hello" {
		t.Errorf("content %q, want hello", got.Content)
	}
}

// Heartbeats are answered before IDENTIFY, and frames that come before the client has read HELLO are in order.
func TestEarlyFrames(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("eve", true)
	g := take[*client.Gateway](t)(client.Dial(within(t, patience), w.m.Gateway(0), client.Options{Tell: w.tell}))
	t.Cleanup(g.Cut)
	must(t, g.SendRaw(`{"d":null,"op":1}`))
	must(t, g.SendRaw(`{"op":1,"d":0}`))
	must(t, g.Identify(bot.Token, nil))
	s := w.settle(g, 0, bot.Token)
	if got := s.Count(0, op(proto.OpHeartbeatAck)); got != 2 {
		t.Errorf("got %d acks, want 2", got)
	}
	if first := s.Since(0)[0]; first.Op != int(proto.OpHello) {
		t.Errorf("first frame %v, want HELLO", first)
	}

	slow := w.dial(1, client.Options{})
	for i := range 5 {
		mark := slow.Mark()
		must(t, slow.Send(proto.OpHeartbeat, i))
		w.await(slow, mark, "ACK before IDENTIFY", op(proto.OpHeartbeatAck))
	}
}

// The gateway upgrades with and without a slash, with the query in any order, for v=9 too, and never by a redirect.
func TestGatewayPaths(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("pat", true)
	for _, tt := range []struct{ path, query string }{
		{"/gateway", "v=10&encoding=json"}, {"/gateway/", "v=10&encoding=json"}, {"/gateway/", "encoding=json&v=9"},
		{"/gateway", "encoding=json&compress=zlib-stream&v=10"}, {"/gateway", "v=9&encoding=json"},
	} {
		o := client.Options{Query: tt.query, Tell: w.tell}
		if strings.Contains(tt.query, "zlib") {
			o.Compress = "zlib-stream"
		}
		g, err := client.Dial(within(t, patience), "ws://"+w.m.Addr(0)+tt.path, o)
		if err != nil {
			t.Errorf("%s?%s: %v", tt.path, tt.query, err)
			continue
		}
		w.identify(g, bot.Token, nil)
		must(t, g.Close(proto.CloseNormal))
	}
	g, err := client.Dial(within(t, patience), w.m.Gateway(0), client.Options{Query: "v=10&encoding=etf", Tell: func(string) {}})
	var status ws.StatusError
	switch {
	case errors.As(err, &status):
		if status != http.StatusBadRequest {
			t.Errorf("encoding=etf: status %d, want 400", status)
		}
	case err == nil:
		closes(t, g, proto.CloseDecode)
	default:
		t.Errorf("encoding=etf: %v", err)
	}
}

// What a client does wrong has its close code; what it may do has none.
func TestCloseCodes(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("cleo", true)
	for _, tt := range []struct {
		name  string
		frame string
		want  proto.CloseCode
	}{
		{"bad token", `{"op":2,"d":{"token":"a.b.c","intents":1,"properties":{}}}`, proto.CloseAuthFailed},
		{"forged bot token", `{"op":2,"d":{"token":"` + bot.Token + `x","intents":1,"properties":{}}}`, proto.CloseAuthFailed},
		{"bad token in RESUME", `{"op":6,"d":{"token":"a.b.c","session_id":"x","seq":1}}`, proto.CloseAuthFailed},
		{"unknown intent", `{"op":2,"d":{"token":"` + bot.Token + `","intents":1073741824,"properties":{}}}`, proto.CloseInvalidIntents},
		{"shard out of range", `{"op":2,"d":{"token":"` + bot.Token + `","intents":1,"shard":[2,1],"properties":{}}}`, proto.CloseInvalidShard},
		{"not JSON", `{"op":`, proto.CloseDecode},
		{"too large", `{"op":1,"d":"` + strings.Repeat("x", proto.MaxFrame) + `"}`, proto.CloseDecode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := w.dial(0, client.Options{})
			must(t, g.SendRaw(tt.frame))
			closes(t, g, tt.want)
		})
	}
	t.Run("presence before IDENTIFY", func(t *testing.T) {
		g := w.dial(0, client.Options{})
		must(t, g.SendRaw(`{"op":3,"d":{"since":null,"activities":[],"status":"online","afk":false}}`))
		w.identify(g, bot.Token, nil)
	})
	t.Run("second IDENTIFY", func(t *testing.T) {
		s := w.open(0, bot.Token, client.Options{}, nil)
		must(t, s.Identify(bot.Token, nil))
		closes(t, s.Gateway, proto.CloseIdentifiedTwice)
	})
	t.Run("too many frames", func(t *testing.T) {
		s := w.open(0, bot.Token, client.Options{}, nil)
		for range 130 {
			if s.Send(proto.OpHeartbeat, nil) != nil {
				break
			}
		}
		closes(t, s.Gateway, proto.CloseRateLimited)
	})
	t.Run("allowed", func(t *testing.T) {
		s := w.open(0, bot.Token, client.Options{}, map[string]any{"presence": map[string]any{"status": "", "afk": false, "since": 0,
			"game": map[string]any{"name": "", "type": 0}, "activities": []any{}}, "capabilities": 1, "large_threshold": 250})
		must(t, s.SendRaw(`{"d":{"since":null,"activities":[],"status":"idle","afk":false},"op":3}`))
		must(t, s.SendRaw(`{"op":4,"d":{"guild_id":"1","channel_id":null,"self_mute":false,"self_deaf":false}}`))
		must(t, s.SendRaw(`{"op":31,"d":{}}`))
		must(t, s.SendRaw(`{"op":1,"d":null,"s":null,"t":null}`))
		mark := s.Mark()
		must(t, s.Heartbeat())
		w.await(s.Gateway, mark, "ACK", op(proto.OpHeartbeatAck))
	})
}

// READY and history come over TLS 1.3 with the development CA, and plain HTTP works there too.
func TestTLS(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("tess", true)
	conf := devTLS(t, w.m)
	g := take[*client.Gateway](t)(client.Dial(within(t, patience), "wss://"+w.m.TLSAddr(1)+"/gateway", client.Options{TLS: conf, Tell: w.tell}))
	t.Cleanup(g.Cut)
	s := w.identify(g, bot.Token, nil)
	m := take[proto.Message](t)(w.owner.Say(within(t, patience), w.general, "in private"))
	w.await(s.Gateway, 0, "message", says(m))

	h := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
	t.Cleanup(h.CloseIdleConnections)
	resp, err := h.Get("https://" + w.m.TLSAddr(0) + "/api/v10/gateway")
	must(t, err)
	defer resp.Body.Close()
	body := take[[]byte](t)(io.ReadAll(resp.Body))
	if resp.StatusCode != 200 || resp.TLS.Version != 0x0304 {
		t.Errorf("GET /gateway: %s, TLS %x: %s; want 200 and TLS 1.3", resp.Status, resp.TLS.Version, body)
	}
}
