package ownership_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/starling-chat/starling/core/ownership"
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

// An operator drains a core: it owns nothing, and lives; the bucket that was put there goes too. A drained core serves rather than that nobody
// does, and takes part again when it is told to.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("core-a"), w.start("core-b")
	w.balanced(a, b)
	s := w.write(2)
	n := 0
	for !b.claims.Place(n).Mine {
		n++
	}
	relaytest.Until(t, "a bucket of b is to stay there", func() bool { return b.claims.Move(t.Context(), n, "core-b") == nil })
	if p := b.claims.Place(n); p != (ownership.Place{Core: "core-b", Pinned: true, Mine: true, Wanted: "core-b"}) {
		t.Errorf("the bucket: got %+v, want it pinned", p)
	}
	if err := b.claims.Drain(); err != nil {
		t.Fatal(err)
	}
	until(t, "b has nothing", func() bool { return b.claims.Status().Owned == 0 && a.owned() == proto.Buckets })
	if err := a.claims.Drain(); err == nil {
		t.Error("the last core that takes part was drained")
	}
	if err := a.claims.Move(t.Context(), n, "core-b"); err == nil {
		t.Error("a bucket was moved to a drained core")
	}
	if got := b.claims.Status(); !got.Drained || got.Leaving || got.Owned != 0 || len(got.Cores) != 1 {
		t.Errorf("status of b: got %+v", got)
	}
	s.more(20)

	a.stop()
	until(t, "b has all, drained or not", func() bool { return b.owned() == proto.Buckets })
	s.more(20)
	a = w.start("core-a")
	until(t, "b has nothing again", func() bool { return b.owned() == 0 && a.owned() == proto.Buckets })

	if err := b.claims.Stay(); err != nil {
		t.Fatal(err)
	}
	w.balanced(a, b)
	s.check()
}

// What an operator put somewhere stays there although hashing wants it elsewhere, until it is freed.
func TestPinAndFree(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("core-a"), w.start("core-b")
	w.balanced(a, b)
	var moved []int // that hashing wants at a
	for n := 0; len(moved) < 40; n++ {
		if a.claims.Place(n).Mine {
			moved = append(moved, n)
		}
	}
	for _, n := range moved {
		relaytest.Until(t, "a place for the move", func() bool {
			err := a.claims.Move(t.Context(), n, "core-b")
			if err != nil && !errors.Is(err, ownership.ErrMoving) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	all := func(of *node) func() bool {
		return func() bool {
			for _, n := range moved {
				if !of.claims.Place(n).Mine {
					return false
				}
			}
			return true
		}
	}
	relaytest.Until(t, "all are at b", all(b))
	if got := b.claims.Status().Pinned; got != len(moved) {
		t.Errorf("pinned at b: got %d, want %d", got, len(moved))
	}
	c := w.start("core-c") // every look at the table is a chance to move them back
	w.balanced(a, b, c)
	if !all(b)() {
		t.Error("what was put at b went elsewhere")
	}
	for _, n := range moved {
		relaytest.Until(t, "it is freed", func() bool { return b.claims.Free(t.Context(), n) == nil })
	}
	relaytest.Until(t, "b has none of them for it", func() bool { return b.claims.Status().Pinned == 0 })
	relaytest.Until(t, "they went where hashing wants them", func() bool {
		for _, n := range moved {
			if b.claims.Place(n).Mine {
				return false
			}
		}
		return true
	})
	if err := a.claims.Move(t.Context(), moved[0], "core-x"); err == nil {
		t.Error("moved to a core that is not there")
	}
}
