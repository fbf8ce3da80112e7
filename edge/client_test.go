package edge

import (
	"context"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
)

// A deaf Conn takes everything.
type deafConn struct{ code proto.CloseCode }

func (*deafConn) Queue([]byte) bool            { return true }
func (*deafConn) Waiting() int                 { return 0 }
func (d *deafConn) Close(code proto.CloseCode) { d.code = code }

func (d *deafConn) CloseRetry(code proto.CloseCode, _ time.Duration) { d.code = code }

func FuzzOnFrame(f *testing.F) {
	for _, s := range []string{`{"op":1,"d":null}`, `{"op":2,"d":{"token":"Bot MTIz.a.b","intents":513,"shard":[0,1],"properties":{}}}`,
		`{"op":6,"d":{"token":"MTIz.a.b","session_id":"x","seq":5}}`, `{"op":8,"d":{"guild_id":["1"],"user_ids":[1,"2"],"query":"","limit":0}}`,
		`{"d":{},"op":3}`, `{"op":1e3}`, `[]`, `{"op":9007199254740993}`} {
		f.Add([]byte(s))
	}
	k := newConstants(41250)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > proto.MaxFrame {
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		l := &loop{ctx: ctx, constants: k, inbox: make(chan message, 1), cores: &cores{}, guesses: &guesses{now: time.Now}}
		conn := &deafConn{}
		c := &client{loop: l, conn: conn, compress: transport.Plain}
		c.OnFrame(conn, frame)
		switch conn.code {
		case 0, proto.CloseDecode, proto.CloseUnknownOpcode, proto.CloseAuthFailed, proto.CloseInvalidIntents, proto.CloseInvalidShard,
			proto.CloseNotIdentified:
		default:
			t.Fatalf("closed with %d", conn.code)
		}
	})
}

func TestBareToken(t *testing.T) {
	for in, want := range map[string]string{"a.b.c": "a.b.c", "Bot a.b.c": "a.b.c", "bearer  a.b.c ": "a.b.c", "Bot ": "Bot", "": ""} {
		if got := bareToken(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestClaimedUser(t *testing.T) {
	for token, want := range map[string]proto.ID{"MTIz.a.b": 123, "MTIz.a.": 0, "MTIz.a": 0, "MTIz==.a.b": 0, "MA.a.b": 0, "eyJ9.eyJzdWIiOiI0NTYifQ.s": 456,
		"eyJ9.e30.s": 0, "...": 0, "": 0} {
		if got, ok := claimedUser(token); got != want || ok != (want != 0) {
			t.Errorf("%q: got %d %v, want %d", token, got, ok, want)
		}
	}
}

func TestGatewayURL(t *testing.T) {
	for public, want := range map[string]string{"http://127.0.0.1:80": "ws://127.0.0.1:80/gateway", "https://chat.example/": "wss://chat.example/gateway",
		"ws://x": "", "x:1": "", "http://": ""} {
		if got, err := gatewayURL(public); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", public, got, err)
		}
	}
}
