package chaos

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// slowness is how much longer all takes on a slow link.
const slowness = 150 * time.Millisecond

// A link is what lies between one leaf and one hub: a TCP relay that can be broken. Any goroutine may break it.
type link struct {
	name   string
	ln     net.Listener
	target func() (string, error) // where the hub listens, asked for each connection
	closed context.Context
	close  context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	state string // "", Cut, Slow or HalfOpen
	wires map[*wire]bool
}

// A wire is one connection through a link.
type wire struct {
	leaf, hub net.Conn // hub is nil where nobody was asked
	stale     bool     // the hub's side is gone, and the leaf does not know; the link's mu
}

func listenLink(name, addr string, target func() (string, error)) (*link, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	l := &link{name: name, ln: ln, target: target, wires: map[*wire]bool{}}
	l.closed, l.close = context.WithCancel(context.Background())
	l.done.Go(l.accept)
	return l, nil
}

func (l *link) accept() {
	for {
		c, err := l.ln.Accept()
		if err != nil {
			return
		}
		l.done.Go(func() { l.carry(c) })
	}
}

// carry joins one connection to the hub until either side ends.
func (l *link) carry(leaf net.Conn) {
	w := &wire{leaf: leaf}
	l.mu.Lock()
	state := l.state
	w.stale = state == HalfOpen
	if state != Cut && l.closed.Err() == nil {
		l.wires[w] = true
	}
	kept := l.wires[w]
	l.mu.Unlock()
	defer l.forget(w)
	if !kept {
		reset(leaf)
		return
	}
	if state == HalfOpen {
		io.Copy(io.Discard, leaf) // it hangs until the link heals
		return
	}
	addr, err := l.target()
	var hub net.Conn
	if err == nil {
		hub, err = (&net.Dialer{Timeout: time.Second}).DialContext(l.closed, "tcp", addr)
	}
	if err != nil {
		reset(leaf)
		return
	}
	l.mu.Lock()
	w.hub = hub
	late := !l.wires[w] || w.stale // broken meanwhile
	l.mu.Unlock()
	if late {
		reset(hub)
		io.Copy(io.Discard, leaf)
		return
	}
	var back sync.WaitGroup
	back.Go(func() { l.pump(w, leaf, hub) })
	l.pump(w, hub, leaf)
	back.Wait()
}

// forget ends a connection for good.
func (l *link) forget(w *wire) {
	l.mu.Lock()
	delete(l.wires, w)
	hub := w.hub
	l.mu.Unlock()
	w.leaf.Close()
	if hub != nil {
		hub.Close()
	}
}

// pump carries one direction. When one side ends the other is told, but for a leaf that must not know.
func (l *link) pump(w *wire, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		state, stale := l.state, w.stale
		l.mu.Unlock()
		if stale && from == w.leaf {
			if err != nil {
				return
			}
			continue // nobody is there to get it
		}
		if n > 0 && state == Slow && !pause(l.closed, slowness) {
			err = l.closed.Err()
		}
		if n > 0 && err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			l.mu.Lock()
			stale = w.stale
			l.mu.Unlock()
			switch {
			case stale && from == w.leaf:
				continue // what was on its way when the hub's side went: read on, for nobody
			case !stale:
				reset(to)
				reset(from)
			}
			return
		}
	}
}

// set breaks the link, or heals it with "".
func (l *link) set(state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	for w := range l.wires {
		switch {
		case state == HalfOpen && !w.stale:
			w.stale = true
			if w.hub != nil {
				reset(w.hub)
			}
		case state == Cut, w.stale && state != HalfOpen: // healed: the first thing that a hub hears from a link that it forgot is answered so
			reset(w.leaf)
			if w.hub != nil {
				reset(w.hub)
			}
		}
	}
}

// stop ends all connections and returns when nothing runs any more.
func (l *link) stop() {
	l.close()
	l.ln.Close()
	l.set(Cut)
	l.done.Wait()
}

// reset ends a connection as a machine does that knows nothing of it.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// links are all links of a mesh.
type links []*link

// of a leaf.
func (s links) of(leaf string) links {
	return slices.DeleteFunc(slices.Clone(s), func(l *link) bool { return l.name[:len(leaf)+1] != leaf+" " })
}

func (s links) set(state string) {
	for _, l := range s {
		l.set(state)
	}
}

func (s links) stop() {
	for _, l := range s {
		l.stop()
	}
}

// pause waits; false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
