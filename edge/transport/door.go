package transport

import (
	"container/list"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// While more than calmWaiting connections say nothing, a door rests after each acceptBatch, so that who floods it does not keep a processor
// from everybody else. It is still quick: honest people's connections are behind the silent ones in the kernel's queue.
const (
	calmWaiting = 512
	acceptBatch = 64
	acceptPause = time.Millisecond
	mostWaiting = 16_384 // or a quarter of the files that the process may open
)

// A door is a listener that hands out connections whose first byte is there, through a lobby. Until then a connection costs its file and a
// small goroutine: half-open sockets are cheap to make, so they have to be cheap to have.
type door struct {
	net.Listener
	patience time.Duration // for the first byte
	most     int           // who wait; beyond, the one that has waited longest is closed: honest people speak within a round trip
	lobby    *lobby        // of those that have spoken
	out      chan net.Conn
	ended    chan struct{}      // closed by Close
	leave    context.CancelFunc // ends the lobby
	failed   chan struct{}      // closed when accept ends; err says why
	err      error

	mu      sync.Mutex
	waiting *list.List     // of net.Conn, longest first; nil once closed
	wg      sync.WaitGroup // accept and everybody in waiting
	once    sync.Once
}

func newDoor(l net.Listener, patience time.Duration, most, perSecond int, guests *guests) *door {
	return &door{Listener: l, patience: patience, most: most, lobby: newLobby(perSecond, most, guests), out: make(chan net.Conn), ended: make(chan struct{}),
		leave: func() {}, failed: make(chan struct{}), waiting: list.New()}
}

// Accept is net.Listener's, for one goroutine, whose first call opens the door.
func (d *door) Accept() (net.Conn, error) {
	d.once.Do(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.waiting != nil {
			ctx, leave := context.WithCancel(context.Background())
			d.leave = leave
			d.wg.Go(func() { d.lobby.run(ctx, d.out) })
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
	d.leave()
	err := d.Listener.Close()
	for e := d.waiting.Front(); e != nil; e = e.Next() {
		e.Value.(net.Conn).Close()
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
	if d.waiting.Len() >= d.most {
		refused.WithLabelValues("crowd").Inc()
		d.waiting.Remove(d.waiting.Front()).(net.Conn).Close() // its goroutine notices
	}
	e := d.waiting.PushBack(c)
	d.wg.Go(func() { d.wait(c, e) })
	return d.waiting.Len()
}

// wait lets c into the lobby once it has something to read.
func (d *door) wait(c net.Conn, e *list.Element) {
	c.SetReadDeadline(time.Now().Add(d.patience))
	err := firstByte(c)
	d.mu.Lock()
	if d.waiting != nil {
		d.waiting.Remove(e)
	}
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
	if !d.lobby.enter(c) {
		refused.WithLabelValues("crowd").Inc()
		c.Close()
	}
}
