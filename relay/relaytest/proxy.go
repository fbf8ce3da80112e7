package relaytest

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Proxy is a TCP wire between two parts of a mesh that a test can cut.
type Proxy struct {
	URL    string
	target string
	ln     net.Listener
	mute   atomic.Bool // swallow what the server says
	done   sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	hold  chan struct{} // not nil: nothing goes through until it is closed
	conns map[net.Conn]struct{}
}

// NewProxy forwards to the server at a nats:// URL; it ends with the test.
func NewProxy(t testing.TB, url string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		URL: "nats://" + ln.Addr().String(), target: strings.TrimPrefix(url, "nats://"), ln: ln, conns: map[net.Conn]struct{}{},
	}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		p.Cut()
		p.done.Wait()
	})
	return p
}

// Cut breaks all connections and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.thawLocked()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Mend lets connections through again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.mute.Store(false)
	p.thawLocked()
}

// Freeze lets nothing through any more, either way, while all connections stand.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold == nil {
		p.hold = make(chan struct{})
	}
}

func (p *Proxy) thawLocked() {
	if p.hold != nil {
		close(p.hold)
		p.hold = nil
	}
}

// wait while frozen.
func (p *Proxy) wait() {
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

// Mute swallows all that the server says, while it still hears everything.
func (p *Proxy) Mute() { p.mute.Store(true) }

func (p *Proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		if !p.keep(in, out) {
			continue
		}
		p.done.Go(func() { p.pump(out, in, false) })
		p.done.Go(func() { p.pump(in, out, true) })
	}
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.cut {
			_ = c.Close()
			continue
		}
		p.conns[c] = struct{}{}
	}
	return !p.cut
}

func (p *Proxy) pump(to, from net.Conn, answers bool) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.wait()
		if n > 0 && (!answers || !p.mute.Load()) {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
