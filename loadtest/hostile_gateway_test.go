package loadtest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A rawSocket is a gateway connection that sends bytes as they are.
type rawSocket struct {
	net.Conn
	t *testing.T
}

func (w *town) raw(t *testing.T, edge int) rawSocket {
	t.Helper()
	c, br, _, err := ws.Dial(within(t, patience), w.m.Gateway(edge)+"?v=10&encoding=json")
	must(t, err)
	if br != nil { // HELLO came with the handshake
		c = &joined{c, io.MultiReader(io.LimitReader(br, int64(br.Buffered())), c)}
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return rawSocket{c, t}
}

type joined struct {
	net.Conn
	r io.Reader
}

func (j *joined) Read(p []byte) (int, error) { return j.r.Read(p) }

// frame masks and sends one frame.
func (s rawSocket) frame(f ws.Frame) {
	ws.WriteFrame(s.Conn, ws.MaskFrame(f)) // the other end may have closed already: what it said is judged
}

func (s rawSocket) text(p string) { s.frame(ws.NewTextFrame([]byte(p))) }

// closed reads until the server's close frame and gives its code; CloseAbnormal where TCP ended without one.
func (s rawSocket) closed() proto.CloseCode {
	for {
		f, err := ws.ReadFrame(s.Conn)
		if err != nil {
			return proto.CloseAbnormal
		}
		if f.Header.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(f.Payload)
			s.frame(ws.NewCloseFrame(f.Payload))
			return proto.CloseCode(code)
		}
	}
}

// lives tells whether the connection still answers heartbeats.
func (s rawSocket) lives() bool {
	s.text(`{"op":1,"d":null}`)
	for {
		f, err := ws.ReadFrame(s.Conn)
		if err != nil || f.Header.OpCode == ws.OpClose {
			return false
		}
		if bytes.Contains(f.Payload, []byte(`"op":11`)) {
			return true
		}
	}
}

const stays proto.CloseCode = 0 // the connection stays open

