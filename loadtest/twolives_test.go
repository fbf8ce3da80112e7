package loadtest

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// Fritz's edge is frozen: it is there, and answers nobody. He goes on at another one. When the edge wakes it has to let go of him, and he may come
// back to it. Nothing is lost or doubled, and no socket of his lives beside the one that he went on with.
func TestFrozenEdge(t *testing.T) {
	m := own(t, mesh.Options{Edges: 3, Processes: true})
	w, o := newTown(t, m), newLookout(t, m)
	bot, _ := w.bot("fritz", true)
	s := w.open(0, bot.Token, client.Options{}, nil)
	writer := w.writes(w.owner.At(m.HTTP(2)), w.general, 5*time.Millisecond)
	g, mark := s.Gateway, 0
	for round, at := range []int{1, 0, 1} {
		from := take[mesh.Role](t)(m.Role(fmt.Sprint("edge-", 2-at)))
		w.await(g, mark, "a message", event("MESSAGE_CREATE"))
		o.signal(from, syscall.SIGSTOP)
		frozen := time.Now()
		// His program takes the silence for an end, and never reads the old socket again: what it may still hold counts for nothing.
		was, kept := g, s.Since(0)
		log := client.NewLog(w.tell)
		for _, e := range kept {
			log.Add(e)
		}
		mark = log.Mark()
		g = w.dial(at, client.Options{Log: log})
		must(t, g.Resume(bot.Token, s.ready.SessionID, log.S()))
		w.await(g, mark, "RESUMED", event("RESUMED"))
		t.Logf("round %d: frozen → RESUMED %v", round, time.Since(frozen).Round(time.Millisecond))
		s.Gateway = g
		o.signal(from, syscall.SIGCONT)
		if code, err := was.Closed(within(t, patience)); code == 0 || code == proto.CloseNormal {
			t.Errorf("the socket at the frozen edge: %v, %v", code, err)
		}
		w.await(g, log.Mark(), "a message after the edge woke", event("MESSAGE_CREATE"))
	}
	sent := writer.ended()
	w.await(g, 0, "the last message", says(proto.Message{ID: sent[len(sent)-1]}))
	got := heard(g.Log, w.general)
	exactly(t, "fritz", got, sent[slices.Index(sent, got[0]):])
	if n := g.Count(0, event("READY")); n != 1 {
		t.Errorf("identified %d times", n)
	}
}

// Zoe's client resumes the same session over two sockets at once, at two edges. One of them goes on, the other one is closed in a way that lets
// it come again; whichever it is, it has everything once.
func TestTwoSocketsAtOnce(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("zoe", true)
	s := w.open(0, bot.Token, client.Options{}, nil)
	writer := w.writes(w.owner, w.general, 2*time.Millisecond)
	base := s.Gateway
	neither := 0
	for round := range 20 {
		w.await(base, base.Mark(), "a message", event("MESSAGE_CREATE"))
		if round%3 != 0 {
			base.Cut() // else it is a third one
		}
		kept := base.Since(0)
		at := int64(0)
		for _, e := range kept {
			if e.Op == 0 {
				at = e.S
			}
		}
		var both [2]*client.Gateway
		for i := range both {
			log := client.NewLog(w.tell)
			for _, e := range kept {
				log.Add(e)
			}
			both[i] = w.dial(i, client.Options{Log: log})
		}
		for _, g := range both {
			must(t, g.Resume(bot.Token, s.ready.SessionID, at))
		}
		base = w.survivor(both, len(kept))
		if base == nil {
			neither++ // both were told to come again
			log := client.NewLog(w.tell)
			for _, e := range kept {
				log.Add(e)
			}
			base = w.dial(round%2, client.Options{Log: log})
			must(t, base.Resume(bot.Token, s.ready.SessionID, at))
			w.await(base, len(kept), "RESUMED alone", event("RESUMED"))
		}
	}
	sent := writer.ended()
	w.await(base, 0, "the last message", says(proto.Message{ID: sent[len(sent)-1]}))
	got := heard(base.Log, w.general)
	exactly(t, "zoe", got, sent[slices.Index(sent, got[0]):])
	t.Logf("%d messages; in %d of 20 rounds both had to come again", len(sent), neither)
}

// survivor waits until one of two sockets is left, live; nil if none is.
func (w *town) survivor(both [2]*client.Gateway, mark int) *client.Gateway {
	w.t.Helper()
	ctx := within(w.t, 2*patience)
	type end struct {
		i    int
		code proto.CloseCode
	}
	ends := make(chan end, 2)
	for i, g := range both {
		go func() {
			if code, _ := g.Closed(ctx); code != 0 {
				ends <- end{i, code}
			}
		}()
	}
	var gone [2]bool
	check := func(e end) {
		gone[e.i] = true
		switch e.code {
		case proto.CloseUnknown, proto.CloseRestart, proto.CloseAbnormal:
		default:
			w.t.Errorf("closed with %v, want a code that lets it come again", e.code)
		}
		if both[e.i].Count(mark, op(proto.OpInvalidSession)) != 0 {
			w.t.Errorf("op 9 for a session that is alive")
		}
	}
	select {
	case e := <-ends:
		check(e)
	case <-ctx.Done():
		w.t.Fatal("both sockets live")
	}
	for i, g := range both {
		if gone[i] {
			continue
		}
		if _, err := g.Await(ctx, mark, event("RESUMED")); err == nil {
			return g
		}
		check(<-ends)
	}
	return nil
}
