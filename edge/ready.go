package edge

import (
	"context"

	"github.com/starling-chat/starling/proto"
)

// READY names more than can be told again: guilds, and the direct channels of a list that changes. Where a session moves, what is known of its
// beginning is in the journal alone. So READY, and what comes behind it, stays here until the hubs have acknowledged the record that says so: an edge that
// is lost together with its link takes no beginning with it that a client knows of.

// parked is what a connection gets once READY is acknowledged.
type parked struct {
	frames [][]byte
	bytes  int
}

// park keeps what c is given from now on until the journal up to an index is acknowledged.
func (l *loop) park(c *client, index int64) {
	if l.journal == nil {
		return
	}
	p := new(parked)
	c.parked = p
	l.afterWrite = append(l.afterWrite, func() {
		l.task(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, ackTimeout)
			defer cancel()
			l.post(acknowledged{c, p, l.journal.WaitAcked(ctx, index)})
		})
	})
}

// keep is Queue for a connection whose READY waits.
func (c *client) keep(frame []byte, most int) bool {
	if c.parked.bytes += len(frame); c.parked.bytes > most && len(c.parked.frames) > 0 { // READY itself may be long
		c.conn.Close(proto.CloseRestart)
		return false
	}
	c.parked.frames = append(c.parked.frames, frame)
	return true
}

// acknowledged lets READY out.
type acknowledged struct {
	client *client
	parked *parked
	err    error
}

func (m acknowledged) apply(l *loop) {
	c := m.client
	if c.parked != m.parked || c.gone || c.session == nil {
		return
	}
	if m.err != nil {
		l.log.Warn("READY not acknowledged by the journal", "err", m.err)
		l.closeSession(c.session, proto.CloseRestart) // what is parked stays so
		return
	}
	c.parked = nil
	for _, f := range m.parked.frames {
		if !c.conn.Queue(f) {
			l.detach(c.session)
			return
		}
	}
}