// Frames that no client sends close the connection with the code that says why, or change nothing; an honest session beside does not notice.
func TestHostileFrames(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("fay", true)
	other, _ := w.bot("gil", true)
	honest := w.open(0, bot.Token, client.Options{}, nil)
	text := func(p string) func(rawSocket) { return func(s rawSocket) { s.text(p) } }
	identify := func(d string) func(rawSocket) {
		return text(`{"op":2,"d":{"token":"` + other.Token + `","properties":{},` + d + `}}`)
	}
	bytesOf := func(b ...byte) func(rawSocket) { return func(s rawSocket) { s.Write(b) } }
	var bomb bytes.Buffer
	z := zlib.NewWriter(&bomb)
	z.Write(make([]byte, 3<<20))
	z.Close()
	for _, tt := range []struct {
		what string
		send func(rawSocket)
		want proto.CloseCode
	}{
		{"op is a string", text(`{"op":"1","d":null}`), proto.CloseUnknownOpcode},
		{"op is a fraction", text(`{"op":1.5}`), proto.CloseUnknownOpcode},
		{"op is null", text(`{"op":null}`), proto.CloseUnknownOpcode},
		{"op is missing", text(`{"d":{}}`), proto.CloseUnknownOpcode},
		{"op is huge", text(`{"op":9007199254740993}`), proto.CloseUnknownOpcode},
		{"op is 1e3", text(`{"op":1e3}`), proto.CloseUnknownOpcode},
		{"unknown op", text(`{"op":99,"d":{}}`), stays},
		{"negative op", text(`{"op":-1,"d":{}}`), stays},
		{"op of the server", text(`{"op":10,"d":{}}`), stays},
		{"a dispatch", text(`{"op":0,"t":"MESSAGE_CREATE","s":1,"d":{}}`), stays},
		{"duplicate keys", text(`{"op":99,"op":1,"d":1,"d":2}`), stays},
		{"heartbeat of any kind", text(`{"op":1,"d":{"x":[1,"2",null]}}`), stays},
		{"a list", text(`[1]`), proto.CloseDecode},
		{"a number", text(`1`), proto.CloseDecode},
		{"nothing", text(``), proto.CloseDecode},
		{"no JSON", text(`{"op":1,}`), proto.CloseDecode},
		{"two values", text(`{"op":1}{"op":1}`), proto.CloseDecode},
		{"deep", text(`{"op":1,"d":` + strings.Repeat("[", 1900) + strings.Repeat("]", 1900) + `}`), stays},
		{"deep and open", text(`{"op":1,"d":` + strings.Repeat("[", 4000)), proto.CloseDecode},
		{"deep IDENTIFY", text(`{"op":2,"d":` + strings.Repeat("[", 1900) + strings.Repeat("]", 1900) + `}`), proto.CloseDecode},
		{"5,000 bytes", text(`{"op":1,"d":"` + strings.Repeat("x", 5000) + `"}`), proto.CloseDecode},
		{"bad UTF-8", text("{\"op\":1,\"d\":\"\xff\"}"), 1007},
		{"surrogates", text(`{"op":1,"d":"\ud800"}`), stays},
		{"binary JSON", func(s rawSocket) { s.frame(ws.NewBinaryFrame([]byte(`{"op":1,"d":null}`))) }, stays},
		{"compression bomb", func(s rawSocket) { s.frame(ws.NewBinaryFrame(bomb.Bytes())) }, proto.CloseDecode},
		{"compressed frame", func(s rawSocket) {
			f := ws.NewTextFrame(bomb.Bytes()[:100])
			f.Header.Rsv = ws.Rsv(true, false, false)
			s.frame(f)
		}, proto.CloseProtocol},
		{"unmasked", func(s rawSocket) { ws.WriteFrame(s.Conn, ws.NewTextFrame([]byte(`{"op":1}`))) }, proto.CloseProtocol},
		{"reserved opcode", bytesOf(0x83, 0x80, 1, 2, 3, 4), proto.CloseProtocol},
		{"2^63 bytes", bytesOf(0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4), proto.CloseProtocol},
		{"2^62 bytes", bytesOf(0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4), proto.CloseDecode},
		{"long ping", bytesOf(append([]byte{0x89, 0xfe, 0, 200}, make([]byte, 204)...)...), proto.CloseProtocol},
		{"ping in pieces", bytesOf(0x09, 0x80, 1, 2, 3, 4), proto.CloseProtocol},
		{"close of one byte", bytesOf(0x88, 0x81, 0, 0, 0, 0, 3), proto.CloseProtocol},
		{"close with a code that is none", func(s rawSocket) { s.frame(ws.NewCloseFrame(binary.BigEndian.AppendUint16(nil, 1005))) }, proto.CloseProtocol},
		{"continuation of nothing", bytesOf(0x80, 0x80, 1, 2, 3, 4), proto.CloseProtocol},
		{"empty fragments without end", func(s rawSocket) {
			s.Write(append([]byte{0x01, 0x80, 0, 0, 0, 0}, bytes.Repeat([]byte{0x00, 0x80, 0, 0, 0, 0}, 500)...))
		}, proto.CloseDecode},
		{"fragments beyond the size", func(s rawSocket) {
			piece := append([]byte{0x00, 0xfe, 0x03, 0xe8, 0, 0, 0, 0}, bytes.Repeat([]byte(" "), 1000)...)
			s.Write([]byte{0x01, 0x80, 0, 0, 0, 0})
			for range 6 {
				s.Write(piece)
			}
		}, proto.CloseDecode},
		{"ping flood", func(s rawSocket) { s.Write(bytes.Repeat([]byte{0x89, 0x80, 0, 0, 0, 0}, 300)) }, proto.CloseRateLimited},
		{"frame flood", func(s rawSocket) {
			for range 200 {
				s.text(`{"op":1,"d":null}`)
			}
		}, proto.CloseRateLimited},
		{"token is a number", text(`{"op":2,"d":{"token":5}}`), proto.CloseDecode},
		{"no d", text(`{"op":2}`), proto.CloseDecode},
		{"d is null", text(`{"op":2,"d":null}`), proto.CloseAuthFailed},
		{"intents are a string", identify(`"intents":"x"`), proto.CloseDecode},
		{"intents are huge", identify(`"intents":9223372036854775808`), proto.CloseDecode},
		{"intents are negative", identify(`"intents":-1`), proto.CloseInvalidIntents},
		{"shard of nothing", identify(`"intents":1,"shard":[0,0]`), proto.CloseInvalidShard},
		{"negative shard", identify(`"intents":1,"shard":[-1,1]`), proto.CloseInvalidShard},
		{"2^30 shards", identify(`"intents":1,"shard":[0,1073741824]`), proto.CloseInvalidShard},
		{"shard is an object", identify(`"intents":1,"shard":{}`), proto.CloseDecode},
		{"large_threshold is huge", identify(`"intents":1,"large_threshold":2147483647`), stays},
		{"RESUME without anything", text(`{"op":6,"d":{}}`), proto.CloseAuthFailed},
		{"RESUME by a number", text(`{"op":6,"d":{"token":"` + other.Token + `","session_id":7,"seq":1}}`), proto.CloseDecode},
		{"RESUME of another's session", text(fmt.Sprintf(`{"op":6,"d":{"token":"%s","session_id":"%s","seq":1}}`, other.Token, honest.ready.SessionID)), stays},
		{"RESUME far ahead", text(fmt.Sprintf(`{"op":6,"d":{"token":"%s","session_id":"x","seq":9223372036854775807}}`, other.Token)), stays},
		{"RESUME below zero", text(fmt.Sprintf(`{"op":6,"d":{"token":"%s","session_id":"x","seq":-9223372036854775808}}`, other.Token)), stays},
		{"op 8 before IDENTIFY", text(`{"op":8,"d":{"guild_id":"1"}}`), proto.CloseNotIdentified},
	} {
		t.Run(tt.what, func(t *testing.T) {
			s := w.raw(t, 0)
			tt.send(s)
			if tt.want == stays {
				if !s.lives() {
					t.Error("the connection is dead")
				}
				return
			}
			if got := s.closed(); got != tt.want {
				t.Errorf("closed with %v, want %v", got, tt.want)
			}
		})
	}
	m := take[proto.Message](t)(w.owner.Say(within(t, patience), w.general, "still here"))
	w.await(honest.Gateway, 0, "message", says(m))
}

