package relay

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
)

// Two work. Who came first goes first while two wait at most; of more the last, and the first goes away when no more have room.
func TestBacklog(t *testing.T) {
	l := newBacklog(2, 4)
	put := func(names ...string) (gone []string) {
		for _, name := range names {
			if m := l.put(&nats.Msg{Subject: name}); m != nil {
				gone = append(gone, m.Subject)
			}
		}
		return gone
	}
	takes := func(want ...string) {
		t.Helper()
		for _, name := range want {
			<-l.ready
			if got := l.take().Subject; got != name {
				t.Errorf("got %s, want %s", got, name)
			}
		}
	}
	put("Alice", "Bob")
	takes("Alice")
	put("Cathy")
	takes("Bob")
	put("Dave", "Erin")
	takes("Erin", "Cathy", "Dave")

	put("Alice", "Bob", "Cathy", "Dave")
	if gone := put("Erin", "Frank"); !slices.Equal(gone, []string{"Alice", "Bob"}) {
		t.Errorf("%v went away, want Alice and Bob", gone)
	}
	takes("Frank", "Erin", "Cathy", "Dave")
	if len(l.ready) != 0 || len(l.waiting) != 0 {
		t.Errorf("%d tokens and %d requests are left", len(l.ready), len(l.waiting))
	}
}
