package edge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/edge/edgetest"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a mesh with one edge, where Alice owns a guild that Bob's bot is in.
type world struct {
	mesh       *relaytest.Mesh
	core       *edgetest.Core
	edge       *edgetest.Edge
	alice, bob *edgetest.User
	guild      *proto.Guild
	general    *proto.Channel
}

func newWorld(t *testing.T, alter func(*edge.Config)) *world {
	w := &world{mesh: relaytest.Start(t, 1)}
	w.core = edgetest.StartCore(t, w.mesh)
	w.alice, w.bob = w.core.AddPerson("alice", 7), w.core.AddBot("bob", 8)
	w.guild = w.core.AddGuild(9, w.alice, w.bob)
	general := w.guild.Channels[0]
	w.general = &general
	w.edge = edgetest.StartEdge(t, w.mesh, 0, alter)
	t.Cleanup(func() {
		var err error
		relaytest.Until(t, "tables agree", func() bool {
			err = w.edge.Check()
			return err == nil || strings.Contains(err.Error(), "edge:") // those of the reader settle with the next digest
		})
		if err != nil && !strings.Contains(err.Error(), "stopped") {
			t.Errorf("tables: %v", err)
		}
	})
	return w
}

func (w *world) dial(t *testing.T) *edgetest.Client {
	return edgetest.Dial(t, w.edge.GatewayURL()+"/?v=10&encoding=json")
}

// login identifies and waits for the one guild.
func (w *world) login(t *testing.T, u *edgetest.User, extra map[string]any) (*edgetest.Client, proto.GuildCreate) {
	t.Helper()
	c := w.dial(t)
	c.Identify(u.Token, extra)
	var g proto.GuildCreate
	c.Expect(proto.EventGuildCreate, &g)
	return c, g
}

func expectMessage(t *testing.T, c *edgetest.Client, content string) {
	t.Helper()
	var m proto.Message
	c.Expect(proto.EventMessageCreate, &m)
	if m.Content != content {
		t.Fatalf("message %q, want %q", m.Content, content)
	}
}

func TestReadyThenGuildThenMessages(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial(t)
	ready := c.Identify("Bot "+w.bob.Token, nil)
	if ready.User.ID != w.bob.ID || len(ready.Guilds) != 1 || !ready.Guilds[0].Unavailable || ready.Shard != [2]int{0, 1} ||
		ready.ResumeGatewayURL != w.edge.GatewayURL() || ready.SessionID == "" || len(ready.SessionID) > 64 || ready.Application.ID != w.bob.ID {
		t.Fatalf("READY %+v", ready)
	}
	var g proto.GuildCreate
	f := c.Expect(proto.EventGuildCreate, &g)
	if len(g.Channels) != 1 || len(g.Members) != 2 || g.MemberCount != 2 || g.Large {
		t.Fatalf("GUILD_CREATE %s", f.D)
	}
	var keys map[string]json.RawMessage
	json.Unmarshal(f.D, &keys)
	for _, k := range []string{"roles", "emojis", "stickers", "channels", "threads", "members", "presences", "voice_states", "stage_instances",
		"guild_scheduled_events", "soundboard_sounds", "features"} {
		if v := string(keys[k]); !strings.HasPrefix(v, "[") {
			t.Errorf("GUILD_CREATE: %s is %q, want a list", k, v)
		}
	}
	if v := string(keys["unavailable"]); v != "false" {
		t.Errorf("GUILD_CREATE: unavailable is %q", v)
	}
	w.core.Say(w.general, w.alice, "hello")
	expectMessage(t, c, "hello")
	w.core.Typing(w.general, w.alice)
	c.Expect(proto.EventTypingStart, nil)
	w.core.Say(w.general, w.bob, "my own")
	expectMessage(t, c, "my own")
}

func TestHeartbeatBeforeIdentify(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial(t)
	c.SendText(`{"d":null,"op":1}`)
	if f := c.ExpectOp(proto.OpHello); !strings.Contains(string(f.D), `"heartbeat_interval":41250`) {
		t.Fatalf("HELLO %s", f.D)
	}
	c.ExpectOp(proto.OpHeartbeatAck)
	c.IdentifyAgain(w.bob.Token, nil)
}

func TestCompressedStreams(t *testing.T) {
	w := newWorld(t, nil)
	for _, query := range []string{"/?encoding=json&v=9&compress=zlib-stream", "?compress=zstd-stream&v=10&encoding=json", "?v=9"} {
		c := edgetest.Dial(t, w.edge.GatewayURL()+query)
		c.Identify(w.bob.Token, nil)
		c.Expect(proto.EventGuildCreate, nil)
		for i := range 20 {
			w.core.Say(w.general, w.alice, strings.Repeat(fmt.Sprint("message ", i), 1+i*9))
			expectMessage(t, c, strings.Repeat(fmt.Sprint("message ", i), 1+i*9))
		}
	}
}