// An identified session asks for what is none of its business: it hears nothing, and breaks nothing.
func TestHostileRequests(t *testing.T) {
	s := newSiege(t, newTown(t, plain.get(t)))
	g := s.open(1, s.person.Token, client.Options{}, nil)
	mark := g.Mark()
	for _, frame := range []string{
		fmt.Sprintf(`{"op":8,"d":{"guild_id":"%s","query":"","limit":0}}`, s.guild.ID),
		fmt.Sprintf(`{"op":8,"d":{"guild_id":"%s","user_ids":["%s"]}}`, s.guild.ID, s.town.person.User.ID),
		`{"op":8,"d":{"guild_id":"4611686018427387904","query":"a","limit":-99999999}}`,
		`{"op":8,"d":{}}`,
		`{"op":4,"d":{"guild_id":"` + s.guild.ID.String() + `","channel_id":"` + s.general.String() + `"}}`,
		`{"op":14,"d":{"guild_id":"` + s.guild.ID.String() + `","channels":{}}}`,
		`{"op":31,"d":[]}`,
	} {
		must(t, g.SendRaw(frame))
	}
	own := take[proto.Message](t)(s.eve.Say(within(t, patience), s.eves, "mine"))
	s.await(g.Gateway, mark, "her own message", says(own))
	for _, e := range g.Since(mark) {
		if strings.Contains(string(e.D), s.guild.ID.String()) || strings.Contains(string(e.D), s.town.person.User.ID.String()) {
			t.Errorf("Eve hears of the town: %v", e)
		}
	}
	for _, frame := range []string{`{"op":8,"d":{"guild_id":["1","2"]}}`, `{"op":8,"d":{"guild_id":{}}}`, `{"op":8,"d":{"guild_id":"1","user_ids":{"a":1}}}`,
		`{"op":8,"d":{"guild_id":"1","limit":1e30}}`} {
		h := s.open(0, s.person.Token, client.Options{}, nil)
		must(t, h.SendRaw(frame))
		closes(t, h.Gateway, proto.CloseDecode)
	}
}
