package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// What a door lets in. Who floods it with silent connections has calmWaiting of them in at once, then acceptBatch each acceptPause: 2,000 a
// second, at most 2,000 × Handshake at a time, and the rest wait in the kernel. Others come in at any rate: they speak within a round trip.
const (
	calmWaiting = 512
	acceptBatch = 8
	acceptPause = 4 * time.Millisecond
)

// A door is a listener that hands out connections whose first byte is there. Until then a connection costs its file and a small goroutine:
// half-open sockets are cheap to make, so they have to be cheap to have.
type door struct {
	net.Listener
	patience time.Duration // for the first byte
	out      chan net.Conn
	ended    chan struct{} // closed by Close
	failed   chan struct{} // closed when accept ends; err says why
	err      error

	mu      sync.Mutex
	waiting map[net.Conn]struct{} // nil once closed
	wg      sync.WaitGroup        // accept and everybody in waiting
	once    sync.Once
}

func newDoor(l net.Listener, patience time.Duration) *door {
	return &door{Listener: l, patience: patience, out: make(chan net.Conn), ended: make(chan struct{}), failed: make(chan struct{}),
		waiting: map[net.Conn]struct{}{}}
}

// Accept is net.Listener's, for one goroutine, whose first call opens the door.
func (d *door) Accept() (net.Conn, error) {
	d.once.Do(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.waiting != nil {
			d.wg.Go(d.accept)
		}
	})
	select {
	case c := <-d.out:
		return c, nil
	case <-d.failed:
		return nil, d.err
	case <-d.ended:
		return nil, net.ErrClosed
	}
}

// Close ends all who wait, and returns when their goroutines have ended.
func (d *door) Close() error {
	d.mu.Lock()
	if d.waiting == nil {
		d.mu.Unlock()
		return nil
	}
	close(d.ended)
	err := d.Listener.Close()
	for c := range d.waiting {
		c.Close()
	}
	d.waiting = nil
	d.mu.Unlock()
	d.wg.Wait()
	return err
}

// accept takes connections from the kernel until the listener is closed.
func (d *door) accept() {
	defer close(d.failed)
	pause := acceptPause
	for n := 0; ; {
		c, err := d.Listener.Accept()
		if err != nil {
			if temporary(err) { // no files left: some will be given back
				if pause = min(2*pause, time.Second); d.rest(pause) {
					continue
				}
			}
			d.err = err
			return
		}
		pause = acceptPause
		waiting := d.enter(c)
		if n++; waiting > calmWaiting && n%acceptBatch == 0 {
			paced.Inc()
			d.rest(acceptPause)
		}
	}
}

func temporary(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Temporary() // as net/http has it
}

// rest waits; false if the door is closed.
func (d *door) rest(pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-d.ended:
		return false
	}
}

// enter lets c wait and tells how many do.
func (d *door) enter(c net.Conn) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		c.Close()
		return 0
	}
	d.waiting[c] = struct{}{}
	d.wg.Go(func() { d.wait(c) })
	return len(d.waiting)
}

// wait hands c out once it has something to read.
func (d *door) wait(c net.Conn) {
	c.SetReadDeadline(time.Now().Add(d.patience))
	err := firstByte(c)
	d.mu.Lock()
	delete(d.waiting, c)
	d.mu.Unlock()
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			refused.WithLabelValues("silent").Inc()
		}
		c.Close()
		return
	}
	c.SetReadDeadline(time.Time{})
	if t, ok := c.(*net.TCPConn); ok {
		t.SetKeepAlive(true) // the listener's own is off: half-open sockets do not live that long
	}
	select {
	case d.out <- c:
	case <-d.ended:
		c.Close()
	}
}
