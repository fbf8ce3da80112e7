package edge

import (
	"context"
	"net/http"
	"time"

	"github.com/starling-chat/starling/edge/transport"
)

// A Standing answers GET edge of the console: where the edge stands.
type Standing struct {
	Name        string    `json:"name"`
	Since       time.Time `json:"since"`   // it was made
	Healthy     string    `json:"healthy"` // why nobody should be sent here; "" if all is well
	Drains      bool      `json:"drains"`
	Leaf        string    `json:"leaf"`     // to which it is connected; "" = to none
	BeatAge     *float64  `json:"beat_age"` // seconds since a hub was heard; null: never
	Connections int       `json:"connections"`
	Sessions    int       `json:"sessions"` // those that wait for RESUME included
	Detached    int       `json:"detached"` // these
	Guilds      int       `json:"guilds"`   // loaded, or on their way
	Buckets     int       `json:"buckets"`  // followed
	Queued      int       `json:"queued"`   // bytes that clients have not yet taken
	Slowest     int       `json:"slowest"`  // bytes of the one with most
	Delivered   int64     `json:"delivered"`
	Rate        float64   `json:"rate"`  // deliveries per second, over the last ten
	Inbox       int       `json:"inbox"` // messages that wait for the loop
}

// Standing tells where the edge stands. The loop is asked for little: who is connected is looked at outside.
func (s *Server) Standing(ctx context.Context) (Standing, error) {
	if !s.started() {
		return Standing{}, errNotServing
	}
	l := s.loop
	i := Standing{Name: s.cfg.Name, Since: s.since, Drains: l.draining.Load() || !s.serving.Load(), Leaf: s.bus.Peer(), Buckets: s.reader.Followed(),
		Delivered: l.pace.total.Load(), Rate: l.pace.perSecond(), Inbox: len(l.inbox)}
	if err := s.Healthy(); err != nil {
		i.Healthy = err.Error()
	}
	if at := s.reader.LastBeat(); !at.IsZero() {
		age := time.Since(at).Seconds()
		i.BeatAge = &age
	}
	type tables struct {
		sessions, detached, guilds int
		conns                      []transport.Conn
	}
	t, err := ask(ctx, l, func() tables {
		t := tables{sessions: len(l.sessions), guilds: len(l.guilds), conns: make([]transport.Conn, 0, len(l.clients))}
		for _, s := range l.sessions {
			if s.client == nil {
				t.detached++
			}
		}
		for c := range l.clients {
			t.conns = append(t.conns, c.conn)
		}
		return t
	})
	i.Connections, i.Sessions, i.Detached, i.Guilds = len(t.conns), t.sessions, t.detached, t.guilds
	for _, c := range t.conns {
		waits := c.Waiting()
		i.Queued += waits
		i.Slowest = max(i.Slowest, waits)
	}
	return i, err
}

func (s *Server) standing(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), consoleTimeout)
	defer cancel()
	i, err := s.Standing(ctx)
	if err != nil {
		answerJSON(w, http.StatusServiceUnavailable, failure{err.Error()})
		return
	}
	answerJSON(w, http.StatusOK, i)
}
