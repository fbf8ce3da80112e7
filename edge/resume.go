package edge

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/starling-chat/starling/proto"
)

func (c *client) onResume(d json.RawMessage) {
	var r proto.Resume
	if json.Unmarshal(d, &r) != nil {
		c.conn.Close(proto.CloseDecode)
		return
	}
	token := bareToken(r.Token)
	user, ok := claimedUser(token)
	if !ok || c.loop.cores.refusals.has(hashToken(token)) {
		resumes.WithLabelValues("bad_token").Inc()
		c.badToken()
		return
	}
	c.loop.post(resumeAsk{client: c, token: token, user: user, id: r.SessionID, seq: r.Seq})
}

// resumeAsk begins a resume.
type resumeAsk struct {
	client *client
	token  string
	user   proto.ID // as the token claims
	id     string
	seq    int64
}

func (m resumeAsk) apply(l *loop) {
	c := m.client
	if c.gone {
		return
	}
	if c.phase != fresh {
		c.conn.Close(proto.CloseIdentifiedTwice)
		return
	}
	if l.cutOff(l.now()) != nil { // others can go on with it
		resumes.WithLabelValues("no_answer").Inc()
		c.conn.Close(proto.CloseRestart)
		return
	}
	s := l.sessions[m.id]
	switch here := s != nil && s.held == nil && (l.journal == nil || s.reaches(m.seq)); {
	case here && s.token == hashToken(m.token):
		l.resume(s, c, m.seq)
		return
	case !here && l.journal != nil:
		l.resumeElsewhere(m)
		return
	}
	// A token that the session did not identify with, or no such session: a core says whether the token is worth op 9 or 4004.
	c.phase = identifying
	l.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
		defer cancel()
		ans, err := l.cores.identify(ctx, m.token, nil)
		v := verified{ask: m, err: err}
		if err == nil {
			v.user, v.auth = proto.ID(ans.User.User), proto.ID(ans.AuthSession)
		}
		l.post(v)
	})
}

// verified goes on with a resume once a core knows the token.
type verified struct {
	ask  resumeAsk
	user proto.ID
	auth proto.ID
	err  error
}

func (m verified) apply(l *loop) {
	c := m.ask.client
	if c.gone || c.phase != identifying {
		return
	}
	c.phase = fresh
	switch {
	case errors.Is(m.err, errBadToken):
		resumes.WithLabelValues("bad_token").Inc()
		c.badToken()
		return
	case m.err != nil:
		resumes.WithLabelValues("no_answer").Inc()
		c.conn.Close(proto.CloseRestart)
		return
	}
	s := l.sessions[m.ask.id]
	if s == nil || s.user != m.user {
		resumes.WithLabelValues("unknown").Inc()
		l.invalidate(c)
		return
	}
	s.token, s.auth = hashToken(m.ask.token), m.auth
	l.resume(s, c, m.ask.seq)
}

// reaches tells whether the session holds all that a client at seq lacks.
func (s *session) reaches(seq int64) bool {
	from := s.gen.base + min(max(seq, -1), 1<<32)
	return from <= s.told() && from >= s.ring.lost
}

// told is the index of the last dispatch that the client may have. A number above it is of a stay elsewhere, of which this edge has not heard.
func (s *session) told() int64 {
	if s.client == nil {
		return s.left
	}
	return s.last
}

// resume puts c in the place of the session's old connection, and repeats what it missed: then it is live again without a hole.
func (l *loop) resume(s *session, c *client, seq int64) {
	from := s.gen.base + min(max(seq, -1), 1<<32)
	if from > s.told() || from < s.ring.lost {
		outcome := "ahead"
		if from < s.ring.lost {
			outcome = "overflow"
		}
		resumes.WithLabelValues(outcome).Inc()
		if s.client == nil {
			l.drop(s) // nobody holds it, and who asked for it begins anew
		}
		l.invalidate(c)
		return
	}
	if old := s.client; old != nil {
		l.detach(s)
		l.hangUp(old, proto.CloseUnknown)
	}
	c.session, c.phase = s, live
	s.client = c
	s.ring.after(from, func(e *event) { l.send(s, e) })
	if s.client == nil {
		resumes.WithLabelValues("slow").Inc()
		return
	}
	s.posture.active = l.now()
	l.reporter.show(s)
	l.catchUp(s, from)
	resumes.WithLabelValues("ok").Inc()
	l.index++
	s.last = l.index
	l.send(s, &event{index: l.index, kind: proto.EventResumed, body: []byte("{}")})
}
