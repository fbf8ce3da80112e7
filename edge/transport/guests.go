package transport

import (
	"net/netip"
	"sync"
)

// guests counts open gateway connections by site. Any goroutine may call it.
type guests struct {
	mu   sync.Mutex
	open map[netip.Prefix]int
}

func newGuests() *guests { return &guests{open: map[netip.Prefix]int{}} }

func (g *guests) come(site netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[site]++
}

func (g *guests) leave(site netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[site]--; g.open[site] <= 0 {
		delete(g.open, site)
	}
}

func (g *guests) has(site netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open[site] > 0
}
