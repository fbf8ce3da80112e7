package loadtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

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
	// Her socket from now on is one that is not read.
	conn := take[net.Conn](t)((&net.Dialer{}).DialContext(ctx, "tcp", w.m.Addr(0)))
	t.Cleanup(func() { conn.Close() })
	_, _, err := ws.Dialer{}.Upgrade(conn, take[*url.URL](t)(url.Parse(w.m.Gateway(0)+"?v=10&encoding=json")))
	must(t, err)
	must(t, ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte(fmt.Sprintf(`{"op":6,"d":{"token":"%s","session_id":"%s","seq":%d}}`,
		sally.Token, s.ready.SessionID, s.S()))))))

	// More than the 16 MiB that may wait for a connection.
	const writers, each = 8, 375
	text := strings.Repeat("\U0001F426", 1990)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				if _, err := w.owner.At(w.m.HTTP(i%2)).Say(ctx, w.general, text); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	last := take[proto.Message](t)(w.owner.Say(ctx, w.general, "last"))
	w.await(q.Gateway, 0, "the quick reader's last message", says(last))
	if got := q.Count(0, event("MESSAGE_CREATE")); got != writers*each+1 {
		t.Errorf("the quick reader got %d messages, want %d", got, writers*each+1)
	}
	t.Logf("%d messages in %v", writers*each, time.Since(began).Round(time.Millisecond))
	// What the kernel holds for her is still read, then comes the end.
	must(t, conn.SetReadDeadline(time.Now().Add(patience)))
	n, err := io.Copy(io.Discard, conn)
	t.Logf("sally could still read %d bytes, then %v", n, err)
	if errors.Is(err, os.ErrDeadlineExceeded) || n > 16<<20 {
		t.Errorf("sally, who did not read, was not closed: she could still read %d bytes (%v)", n, err)
	}
	mark := s.Mark()
	g := w.dial(0, client.Options{Log: s.Log})
	must(t, g.Resume(sally.Token, s.ready.SessionID, s.S()))
	e := w.await(g, mark, "RESUMED or op 9", func(e client.Event) bool { return e.T == "RESUMED" || e.Op == int(proto.OpInvalidSession) })
	if got := s.Count(mark, event("MESSAGE_CREATE")); e.T == "RESUMED" && got != writers*each+1 {
		t.Errorf("resumed with %d messages, want %d", got, writers*each+1)
	}
}
