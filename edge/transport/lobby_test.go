package transport

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A visitor is a connection of which only the address matters.
type visitor struct {
	net.Conn
	addr   string
	closed bool
}

func (v *visitor) RemoteAddr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", v.addr); return a }
func (v *visitor) Close() error         { v.closed = true; return nil }

// Fifty connections of one site come, then three of another: all are let in at the rate, and the three hardly wait, for sites take turns.
func TestLobbyTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, crowd, few = 100, 50, 3
		l := newLobby(perSecond, 1000, newGuests())
		for i := range crowd + few {
			v := &visitor{addr: "192.0.2.1:1"}
			if i >= crowd {
				v.addr = "[2001:db8::1]:1"
			}
			if !l.enter(v) {
				t.Fatalf("visitor %d refused", i)
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		out, began := make(chan net.Conn), time.Now()
		go l.run(ctx, out)
		last := 0
		for i := range crowd + few {
			if v := (<-out).(*visitor); v.addr != "192.0.2.1:1" {
				last = i
			}
		}
		if last >= 2*few {
			t.Errorf("the last of the few came as number %d, want by turns", last)
		}
		if took, want := time.Since(began), time.Duration(crowd+few-perSecond/4)*time.Second/perSecond; took < want-time.Millisecond || took > want+100*time.Millisecond {
			t.Errorf("all were in after %v, want %v", took, want)
		}
		time.Sleep(time.Minute)
		v := &visitor{addr: "192.0.2.1:1"}
		began = time.Now()
		l.enter(v)
		if <-out; time.Since(began) > 0 {
			t.Errorf("one who comes alone waits %v", time.Since(began))
		}
	})
}

// A hundred sites have come before a site that is there already opens two connections more: those have every other turn. Where a guest floods,
// strangers have the others.
func TestLobbyKnowsItsGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const strangers, more = 100, 2
		g := newGuests()
		here := Site("198.51.100.7")
		g.come(here)
		l := newLobby(100, 1000, g)
		for i := range strangers {
			l.enter(&visitor{addr: fmt.Sprintf("192.0.2.%d:1", i)})
		}
		for range more {
			l.enter(&visitor{addr: "198.51.100.7:1"})
		}
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		out := make(chan net.Conn)
		go l.run(ctx, out)
		guest := func() bool { return (<-out).(*visitor).addr == "198.51.100.7:1" }
		for i := range 2 * more {
			if guest() != (i%2 == 0) {
				t.Errorf("turn %d: a guest in a stranger's, or a stranger in a guest's", i)
			}
		}
		for range strangers {
			l.enter(&visitor{addr: "198.51.100.7:1"})
		}
		n := 0
		for range strangers {
			if guest() {
				n++
			}
		}
		if n < strangers/2-1 || n > strangers/2 { // one may have been chosen before
			t.Errorf("a guest that floods had %d of %d turns, want half", n, strangers)
		}
		for range strangers - more {
			guest()
		}
		g.leave(here)
		if l.enter(&visitor{addr: "192.0.2.1:1"}); guest() {
			t.Error("a guest came who had not entered")
		}
		for i := range 4 {
			l.enter(&visitor{addr: []string{"198.51.100.7:1", "192.0.2.1:1"}[i%2]})
		}
		for i := range 4 {
			if guest() != (i%2 == 0) {
				t.Errorf("turn %d: who has left is still a guest", i)
			}
		}
	})
}

// One site gets half of the lobby, strangers together no more than seven eighths, guests the rest; who waits when it closes is closed, and nobody comes in afterwards.
func TestLobbyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 16
		g := newGuests()
		g.come(Site("192.0.2.4"))
		l := newLobby(1, most, g)
		var in []*visitor
		for _, addr := range []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"} {
			room := most * 7 / 8
			if addr == "192.0.2.4:1" {
				room = most
			}
			n := 0
			for range most {
				if v := (&visitor{addr: addr}); l.enter(v) {
					in = append(in, v)
					n++
				}
			}
			if want := min(most/2, room-len(in)+n); n != want {
				t.Errorf("%s: %d are in, want %d", addr, n, want)
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { l.run(ctx, nil); close(over) }()
		synctest.Wait()
		leave()
		<-over
		for i, v := range in {
			if !v.closed {
				t.Errorf("visitor %d is still open", i)
			}
		}
		if l.enter(&visitor{addr: "192.0.2.1:1"}) {
			t.Error("a closed lobby let somebody in")
		}
	})
}
