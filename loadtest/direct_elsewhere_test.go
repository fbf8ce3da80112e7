package loadtest

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// Ben's client goes from edge to edge while Ann writes to him, and while he closes the channel at another device, so that her next message brings it
// back: his client is told all of it, once and in order, also what happened between two sockets.
func TestDirectElsewhere(t *testing.T) {
	w := newTown(t, own(t, mesh.Options{Edges: 3, Processes: true, Args: []string{"--restart"}}))
	ctx := within(t, 3*patience)
	_, annREST := w.human("ann")
	ben, benREST := w.human("ben")
	s := w.open(0, ben.Token, client.Options{}, nil)
	ch := take[proto.DirectChannel](t)(direct(ctx, annREST, ben.User.ID))
	want := []string{"CHANNEL_CREATE"}
	writer, said := 1, 0
	say := func(n int) {
		for range n {
			m := take[proto.Message](t)(annREST.At(w.m.HTTP(writer)).Say(ctx, ch.ID, fmt.Sprint(said)))
			want = append(want, m.ID.String())
			said++
		}
	}
	g := s.Gateway
	way := []int{0, 1, 2, 0, 1}
	for round, at := range way[1:] {
		must(t, w.m.Ready(ctx)) // whoever was killed is back
		say(2)
		w.await(g, 0, "live message", about("MESSAGE_CREATE", func(m proto.Message) bool { return m.ID.String() == want[len(want)-1] }))
		writer = at
		if round%2 == 0 {
			must(t, w.m.Signal(fmt.Sprint("edge-", 1+way[round]), syscall.SIGKILL))
		} else {
			g.Cut()
		}
		say(2)
		must(t, benREST.At(w.m.HTTP(at)).Call(ctx, "DELETE", fmt.Sprint("/channels/", ch.ID), nil, nil))
		want = append(want, "CHANNEL_DELETE", "CHANNEL_CREATE")
		if round < 2 { // it comes back while nobody listens, or later
			say(2)
		}
		mark := s.Mark()
		g = w.dial(at, client.Options{Log: s.Log})
		must(t, g.Resume(ben.Token, s.ready.SessionID, s.S()))
		w.await(g, mark, fmt.Sprintf("RESUMED at edge %d", at+1), event("RESUMED"))
		say(1)
	}
	w.await(g, 0, "last message", about("MESSAGE_CREATE", func(m proto.Message) bool { return m.ID.String() == want[len(want)-1] }))
	var got []string
	for _, e := range s.Since(0) {
		var d struct {
			ID   proto.ID  `json:"id"`
			Type *int      `json:"type"`
			In   *proto.ID `json:"channel_id"`
		}
		switch {
		case e.T == "READY" && len(got) > 0:
			t.Error("identified anew")
		case e.T != "MESSAGE_CREATE" && e.T != "CHANNEL_CREATE" && e.T != "CHANNEL_DELETE" || e.Into(&d) != nil:
		case e.T == "MESSAGE_CREATE" && *d.In == ch.ID:
			got = append(got, d.ID.String())
		case d.ID == ch.ID:
			got = append(got, e.T)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