func TestResume(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.bob, nil)
	// A second witness, so that the messages are known to have passed through the edge.
	seen, _ := w.login(t, w.alice, nil)
	w.core.Say(w.general, w.alice, "before")
	expectMessage(t, c, "before")
	expectMessage(t, seen, "before")
	c.Cut()
	for i := range 50 {
		w.core.Say(w.general, w.alice, fmt.Sprint("missed ", i))
		expectMessage(t, seen, fmt.Sprint("missed ", i))
	}
	w.core.Say(w.general, w.alice, "last")
	expectMessage(t, seen, "last")

	d := w.dial(t)
	d.Resume("Bot "+w.bob.Token, c.Session, c.Seq)
	for i := range 50 {
		expectMessage(t, d, fmt.Sprint("missed ", i))
	}
	expectMessage(t, d, "last")
	if f := d.Expect(proto.EventResumed, nil); string(f.D) != "{}" {
		t.Fatalf("RESUMED %s", f.D)
	}
	w.core.Say(w.general, w.alice, "live")
	expectMessage(t, d, "live")

	// Twice on a live session: the old socket goes, and nothing is doubled.
	e := w.dial(t)
	e.Resume(w.bob.Token, d.Session, d.Seq)
	e.Expect(proto.EventResumed, nil)
	d.ExpectClose(proto.CloseUnknown)
	w.core.Say(w.general, w.alice, "once")
	expectMessage(t, e, "once")
}

func TestInvalidSessionThenIdentifyOnTheSameSocket(t *testing.T) {
	w := newWorld(t, nil)
	alice, _ := w.login(t, w.alice, nil)
	for name, try := range map[string]struct {
		session string
		seq     int64
	}{
		"unknown session": {"nonesuch", 1}, "somebody else's": {alice.Session, 1}, "ahead": {"own", 1 << 20}, "negative": {"own", -5},
		"beyond int32": {"own", 1 << 62},
	} {
		own, _ := w.login(t, w.bob, nil)
		own.Cut()
		if try.session == "own" {
			try.session = own.Session
		}
		c := w.dial(t)
		c.Resume(w.bob.Token, try.session, try.seq)
		if f := c.ExpectOp(proto.OpInvalidSession); string(f.D) != "false" {
			t.Fatalf("%s: op 9 %s", name, f.D)
		}
		c.Seq = 0
		c.IdentifyAgain(w.bob.Token, nil)
		c.Expect(proto.EventGuildCreate, nil)
	}
	bad := w.dial(t)
	bad.Resume("MTIz.x.y", alice.Session, 1)
	bad.ExpectClose(proto.CloseAuthFailed)
	if w.core.Say(w.general, w.alice, "alice is still here"); true {
		expectMessage(t, alice, "alice is still here")
	}
}

func TestSessionOutlivesEveryClose(t *testing.T) {
	w := newWorld(t, nil)
	for _, code := range []proto.CloseCode{1000, 1001, 1012, 4000, 4900, 3000} {
		c, _ := w.login(t, w.bob, nil)
		c.Close(code)
		c.ExpectClose(code) // the echo
		d := w.dial(t)
		d.Resume(w.bob.Token, c.Session, c.Seq)
		d.Expect(proto.EventResumed, nil)
		d.Cut()
	}
}

