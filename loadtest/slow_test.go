package loadtest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// Sally stops reading. She is closed, resumably, once too much waits for her; nobody else is late for it, and when she is back she has all
// or is told to begin anew.
func TestSlowReader(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 3*patience)
	sally, _ := w.bot("sally", true)
	quick, _ := w.bot("quick", true)
	q := w.open(0, quick.Token, client.Options{}, nil)
	s := w.open(0, sally.Token, client.Options{}, nil)
	s.Cut()
	// Her socket from now on is one that is never read, with little room in the kernel.
	conn := take[net.Conn](t)((&net.Dialer{}).DialContext(ctx, "tcp", w.m.Addr(0)))
	t.Cleanup(func() { conn.Close() })
	must(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, _, err := ws.Dialer{}.Upgrade(conn, take[*url.URL](t)(url.Parse(w.m.Gateway(0)+"?v=10&encoding=json")))
	must(t, err)
	must(t, ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte(fmt.Sprintf(`{"op":6,"d":{"token":"%s","session_id":"%s","seq":%d}}`,
		sally.Token, s.ready.SessionID, s.S()))))))

	text := strings.Repeat("x", 1900)
	var first, last proto.Message
	for i := range 3000 {
		last = take[proto.Message](t)(w.owner.Say(ctx, w.general, fmt.Sprint(i, " ", text)))
		if i == 0 {
			first = last
		}
	}
	w.await(q.Gateway, 0, "the quick reader's last message", says(last))
	if got := q.Count(0, event("MESSAGE_CREATE")); got != 3000 {
		t.Errorf("the quick reader got %d messages, want 3000", got)
	}
	mark := s.Mark()
	g := w.dial(0, client.Options{Log: s.Log})
	must(t, g.Resume(sally.Token, s.ready.SessionID, s.S()))
	e := w.await(g, mark, "RESUMED or op 9", func(e client.Event) bool { return e.T == "RESUMED" || e.Op == int(proto.OpInvalidSession) })
	if e.T == "RESUMED" && (s.Count(mark, says(first)) != 1 || s.Count(mark, event("MESSAGE_CREATE")) != 3000) {
		t.Errorf("resumed with %d messages, want 3000", s.Count(mark, event("MESSAGE_CREATE")))
	}
}
