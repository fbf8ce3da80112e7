package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

const (
	writeTimeout = 30 * time.Second // of one write; a client that takes nothing for so long is gone
	closeTimeout = 3 * time.Second  // for the client's answer to our close frame
	joinBytes    = 16 << 10         // up to here what waits is copied together; beyond, plain TCP takes it by writev
	readBuffer   = 512              // frames of clients are small
	maxControls  = 240              // pings and pongs per minute; beyond, close 4008
)

// A webSocket is a Conn behind one reading goroutine for its life and one writing goroutine while something waits.
type webSocket struct {
	// Fixed at construction.
	nc      net.Conn
	plain   bool // nc is TCP itself: writev works
	limit   int
	started sync.WaitGroup // the writer

	mu      sync.Mutex
	queue   [][]byte
	waiting int  // bytes in queue and in the write under way
	writing bool // the writer runs
	closing bool // nothing more may be queued
	hangUp  bool // close TCP once the queue is empty
	byUs    bool // we closed first, with code
	code    proto.CloseCode
	giveUp  *time.Timer // closes TCP if the closing handshake takes too long
}

func newWebSocket(nc net.Conn, limit int) *webSocket {
	_, plain := nc.(*net.TCPConn)
	return &webSocket{nc: nc, plain: plain, limit: limit}
}

// Queue implements Conn.
func (c *webSocket) Queue(shared []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	if c.waiting+len(shared) > c.limit {
		slowCloses.Inc()
		c.dropLocked()
		c.closeLocked(proto.CloseSlow)
		return false
	}
	c.queueLocked(shared)
	return true
}

// Waiting implements Conn.
func (c *webSocket) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// Close implements Conn.
func (c *webSocket) Close(code proto.CloseCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(code)
}

// CloseRetry implements Conn.
func (c *webSocket) CloseRetry(code proto.CloseCode, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeTellingLocked(code, code.ReasonAfter(after))
}

func (c *webSocket) closeLocked(code proto.CloseCode) { c.closeTellingLocked(code, code.Reason()) }

func (c *webSocket) closeTellingLocked(code proto.CloseCode, reason string) {
	if c.closing {
		return
	}
	c.byUs, c.code = true, code
	c.endLocked(closeFrame(code, reason))
}

// endLocked queues the last frame, and bounds how long the connection may still live.
func (c *webSocket) endLocked(last []byte) {
	c.closing = true
	c.giveUp = time.AfterFunc(closeTimeout, func() { c.nc.Close() })
	c.queueLocked(last)
}

// dropLocked forgets what nobody will read any more. What is being written stays whole.
func (c *webSocket) dropLocked() {
	for _, b := range c.queue {
		c.waiting -= len(b)
		queuedBytes.Sub(float64(len(b)))
	}
	c.queue = nil
}

func (c *webSocket) queueLocked(b []byte) {
	c.queue = append(c.queue, b)
	c.waiting += len(b)
	queuedBytes.Add(float64(len(b)))
	if !c.writing {
		c.writing = true
		c.started.Add(1)
		go c.write()
	}
}

// write sends what waits, joined, until nothing does.
func (c *webSocket) write() {
	defer c.started.Done()
	var batch [][]byte
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.writing = false
			if cap(c.queue) > 64 {
				c.queue = nil
			}
			hangUp := c.hangUp
			c.mu.Unlock()
			if hangUp {
				c.nc.Close()
			}
			return
		}
		batch, c.queue = c.queue, batch[:0]
		c.mu.Unlock()

		n := 0
		for _, b := range batch {
			n += len(b)
		}
		err := c.send(batch, n)
		clear(batch)

		c.mu.Lock()
		c.waiting -= n
		queuedBytes.Sub(float64(n))
		if err != nil {
			c.closing, c.writing = true, false
			c.dropLocked()
			c.mu.Unlock()
			c.nc.Close() // the reader notices and ends the connection
			return
		}
		c.mu.Unlock()
	}
}

var joinPool = sync.Pool{New: func() any { b := make([]byte, 0, joinBytes); return &b }}

// send writes batch, n bytes, with as few system calls as the socket allows. batch is spent afterwards.
func (c *webSocket) send(batch [][]byte, n int) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if len(batch) == 1 {
		_, err := c.nc.Write(batch[0])
		return err
	}
	if c.plain && n > joinBytes {
		bufs := net.Buffers(batch)
		_, err := bufs.WriteTo(c.nc)
		return err
	}
	// net.Buffers does not coalesce on a tls.Conn: join into records of our own size.
	p := joinPool.Get().(*[]byte)
	defer joinPool.Put(p)
	buf := (*p)[:0]
	for _, b := range batch {
		if len(buf) > 0 && len(buf)+len(b) > joinBytes {
			if _, err := c.nc.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		if len(b) > joinBytes {
			if _, err := c.nc.Write(b); err != nil {
				return err
			}
			continue
		}
		buf = append(buf, b...)
	}
	if len(buf) == 0 {
		return nil
	}
	_, err := c.nc.Write(buf)
	return err
}

// serve reads until the connection is over, early first: what came in with the handshake. It returns when the writer has stopped too.
func (c *webSocket) serve(early []byte, h Handler) {
	src := bufio.NewReaderSize(c.nc, readBuffer)
	r := &reader{src: src, limit: proto.MaxFrame}
	if len(early) > 0 {
		r.src = io.MultiReader(bytes.NewReader(early), src)
	}
	code := c.receive(r, h)

	c.mu.Lock()
	c.closing, c.hangUp = true, true
	if c.byUs {
		code = c.code
	}
	over := !c.writing || c.giveUp == nil // the latter broke, and was not closed: nobody reads what waits
	c.mu.Unlock()
	if over {
		c.nc.Close() // which takes TLS up to five seconds, so that the lock is not held: whoever queues never waits
	}
	c.started.Wait()
	c.nc.Close()
	if c.giveUp != nil {
		c.giveUp.Stop()
	}
	h.OnClose(c, code)
}

// receive hands messages to h until the client closes, breaks a rule, or is gone.
func (c *webSocket) receive(r *reader, h Handler) proto.CloseCode {
	controls, window := 0, time.Now()
	for {
		op, p, err := r.next()
		var v *violation
		switch {
		case errors.As(err, &v):
			c.Close(v.code)
			if err := r.drain(v); err != nil {
				return v.code
			}
			continue
		case err != nil:
			return proto.CloseAbnormal
		}
		switch op {
		case ws.OpText, ws.OpBinary:
			if !c.isClosing() {
				h.OnFrame(c, p)
			}
			continue
		case ws.OpClose:
			return c.answerClose(p)
		case ws.OpPing:
			c.Queue(appendFrame(nil, ws.OpPong, p))
		}
		if now := time.Now(); now.Sub(window) > time.Minute {
			controls, window = 0, now
		}
		if controls++; controls > maxControls {
			c.Close(proto.CloseRateLimited)
		}
	}
}

// answerClose completes the closing handshake: an echo of the client's code, or nothing if p is the answer to ours.
func (c *webSocket) answerClose(p []byte) proto.CloseCode {
	code, err := closeCode(p)
	var v *violation
	if errors.As(err, &v) {
		c.Close(v.code)
		return v.code
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.endLocked(closeFrame(code, ""))
	}
	return code
}

func (c *webSocket) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}
