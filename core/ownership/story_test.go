package ownership_test

import (
	"context"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Under load a second and a third core join, one leaves, and nobody's command fails or waits for long.
func TestJoinAndLeave(t *testing.T) {
	w := newWorld(t)
	a := w.start("core-a")
	if got := a.owned(); got != proto.Buckets {
		t.Fatalf("alone: got %d buckets, want all", got)
	}
	s := w.write(4)
	s.more(50)
	t.Logf("alone: longest wait %s", s.worst())
	b := w.start("core-b")
	w.balanced(a, b)
	t.Logf("b joined: longest wait %s", s.worst())
	c := w.start("core-c")
	w.balanced(a, b, c)
	t.Logf("c joined: longest wait %s", s.worst())
	s.more(50)
	s.worst()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.claims.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	w.balanced(a, c)
	b.stop()
	s.more(50)
	t.Logf("b left: longest wait %s", s.worst())
	if got := b.owned(); got != 0 {
		t.Errorf("b left and has %d buckets", got)
	}
	s.check()
	for _, n := range []*node{a, c} {
		if err := n.Check(); err != nil {
			t.Error(err)
		}
	}
}

// A core dies; the others take its buckets, and it may come back under its name.
func TestDeathAndReturn(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.start("core-a"), w.start("core-b"), w.start("core-c")
	w.balanced(a, b, c)
	s := w.write(4)
	s.more(50)
	s.worst()
	b.bus.Close() // nothing that it has to say reaches anybody any more
	w.balanced(a, c)
	s.more(50)
	t.Logf("b died: longest wait %s", s.worst())
	b.stop()
	b = w.start("core-b")
	w.balanced(a, b, c)
	s.more(50)
	t.Logf("b came back: longest wait %s", s.worst())
	s.check()
}

// An operator moves a bucket; it stays where it is put, until that core is gone.
func TestMove(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("core-a"), w.start("core-b")
	w.balanced(a, b)
	n := 0
	for a.claims.Owners()[n] != "core-a" {
		n++
	}
	if err := a.claims.Move(t.Context(), n, "core-x"); err == nil {
		t.Error("moved to a core that is not there")
	}
	if err := b.claims.Move(t.Context(), n, "core-a"); err == nil {
		t.Error("a core moved what it has not")
	}
	relaytest.Until(t, "a place for the move", func() bool { return a.claims.Move(t.Context(), n, "core-b") == nil })
	is := func(core string, of *node) func() bool { return func() bool { return of.claims.Owners()[n] == core } }
	relaytest.Until(t, "the record", is("core-b", a))
	c := w.start("core-c")
	w.balanced(a, b, c)
	if !is("core-b", c)() {
		t.Errorf("bucket %d is of %s, want core-b", n, c.claims.Owners()[n])
	}
	if err := b.claims.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.balanced(a, c)
	if is("core-b", a)() {
		t.Error("a bucket stayed with a core that left")
	}
}

// Cores that start at the same time share the buckets without taking any from each other.
func TestStartTogether(t *testing.T) {
	w := newWorldOn(t, relaytest.StartCluster(t, 0))
	nodes := w.launch("core-a", "core-b", "core-c")
	w.balanced(nodes...)
	s := w.write(4)
	s.more(50)
	s.check()
}
