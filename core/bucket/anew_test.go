package bucket

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay"
)

// The hub's disk is lost while the stores stay: sequences start over. What was there still is, what comes is applied, ids and epochs rise.
func TestLogMadeAnew(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	last := h.say(alice, "before")
	for n := range 50 { // the old sequences are well above the first of the new stream
		last = h.say(alice, fmt.Sprint(n))
	}
	was := checkpoint(t, w, h)
	incarnation := o.log.Incarnation()

	for range 2 { // the second start meets stores of which each may be of either stream
		o.stop()
		w.mesh.StopHub()
		if err := os.RemoveAll(w.mesh.Dir); err != nil {
			t.Fatal(err)
		}
		w.mesh.StartHub(t)
		w.bus = w.mesh.CoreBus(t)
		o = w.own("core")
		if o.log.Incarnation() == incarnation {
			t.Fatal("the stream was not made anew")
		}
		incarnation = o.log.Incarnation()

		if g, _ := h.snapshot(); g.Name != "Roost" || len(g.Members) == 0 {
			t.Fatalf("the guild is not what it was: %+v", g)
		}
		m := h.say(alice, "after")
		if m.ID <= last.ID {
			t.Errorf("id %d follows %d", m.ID, last.ID)
		}
		last = m
		if page, err := w.hist.Before(context.Background(), h.general, 0, 3); err != nil || len(page) != 3 || page[0].ID != m.ID {
			t.Errorf("history: %+v, %v", page, err)
		}
		var ch proto.Channel
		w.do(201, h.cmd(core.KindChannelCreate, alice, 0), core.ChannelCreate{Name: "new"}, &ch)
		if guild, err := w.dir.ChannelGuild(context.Background(), ch.ID); err != nil || guild != h.guild {
			t.Errorf("the directory did not apply a new channel: %d, %v", guild, err)
		}
		now := checkpoint(t, w, h)
		if now.Epoch <= was.Epoch || now.LastID <= was.LastID {
			t.Errorf("checkpoint went from %+v to %+v", was, now)
		}
		was = now
		if err := o.Check(); err != nil {
			t.Error(err)
		}
	}
	h.join(bob)
	// And over a plain restart the new stream goes on.
	o.stop()
	w.own("core")
	h.say(bob, "hello")
	if g, _ := h.snapshot(); g.MemberCount != 2 {
		t.Errorf("got %d members, want 2", g.MemberCount)
	}
}

func checkpoint(t *testing.T, w *world, h *home) core.Checkpoint {
	t.Helper()
	at, err := w.dir.Checkpoint(context.Background(), h.guild.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestPosition(t *testing.T) {
	at := func(sequence, epoch, counter uint64) core.Checkpoint {
		return core.Checkpoint{Sequence: sequence, Epoch: epoch, Counter: counter, LastID: proto.ID(epoch * counter)}
	}
	const now, before = 0xbeef, 0xfeed
	in := func(incarnation uint64, c core.Checkpoint) core.Checkpoint {
		c.Incarnation = incarnation
		return c
	}
	for _, c := range []struct {
		name string
		x, y core.Checkpoint
		tail uint64
		want relay.Position
	}{
		{"nothing yet", at(0, 0, 0), at(0, 0, 0), 0, relay.Position{}},
		{"one behind", at(10, 1, 5), at(20, 1, 9), 30, relay.Position{Sequence: 10, Epoch: 1, Counter: 9, LastID: 9}},
		{"the other behind", at(20, 2, 9), at(10, 1, 5), 30, relay.Position{Sequence: 10, Epoch: 2, Counter: 9, LastID: 18}},
		{"stream anew", at(10, 1, 5), at(20, 1, 9), 3, relay.Position{Epoch: 1, Counter: 9, LastID: 9}},
		{"one of the stream before", at(20, 1, 9), at(10, 2, 11), 30, relay.Position{Epoch: 2, Counter: 11, LastID: 22}},
		{"this log", in(now, at(10, 1, 5)), in(now, at(20, 1, 9)), 30, relay.Position{Sequence: 10, Epoch: 1, Counter: 9, LastID: 9}},
		// The new stream has passed the old checkpoints: only the incarnation tells.
		{"both of the log before", in(before, at(10, 1, 5)), in(before, at(20, 1, 9)), 30, relay.Position{Epoch: 1, Counter: 9, LastID: 9}},
		{"one of the log before", in(before, at(10, 1, 5)), in(now, at(20, 2, 9)), 30, relay.Position{Epoch: 2, Counter: 9, LastID: 18}},
	} {
		for _, got := range []relay.Position{position(c.x, c.y, c.tail, now), position(c.y, c.x, c.tail, now)} {
			if got != c.want {
				t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
			}
		}
	}
}
