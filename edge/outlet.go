package edge

import "github.com/starling-chat/starling/proto"

// outgoing is something for a connection that waits for the end of the loop's batch: sockets get nothing that the journal has not got first.
type outgoing struct {
	client *client
	frame  []byte
	code   proto.CloseCode // not 0: close, behind what was queued
}

// maxBatch is how many messages the loop takes before what they gave goes out.
const maxBatch = 256

// send hands e to the connection of s, if there is one.
func (l *loop) send(s *session, e *event) {
	if s.client == nil {
		return
	}
	l.delivered++
	s.spoken = l.now()
	l.out = append(l.out, outgoing{client: s.client, frame: l.frame(e, s)})
}

// hangUp closes a connection behind what it was given.
func (l *loop) hangUp(c *client, code proto.CloseCode) {
	l.out = append(l.out, outgoing{client: c, code: code})
}

// flush lets the batch out. A connection too slow for its queue is closed, and its client resumes later.
func (l *loop) flush() {
	if socketsFirst {
		l.letOut()
	}
	if err := l.journalize(); err != nil {
		l.isolate(err)
		clear(l.out)
		l.out = l.out[:0]
		return
	}
	for _, f := range l.afterWrite {
		f()
	}
	l.afterWrite = nil
	l.letOut()
}

// letOut hands connections what the batch has for them.
func (l *loop) letOut() {
	for i := range l.out {
		o := &l.out[i]
		switch {
		case o.code != 0:
			o.client.conn.Close(o.code)
		case !l.queue(o.client, o.frame) && o.client.session != nil:
			l.detach(o.client.session)
		}
	}
	clear(l.out)
	l.out = l.out[:0]
	deliveries.Add(float64(l.delivered)) // once per batch: one counter for all is dear where thousands get the same
	l.pace.add(l.delivered)
	l.delivered = 0
}

// queue hands a frame to a connection. It reports false where that is too slow, and closed.
func (l *loop) queue(c *client, frame []byte) bool {
	if c.parked != nil {
		return c.keep(frame, l.cfg.QueueBytes)
	}
	return c.conn.Queue(frame)
}
