package loadtest

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// Wanda's client goes from edge to edge, as anycast would send it: its socket is cut, or its edge is killed, while others write. Each time it
// resumes elsewhere, by nothing but session_id and s, and gets each message once, in order.
func TestResumeElsewhere(t *testing.T) {
	w := newTown(t, own(t, mesh.Options{Edges: 3, Processes: true, Args: []string{"--restart"}}))
	bot, _ := w.bot("wanda", true)
	s := w.open(0, bot.Token, client.Options{}, nil)
	ctx := within(t, 3*patience)
	var sent []proto.Message
	writer := 1
	say := func(n int) {
		for range n {
			sent = append(sent, take[proto.Message](t)(w.owner.At(w.m.HTTP(writer)).Say(ctx, w.general, fmt.Sprint(len(sent)))))
		}
	}
	g := s.Gateway
	way := []int{0, 1, 2, 0, 2, 1, 0}
	for round, at := range way[1:] {
		must(t, w.m.Ready(ctx)) // whoever was killed is back
		say(5)
		w.await(g, 0, "live message", says(sent[len(sent)-1]))
		say(2) // perhaps read, perhaps not
		writer = at
		if round%2 == 0 {
			g.Cut()
		} else {
			must(t, w.m.Signal(fmt.Sprint("edge-", 1+way[round]), syscall.SIGKILL))
		}
		say(5)
		mark := s.Mark()
		g = w.dial(at, client.Options{Log: s.Log})
		must(t, g.Resume("Bot "+bot.Token, s.ready.SessionID, s.S()))
		w.await(g, mark, fmt.Sprintf("RESUMED at edge %d", at+1), event("RESUMED"))
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
	if n := s.Count(0, event("READY")); n != 1 {
		t.Errorf("identified %d times", n)
	}
}
