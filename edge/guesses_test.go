package edge

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge/transport"
)

// Gus guesses: his 300th bad token is still answered, then he waits, and gets one guess back per fifth of a second; his neighbour does not care.
func TestGuessesAtBudgetAndOnePast(t *testing.T) {
	now := time.Unix(1700000000, 0)
	g := &guesses{now: func() time.Time { return now }}
	for i := range guessBudget {
		if g.tooMany("192.0.2.1") {
			t.Fatalf("refused after %d", i)
		}
		g.bad("192.0.2.1")
	}
	if !g.tooMany("192.0.2.1") || g.tooMany("192.0.2.2") {
		t.Error("the budget does not end, or ends for others")
	}
	if now = now.Add(guessPeriod / guessBudget); g.tooMany("192.0.2.1") {
		t.Error("no guess came back")
	}
	for i := range 2 * maxGuessers {
		g.bad(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff))
	}
	if got := len(g.whole); got > maxGuessers {
		t.Errorf("%d addresses kept, want %d at most", got, maxGuessers)
	}
	if transport.Site("2001:db8::1") != transport.Site("2001:db8::2:3") || transport.Site("192.0.2.1") != transport.Site("::ffff:192.0.2.1") {
		t.Error("one site has two names")
	}
}
