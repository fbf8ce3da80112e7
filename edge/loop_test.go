package edge

import (
	"testing"
	"time"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay"
)

// An edge that numbers on and on: new sessions begin low again, and an old one is told to identify anew before s leaves the lower half of 31 bits.
func TestNumbersStayInTheirHalf(t *testing.T) {
	now := time.Now()
	cfg := Config{HeartbeatInterval: time.Minute, IdentifyTimeout: time.Minute, SessionLife: time.Minute}
	l := &loop{cfg: &cfg, constants: newConstants(1), interest: &interest{reader: &relay.Reader{}, held: map[int]int{}}, now: func() time.Time { return now },
		gen: &generation{}, encoder: &encoder{}, clients: map[*client]struct{}{}, sessions: map[string]*session{}, users: map[proto.ID]*user{}, beat: time.Now}
	l.reporter, l.herald = newReporter(l), &herald{loop: l}
	conn := &deafConn{}
	c := &client{loop: l, conn: conn, compress: transport.Plain, opened: now, phase: live}
	c.lastBeat.Store(now.UnixNano())
	s := &session{id: "x", gen: l.gen, client: c, ring: ring{maxEvents: 10, maxBytes: 1000}}
	c.session, l.sessions["x"], l.clients[c] = s, s, struct{}{}

	l.index = generationSpan/2 + 10
	l.give(s, &event{kind: "A", body: []byte("{}")})
	l.tick()
	if l.gen == s.gen || l.gen.base != l.index {
		t.Fatalf("new sessions begin at base %d, index %d", l.gen.base, l.index)
	}
	if s.dropped || c.session != s {
		t.Fatal("the old session is gone too soon")
	}
	l.index = generationSpan - 1<<20
	l.give(s, &event{kind: "A", body: []byte("{}")})
	if n := s.last - s.gen.base; n >= 1<<30 {
		t.Fatalf("s is %d", n)
	}
	l.tick()
	if !s.dropped || c.session != nil || c.phase != fresh || conn.code != 0 {
		t.Fatalf("dropped %v, phase %d, closed %d; want op 9 on the open socket", s.dropped, c.phase, conn.code)
	}
}
