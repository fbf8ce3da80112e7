package transport

import (
	"context"
	"net"
	"sync"

	"golang.org/x/time/rate"
)

// A lobby has connections wait for their turn while more of them come than the edge takes in a second, so that those who are there do not feel
// it: an edge that died sends all its clients at once, and handshakes are the dearest thing that a stranger can ask for. Sites that are guests
// already, whose people open a connection more, have every other turn: they do not wait behind ten thousand strangers, nor strangers behind a
// site that floods. Any goroutine may call it.
type lobby struct {
	limit  *rate.Limiter
	most   int // who wait: half of them from one site, and an eighth kept for guests
	guests *guests

	mu      sync.Mutex
	friends *line // of sites that were guests when they came
	rest    *line
	turn    bool // of friends
	ended   bool
	wake    chan struct{} // cap 1: somebody has come
}

func newLobby(perSecond, most int, guests *guests) *lobby {
	return &lobby{limit: rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/4)), // a few hundred are no herd
		most: most, guests: guests, friends: newLine(), rest: newLine(), wake: make(chan struct{}, 1)}
}

// enter takes c; false if it is full.
func (l *lobby) enter(c net.Conn) bool {
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	site := Site(host)
	l.mu.Lock()
	defer l.mu.Unlock()
	to, room := l.rest, l.most-l.most/8
	if l.guests.has(site) {
		to, room = l.friends, l.most
	}
	if l.ended || l.friends.n+l.rest.n >= room || l.friends.of(site)+l.rest.of(site) >= max(1, l.most/2) {
		return false
	}
	to.add(site, c)
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
	return l.friends.n + l.rest.n
}

// next takes the connection whose turn it is; nil if nobody waits.
func (l *lobby) next() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, second := l.rest, l.friends
	if l.turn = !l.turn; l.turn {
		first, second = second, first
	}
	c := first.next()
	if c == nil {
		c = second.next()
	}
	if c != nil {
		inLobby.Dec()
	}
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
