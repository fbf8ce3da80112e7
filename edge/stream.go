package edge

import (
	"context"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
)

// streamPause is how long a replay rests while its client has not taken what it got.
const streamPause = 10 * time.Millisecond

// stream sends the replay of a move that is noted, no faster than the client takes it: half of what may wait for a connection. What the session gets
// live waits behind it.
func (l *loop) stream(v *move) {
	c := v.client
	for room := l.cfg.QueueBytes/2 - c.conn.Waiting(); v.sent < len(v.list); v.sent++ {
		if room <= 0 {
			l.task(func(ctx context.Context) {
				wait(ctx, streamPause)
				l.post(streamOn{v})
			})
			return
		}
		room -= l.replayed(v.session, v.list[v.sent].event, v.stay.Lo+int64(v.sent))
	}
	replays.Observe(float64(len(v.list)))
	v.list = nil
	l.goLive(v)
}

// streamOn goes on with a replay.
type streamOn struct{ move *move }

func (m streamOn) apply(l *loop) {
	if !m.move.session.dropped {
		l.stream(m.move)
	}
}

// goLive ends a move behind its replay.
func (l *loop) goLive(v *move) {
	s := v.session
	s.held, s.gen = nil, l.generationAt(v.stay.Base)
	if baseOff {
		s.gen = l.generationAt(v.stay.Base - 1)
	}
	l.send(s, &event{index: v.ic, kind: proto.EventResumed, body: []byte("{}")})
	for _, e := range v.held {
		s.last = max(s.last, e.index)
		if !e.fleeting {
			s.ring.push(e)
		}
		l.send(s, e)
	}
	if i := slices.Index(v.follows, s.bucket); i >= 0 { // the session's from now on
		v.follows = slices.Delete(v.follows, i, i+1)
	}
	l.endMove(v)
	for _, id := range v.later {
		if m := l.join(s, id, v.knows(id)); m != nil {
			m.homed = slices.Contains(v.in, id)
		}
	}
	for _, id := range v.joins {
		if m := l.join(s, id, false); m != nil {
			m.homed = slices.Contains(v.in, id)
		}
	}
	l.openDirects(v)
	l.reporter.show(s)
	l.catchUp(s, 0)
	resumes.WithLabelValues("moved").Inc()
}

// replayed sends one frame of a replay under its number, and tells how long it is.
func (l *loop) replayed(s *session, e *event, number int64) int {
	if s.client == nil {
		return 0
	}
	body := e.body
	if e.bareFor(s) {
		body = e.bare
	}
	l.payload = appendDispatch(l.payload[:0], e.kind, number, body)
	l.delivered++
	frame := l.encoder.frame(s.client.compress, l.payload, false)
	l.out = append(l.out, outgoing{client: s.client, frame: frame})
	return len(frame)
}

// generationAt is the generation of sessions that moved here with a base.
func (l *loop) generationAt(base int64) *generation {
	g := l.moved[base]
	if g == nil {
		g = &generation{base: base}
		l.moved[base] = g
	}
	return g
}
