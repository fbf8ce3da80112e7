package edge

import (
	"encoding/json"
	"time"

	"github.com/starling-chat/starling/proto"
)

// A posture is how one session looks. Owned by the loop.
type posture struct {
	wish    wish
	encoded []byte // of the wish's activities
	device  string
	active  time.Time // when it began, came back or said how it wants to look

	window time.Time // of the limit on op 3
	wishes int       // in it
	held   *wish     // came beyond the limit
}

// look is what the session adds to its user's presence.
func (s *session) look() proto.Look {
	p := &s.posture
	return proto.Look{Status: p.wish.status, LastActive: p.active, Activities: p.encoded, Devices: map[string]proto.Status{p.device: p.wish.status}}
}

// pose makes a session look as it wishes.
func (l *loop) pose(s *session, w wish) {
	p := &s.posture
	encoded := w.encode(p.wish.activities, l.now())
	if p.wish.status != w.status {
		l.note(s, looksLike(w.status))
	}
	p.wish, p.encoded, p.active = w, encoded, l.now()
	l.reporter.changed(s.user)
}

// onPresence is op 3. Nobody is closed for it: what is not understood is let pass.
func (c *client) onPresence(d json.RawMessage) {
	w, err := readWish(d)
	if err != nil {
		framesIn.WithLabelValues("bad").Inc()
		return
	}
	c.loop.post(wishAsk{c, w})
}

// wishAsk is op 3, understood.
type wishAsk struct {
	client *client
	wish   wish
}

func (m wishAsk) apply(l *loop) {
	c := m.client
	if c.session == nil {
		if c.pending != nil {
			c.pending.wish = m.wish // libraries do not wait for READY
		}
		return
	}
	p, now := &c.session.posture, l.now()
	if now.Sub(p.window) >= wishWindow {
		p.window, p.wishes = now, 0
	}
	if p.wishes == maxWishes {
		limited.WithLabelValues("presence").Inc()
		p.held = &m.wish
		return
	}
	p.wishes++
	p.held = nil
	l.pose(c.session, m.wish)
}

// release lets the newest of the wishes that came too often take effect. Nobody shall stay visible who asked not to be.
func (l *loop) release(s *session, now time.Time) {
	p := &s.posture
	if p.held == nil || s.dropped || now.Sub(p.window) < wishWindow {
		return
	}
	w := *p.held
	p.window, p.wishes, p.held = now, 1, nil
	l.pose(s, w)
}
