package loadtest

import (
	"fmt"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// Rita's socket is cut while others write. RESUME gives her each message once, in order, then RESUMED with an object and an s.
func TestResume(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("rita", true)
	for _, compress := range []string{"", "zlib-stream", "zstd-stream"} {
		t.Run("compress="+compress, func(t *testing.T) {
			ctx := within(t, patience)
			s := w.open(0, bot.Token, client.Options{Compress: compress}, nil)
			var sent []proto.Message
			say := func(n int) {
				for range n {
					sent = append(sent, take[proto.Message](t)(w.owner.At(w.m.HTTP(len(sent)%2)).Say(ctx, w.general, fmt.Sprint(len(sent)))))
				}
			}
			g := s.Gateway
			for round := range 3 {
				say(5)
				w.await(g, 0, "live message", says(sent[len(sent)-1]))
				say(2) // perhaps read, perhaps not
				g.Cut()
				say(5)
				mark := s.Mark()
				g = w.dial(0, client.Options{Compress: compress, Log: s.Log})
				must(t, g.Resume("Bot "+bot.Token, s.ready.SessionID, s.S()))
				resumed := w.await(g, mark, "RESUMED", event("RESUMED"))
				if round == 2 {
					must(t, g.Send(proto.OpHeartbeat, resumed.S))
				}
			}
			say(3)
			w.await(g, 0, "message after RESUMED", says(sent[len(sent)-1]))
			var got []proto.ID
			for _, e := range s.Since(0) {
				var m proto.Message
				if e.T == "MESSAGE_CREATE" && e.Into(&m) == nil {
					got = append(got, m.ID)
				}
			}
			if len(got) != len(sent) {
				t.Errorf("got %d messages, want %d", len(got), len(sent))
			}
			for i := range min(len(got), len(sent)) {
				if got[i] != sent[i].ID {
					t.Fatalf("message %d: got %s, want %s", i, got[i], sent[i].ID)
				}
			}
		})
	}
}

// A session that cannot be resumed is told so on an open socket, which then takes an IDENTIFY.
func TestInvalidSession(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("ivan", true)
	other, _ := w.bot("mallory", true)
	s := w.open(0, bot.Token, client.Options{}, nil)
	for _, tt := range []struct {
		name, token, id string
		seq             int64
	}{
		{"unknown session", bot.Token, "nobody-knows-this-one", 1},
		{"somebody else's session", other.Token, s.ready.SessionID, s.S()},
		{"seq ahead of the server", bot.Token, s.ready.SessionID, s.S() + 1_000_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := w.dial(0, client.Options{})
			must(t, g.Resume(tt.token, tt.id, tt.seq))
			e := w.await(g, 0, "op 9", op(proto.OpInvalidSession))
			if string(e.D) != "false" {
				t.Errorf("op 9 with %s, want false", e.D)
			}
			again := w.identify(g, tt.token, nil)
			m := take[proto.Message](t)(w.owner.Say(within(t, patience), w.general, tt.name))
			w.await(again.Gateway, 0, "message on the same socket", says(m))
		})
	}
}

// A RESUME while the old socket still lives closes that one: nothing arrives twice.
func TestResumeClosesOldSocket(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("otto", true)
	s := w.open(0, bot.Token, client.Options{}, nil)
	g := w.dial(0, client.Options{Log: client.NewLog(w.tell)})
	must(t, g.Resume(bot.Token, s.ready.SessionID, s.S()))
	w.await(g, 0, "RESUMED", event("RESUMED"))
	if code, err := s.Closed(within(t, patience)); code == 0 {
		t.Errorf("old socket: %v", err)
	}
	m := take[proto.Message](t)(w.owner.Say(within(t, patience), w.general, "once"))
	w.await(g, 0, "message", says(m))
	if got := s.Count(0, says(m)); got != 0 {
		t.Errorf("the old socket got the message as well")
	}
}
