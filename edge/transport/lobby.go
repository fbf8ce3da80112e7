package transport

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// A lobby has connections wait for their turn while more of them come than the edge takes in a second, so that those who are there do not feel
// it: an edge that died sends all its clients at once, and handshakes are the dearest thing that a stranger can ask for. Sites have turns one
// after the other, however many connections each has waiting. Any goroutine may call it.
type lobby struct {
	limit *rate.Limiter
	most  int // who wait, half of them from one site

	mu    sync.Mutex
	sites map[netip.Prefix]*list.Element // of turns
	turns *list.List                     // of *arrivals, none empty; the first is next
	n     int
	ended bool
	wake  chan struct{} // cap 1: somebody has come
}

// arrivals are the connections of one site, first come first served.
type arrivals struct {
	site  netip.Prefix
	conns []net.Conn
}

func newLobby(perSecond, most int) *lobby {
	return &lobby{limit: rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/20)), // what comes at once is felt
		most: most, sites: map[netip.Prefix]*list.Element{}, turns: list.New(), wake: make(chan struct{}, 1)}
}

// enter takes c; false if it is full.
func (l *lobby) enter(c net.Conn) bool {
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	site := Site(host)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.sites[site]
	if l.ended || l.n >= l.most || e != nil && len(e.Value.(*arrivals).conns) >= max(1, l.most/2) {
		return false
	}
	if e == nil {
		e = l.turns.PushBack(&arrivals{site: site})
		l.sites[site] = e
	}
	a := e.Value.(*arrivals)
	a.conns = append(a.conns, c)
	l.n++
	inLobby.Inc()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

func (l *lobby) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// next takes the connection whose turn it is; nil if nobody waits.
func (l *lobby) next() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.turns.Front()
	if e == nil {
		return nil
	}
	a := e.Value.(*arrivals)
	c := a.conns[0]
	a.conns[0] = nil
	if a.conns = a.conns[1:]; len(a.conns) > 0 {
		l.turns.MoveToBack(e)
	} else {
		l.turns.Remove(e)
		delete(l.sites, a.site)
	}
	l.n--
	inLobby.Dec()
	return c
}

// run, which alone calls next, hands connections out until ctx ends, then closes those who wait.
func (l *lobby) run(ctx context.Context, out chan<- net.Conn) {
	defer l.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		for l.waiting() > 0 {
			if l.limit.Tokens() < 1 {
				paced.Inc()
			}
			// The turn is waited for before anybody is chosen: who comes meanwhile may be next.
			if l.limit.Wait(ctx) != nil {
				return
			}
			c := l.next()
			select {
			case out <- c:
			case <-ctx.Done():
				c.Close()
				return
			}
		}
	}
}

func (l *lobby) close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	for c := l.next(); c != nil; c = l.next() {
		c.Close()
	}
}
