package edge

import (
	"net/netip"
	"sync"
	"time"

	"github.com/starling-chat/starling/edge/transport"
)

// guesses counts bad tokens by address, so that nobody has the cores try tokens without end. Good ones count for nothing: whole offices share an
// address. Any goroutine may call it.
type guesses struct {
	now func() time.Time

	mu    sync.Mutex
	whole map[netip.Prefix]time.Time // when the address has its budget back
}

const (
	guessBudget = 300 // bad tokens at once, and per guessPeriod in the long run
	guessPeriod = time.Minute
	maxGuessers = 1 << 16
)

// tooMany tells whether an address has used its budget up.
func (g *guesses) tooMany(remote string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.whole[transport.Site(remote)].Sub(g.now()) > guessPeriod-guessPeriod/guessBudget
}

// bad counts one.
func (g *guesses) bad(remote string) {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.whole == nil {
		g.whole = map[netip.Prefix]time.Time{}
	}
	key := transport.Site(remote)
	if _, known := g.whole[key]; !known && len(g.whole) >= maxGuessers {
		for k, t := range g.whole {
			if !t.After(now) {
				delete(g.whole, k)
			}
		}
		if len(g.whole) >= maxGuessers {
			clear(g.whole) // generous rather than large
		}
	}
	at := g.whole[key]
	if at.Before(now) {
		at = now
	}
	g.whole[key] = at.Add(guessPeriod / guessBudget)
}