func TestCloseCodes(t *testing.T) {
	w := newWorld(t, nil)
	identify := func(extra string) string {
		return fmt.Sprintf(`{"op":2,"d":{"token":%q,"properties":{}%s}}`, w.bob.Token, extra)
	}
	for name, try := range map[string]struct {
		query, text string
		code        proto.CloseCode
	}{
		"bad token":        {"", `{"op":2,"d":{"token":"MTIz.a.b"}}`, proto.CloseAuthFailed},
		"no token":         {"", `{"op":2,"d":{"token":""}}`, proto.CloseAuthFailed},
		"unknown intents":  {"", identify(`,"intents":131072`), proto.CloseInvalidIntents},
		"negative intents": {"", identify(`,"intents":-1`), proto.CloseInvalidIntents},
		"shard":            {"", identify(`,"shard":[2,2]`), proto.CloseInvalidShard},
		"short shard":      {"", identify(`,"shard":[0]`), proto.CloseInvalidShard},
		"op is text":       {"", `{"op":"2","d":{}}`, proto.CloseUnknownOpcode},
		"op is a fraction": {"", `{"op":1.5}`, proto.CloseUnknownOpcode},
		"no object":        {"", `[1,2]`, proto.CloseDecode},
		"no JSON":          {"", `{"op":`, proto.CloseDecode},
		"too large":        {"", `{"op":1,"d":"` + strings.Repeat("x", 4096) + `"}`, proto.CloseDecode},
		"version":          {"?v=7", `{"op":1}`, proto.CloseInvalidVersion},
		"encoding":         {"?v=10&encoding=etf", `{"op":1}`, proto.CloseDecode},
	} {
		t.Run(name, func(t *testing.T) {
			c := edgetest.Dial(t, w.edge.GatewayURL()+try.query)
			c.SendText(try.text)
			c.ExpectClose(try.code)
		})
	}
	t.Run("identify twice", func(t *testing.T) {
		c, _ := w.login(t, w.bob, nil)
		c.SendText(identify(""))
		c.ExpectClose(proto.CloseIdentifiedTwice)
	})
	t.Run("120 frames pass, 121 do not", func(t *testing.T) {
		c := w.dial(t)
		for range 120 {
			c.SendText(`{"op":1,"d":null}`)
		}
		c.ExpectOp(proto.OpHello)
		for range 120 {
			c.ExpectOp(proto.OpHeartbeatAck)
		}
		c.SendText(`{"op":1,"d":null}`)
		c.ExpectClose(proto.CloseRateLimited)
	})
}

func TestOddButAllowedFrames(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.bob, map[string]any{"shard": []int{0, 1}, "large_threshold": 50, "capabilities": 1,
		"presence": map[string]any{"status": "", "game": map[string]any{}}})
	for _, s := range []string{`{"op":3,"d":{"since":null,"activities":[],"status":"online","afk":false}}`, `{"op":4,"d":{}}`, `{"op":31}`,
		`{"op":-7,"d":[]}`, `{"d":251,"op":1}`} {
		c.SendText(s)
	}
	c.ExpectOp(proto.OpHeartbeatAck)
}

func TestIntentsAndContent(t *testing.T) {
	w := newWorld(t, nil)
	without, _ := w.login(t, w.bob, map[string]any{"intents": proto.IntentGuilds | proto.IntentGuildMessages})
	none, _ := w.login(t, w.bob, map[string]any{"intents": proto.IntentGuilds})
	w.core.Say(w.general, w.alice, "secret")
	expectMessage(t, without, "")
	w.core.Say(w.general, w.bob, "own")
	expectMessage(t, without, "own")
	w.core.Say(w.general, w.alice, "@bob look", w.bob)
	expectMessage(t, without, "@bob look")
	none.SendText(`{"op":1,"d":1}`)
	none.ExpectOp(proto.OpHeartbeatAck) // no message before
}

func TestRevokedTokensClose(t *testing.T) {
	w := newWorld(t, nil)
	bob, _ := w.login(t, w.bob, nil)
	alice, _ := w.login(t, w.alice, nil)
	w.core.ResetToken(w.bob)
	bob.ExpectClose(proto.CloseAuthFailed)
	w.core.Revoke(w.alice)
	alice.ExpectClose(proto.CloseAuthFailed)
	c := w.dial(t)
	c.Resume(w.bob.Token, bob.Session, bob.Seq)
	c.ExpectClose(proto.CloseAuthFailed)
}

func TestDrain(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.bob, nil)
	stopped := make(chan error, 1)
	go func() { stopped <- w.edge.Stop() }()
	c.ExpectOp(proto.OpReconnect)
	c.ExpectClose(proto.CloseRestart)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if w.edge.Healthy() == nil {
		t.Fatal("healthy after the drain")
	}
}

func TestManyIdentifiesFewCalls(t *testing.T) {
	w := newWorld(t, nil)
	var clients []*edgetest.Client
	for range 40 {
		clients = append(clients, w.dial(t))
	}
	for _, c := range clients {
		c.Send(proto.OpIdentify, map[string]any{"token": w.bob.Token})
	}
	for _, c := range clients {
		c.ExpectOp(proto.OpHello)
		c.Expect(proto.EventReady, nil)
		c.Expect(proto.EventGuildCreate, nil)
	}
	if n := w.core.Calls("guild"); n != 1 {
		t.Errorf("%d guild calls, want 1", n)
	}
	relaytest.Until(t, "edge is healthy", func() bool { return w.edge.Healthy() == nil })
}

func decode(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}
