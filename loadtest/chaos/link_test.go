package chaos

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// A yard is a link from a leaf to a hub that echoes lines.
type yard struct {
	*link
	t    *testing.T
	hub  net.Listener
	seen chan net.Conn // what the hub accepted
}

func newYard(t *testing.T) *yard {
	hub, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{t: t, hub: hub, seen: make(chan net.Conn, 16)}
	y.link, err = listenLink("leaf-1 hub-1", "127.0.0.1:0", func() (string, error) { return hub.Addr().String(), nil })
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := hub.Accept()
			if err != nil {
				return
			}
			y.seen <- c
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	t.Cleanup(func() { y.stop(); hub.Close(); <-done })
	return y
}

func (y *yard) dial() (net.Conn, *bufio.Reader) {
	y.t.Helper()
	c, err := net.Dial("tcp", y.ln.Addr().String())
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() { c.Close() })
	return c, bufio.NewReader(c)
}

// says sends a line and wants it back.
func (y *yard) says(c net.Conn, r *bufio.Reader, line string) {
	y.t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		y.t.Fatal(err)
	}
	if got, err := r.ReadString('\n'); err != nil || got != line+"\n" {
		y.t.Fatalf("got %q, %v, want %q", got, err, line)
	}
}

// ends wants the connection to be over.
func (y *yard) ends(c net.Conn) {
	y.t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		y.t.Fatalf("got %v, want the connection to end", err)
	}
}

// refuses wants a new connection to come to nothing at once.
func refuses(t *testing.T, l *link) {
	t.Helper()
	c, err := net.Dial("tcp", l.ln.Addr().String())
	if err != nil {
		return // reset before it could be used
	}
	defer c.Close()
	(&yard{t: t}).ends(c)
}

func TestLinkPasses(t *testing.T) {
	y := newYard(t)
	c, r := y.dial()
	y.says(c, r, "hello")
	(<-y.seen).Close() // the hub hangs up: the leaf learns it
	y.ends(c)
}

func TestLinkIsCut(t *testing.T) {
	y := newYard(t)
	c, r := y.dial()
	y.says(c, r, "hello")
	y.set(Cut)
	y.ends(c)
	refuses(t, y.link)
	y.set("")
	c, r = y.dial()
	y.says(c, r, "back")
}

func TestLinkIsSlow(t *testing.T) {
	y := newYard(t)
	c, r := y.dial()
	y.says(c, r, "hello")
	y.set(Slow)
	begun := time.Now()
	y.says(c, r, "wait")
	if took := time.Since(begun); took < 2*slowness {
		t.Errorf("there and back took %v, want %v at least", took, 2*slowness)
	}
	y.set("")
	y.says(c, r, "fast")
}

// The hub knows that the link is gone, the leaf does not: it writes for nobody, until the link heals, and then learns it. Who comes
// meanwhile is taken and gets no answer.
func TestLinkIsHalfOpen(t *testing.T) {
	y := newYard(t)
	c, r := y.dial()
	y.says(c, r, "hello")
	hub := <-y.seen
	y.set(HalfOpen)
	hub.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := hub.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the hub got %v, want the connection to end", err)
	}
	late, _ := y.dial()
	for _, leaf := range []net.Conn{c, late} {
		leaf.SetDeadline(time.Now().Add(300 * time.Millisecond))
		for range 10 {
			if _, err := leaf.Write(make([]byte, 64<<10)); err != nil {
				t.Fatalf("the leaf cannot write: %v", err)
			}
		}
		if _, err := leaf.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the leaf got %v, want silence", err)
		}
	}
	y.set("")
	y.ends(c)
	y.ends(late)
	c, r = y.dial()
	y.says(c, r, "back")
}

func TestLinkWithoutAHub(t *testing.T) {
	l, err := listenLink("leaf-1 hub-1", "127.0.0.1:0", func() (string, error) { return "", errors.New("not yet") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.stop()
	refuses(t, l)
}

func TestLinksOfALeaf(t *testing.T) {
	all := links{{name: "leaf-1 hub-1"}, {name: "leaf-1 hub-2"}, {name: "leaf-11 hub-1"}}
	if got := all.of("leaf-1"); len(got) != 2 || got[1].name != "leaf-1 hub-2" {
		t.Errorf("got %d links, want the two of leaf-1", len(got))
	}
}
