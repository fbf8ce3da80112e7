package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// get asks over a connection of its own.
func get(t *testing.T, c net.Conn) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(15 * time.Second))
	io.WriteString(c, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func knock(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Mallory opens more sockets than may wait without a pause and says nothing; Alice is served meanwhile, Bob who was silent a moment as well,
// and all of Mallory's are closed by us.
func TestDoor(t *testing.T) {
	_, addr := serve(t, func(cfg *Config) { cfg.Handshake = 3 * time.Second })
	bob := knock(t, addr)
	var silent []net.Conn
	for range calmWaiting + 3*acceptBatch {
		silent = append(silent, knock(t, addr))
	}
	if got := get(t, bob); got != "GET /x" {
		t.Errorf("Bob got %q", got)
	}
	if got := get(t, knock(t, addr)); got != "GET /x" {
		t.Errorf("Alice got %q", got)
	}
	for i, c := range silent {
		c.SetReadDeadline(time.Now().Add(15 * time.Second))
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatalf("silent socket %d read %d bytes", i, n)
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatalf("silent socket %d is still open", i)
		}
	}
}

// Who waits while the door closes is closed, as is who has waited longest when one more comes than may wait; nobody comes in afterwards.
func TestDoorCloses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(l, time.Minute, 1, 1000, newGuests())
	got := make(chan error, 2)
	accept := func() {
		_, err := d.Accept()
		got <- err
	}
	go accept()
	c := knock(t, l.Addr().String())
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(15 * time.Second); ; <-tick.C {
		d.mu.Lock()
		n := d.waiting.Len()
		d.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(until) {
			t.Fatal("nobody waits")
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; err == nil {
		t.Error("Accept gave a connection that said nothing")
	}
	c.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("read from a closed door")
	}
	go accept()
	if err := <-got; err == nil {
		t.Error("Accept after Close gave a connection")
	}
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
