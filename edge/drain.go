package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/proto"
)

const (
	maxDrainWindow = time.Hour              // that an operator may ask for
	drainLook      = 100 * time.Millisecond // whether all have gone by themselves
)

var (
	errDrains   = errors.New("edge: drains")
	errStopping = errors.New("edge: it is stopping, which nobody can undo")
)

// drains is the drain of an edge: there is one at a time. An operator's leaves the edge unready until it is undone; that of its end is the last.
type drains struct {
	mu   sync.Mutex
	now  *drain // nil: none, the edge serves
	last bool   // no other begins, and this one is not undone
}

// A drain sends everybody elsewhere: unready first; then op 7 to each client at a moment of its own within the window, so that they do not come
// back as one; then close 1012 to each a grace after its op 7. It is over when all are gone, or the last grace and a close handshake are.
type drain struct {
	window time.Duration
	delay  time.Duration
	began  time.Time
	taken  int64 // sessions that other edges had taken before
	stop   context.CancelFunc
	over   chan struct{} // closed when it has ended

	clients, sessions, told, closed atomic.Int64
}

// Drain begins to send everybody elsewhere within a window and returns. The edge goes on, unready and without clients, until Undrain or its end. A
// drain under way gives way to this one.
func (s *Server) Drain(window time.Duration) error {
	_, err := s.beginDrain(window, false)
	return err
}

// Undrain has the edge serve again, where a drain has ended as where it is under way.
func (s *Server) Undrain() error {
	s.drains.mu.Lock()
	defer s.drains.mu.Unlock()
	switch d := s.drains.now; {
	case s.drains.last:
		return errStopping
	case d == nil:
		return nil
	default:
		d.stop()
		<-d.over
	}
	s.drains.now = nil
	s.loop.draining.Store(false)
	s.serving.Store(true)
	s.cfg.Log.Info("edge serves again")
	return nil
}

// drainLast is the drain of the edge's end.
func (s *Server) drainLast(ctx context.Context, window time.Duration) {
	d, err := s.beginDrain(window, true)
	if err != nil {
		return // it was the end already
	}
	<-d.over
	_ = s.loop.journaledSoon(ctx, nil, 0) // what is not stored by then the leaf has got, and may pass on
}

// noDrain says that none is to begin any more.
func (s *Server) noDrain() {
	s.drains.mu.Lock()
	defer s.drains.mu.Unlock()
	s.drains.last = true
}

func (s *Server) beginDrain(window time.Duration, last bool) (*drain, error) {
	if !s.started() {
		return nil, errNotServing
	}
	s.drains.mu.Lock()
	defer s.drains.mu.Unlock()
	if s.drains.last {
		return nil, errStopping
	}
	d := &drain{window: window, began: time.Now(), taken: s.loop.taken.Load(), over: make(chan struct{})}
	if old := s.drains.now; old != nil {
		old.stop()
		<-old.over
	} else {
		d.delay = s.cfg.DrainDelay
	}
	ctx, stop := context.WithCancel(s.loop.ctx)
	d.stop = stop
	s.drains.now, s.drains.last = d, last
	s.serving.Store(false)
	s.cfg.Log.Info("edge drains", "connections", s.loop.open.Load(), "window", window)
	s.loop.task(func(context.Context) {
		defer close(d.over)
		defer stop()
		d.run(ctx, s.loop, s.cfg.DrainGrace)
	})
	return d, nil
}

func (d *drain) run(ctx context.Context, l *loop, grace time.Duration) {
	if !wait(ctx, d.delay) {
		return
	}
	l.draining.Store(true)
	clients := l.everyone(ctx)
	rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	d.clients.Store(int64(len(clients)))
	if n, err := ask(ctx, l, l.connected); err == nil {
		d.sessions.Store(int64(n))
	}
	start := time.Now()
	at := func(i int) time.Duration { return d.window * time.Duration(i) / time.Duration(len(clients)) }
	told := 0
	for closed := 0; closed < len(clients); {
		next := at(closed) + grace
		if told < len(clients) {
			next = min(next, at(told))
		}
		if !wait(ctx, min(max(time.Until(start.Add(next)), time.Nanosecond), drainLook)) || ctx.Err() != nil {
			return
		}
		for past := time.Since(start); told < len(clients) && at(told) <= past; told++ {
			if c := clients[told]; !c.sentAway { // by a drain before this one
				c.sentAway = true
				c.conn.Queue(l.constants.reconnect[c.compress])
			}
			d.told.Add(1)
		}
		for past := time.Since(start); closed < told && at(closed)+grace <= past; closed++ {
			clients[closed].conn.Close(proto.CloseRestart)
			d.closed.Add(1)
		}
		if told == len(clients) && l.open.Load() == 0 {
			return
		}
	}
	for _, c := range l.everyone(ctx) { // came in while the list was made
		c.conn.Close(proto.CloseRestart)
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	for l.open.Load() > 0 && wait(ctx, 20*time.Millisecond) {
	}
}

// everyone lists the connections, those that came before the loop knew that it drains included.
func (l *loop) everyone(ctx context.Context) []*client {
	list, _ := ask(ctx, l, func() []*client { // of a loop that has ended: none
		list := make([]*client, 0, len(l.clients))
		for c := range l.clients {
			list = append(list, c)
		}
		return list
	})
	return list
}

// connected counts the sessions that have a connection; for the loop.
func (l *loop) connected() (n int) {
	for _, s := range l.sessions {
		if s.client != nil {
			n++
		}
	}
	return n
}

// A DrainOrder is the body of POST drain of the console: to send everybody elsewhere within a window, or with Undo to serve again.
type DrainOrder struct {
	Window float64 `json:"window"` // seconds
	Undo   bool    `json:"undo"`
}

// Draining answers GET and POST drain: how far it is.
type Draining struct {
	Edge        string  `json:"edge"`
	Drains      bool    `json:"drains"`      // nobody is to come
	Over        bool    `json:"over"`        // nobody is left who could be told
	Stops       bool    `json:"stops"`       // and then the edge ends
	Window      float64 `json:"window"`      // seconds
	Left        float64 `json:"left"`        // seconds until the last client is closed
	Clients     int     `json:"clients"`     // connections when it began
	Told        int     `json:"told"`        // of these, to connect elsewhere
	Closed      int     `json:"closed"`      // of these, for their time was up; most have gone by then
	Connections int     `json:"connections"` // now
	Sessions    int     `json:"sessions"`    // that had a connection when it began
	Resumed     int     `json:"resumed"`     // sessions that other edges have taken since
	Waiting     int     `json:"waiting"`     // sessions that are still here, connected or not
}

// Draining tells how far a drain is.
func (s *Server) Draining(ctx context.Context) (Draining, error) {
	if !s.started() {
		return Draining{}, errNotServing
	}
	i := Draining{Edge: s.cfg.Name, Connections: int(s.loop.open.Load())}
	s.drains.mu.Lock()
	d := s.drains.now
	i.Stops = s.drains.last
	s.drains.mu.Unlock()
	if d != nil {
		i.Drains, i.Window = true, d.window.Seconds()
		i.Clients, i.Sessions, i.Told, i.Closed = int(d.clients.Load()), int(d.sessions.Load()), int(d.told.Load()), int(d.closed.Load())
		i.Resumed = int(s.loop.taken.Load() - d.taken)
		select {
		case <-d.over:
			i.Over = true
		default:
			i.Left = max(0, time.Until(d.began.Add(d.delay+d.window+s.cfg.DrainGrace)).Seconds())
		}
	}
	var err error
	i.Waiting, err = ask(ctx, s.loop, func() int { return len(s.loop.sessions) })
	return i, err
}

func (s *Server) orderDrain(w http.ResponseWriter, r *http.Request) {
	var o DrainOrder
	window, err := o.read(r)
	if err != nil {
		answerJSON(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	if o.Undo {
		err = errNotServing
		if s.started() {
			err = s.Undrain()
		}
	} else {
		err = s.Drain(window)
	}
	switch {
	case errors.Is(err, errStopping):
		answerJSON(w, http.StatusConflict, failure{err.Error()})
	case err != nil:
		answerJSON(w, http.StatusServiceUnavailable, failure{err.Error()})
	default:
		s.tellDrain(w, r)
	}
}

func (o *DrainOrder) read(r *http.Request) (window time.Duration, err error) {
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<10)).Decode(o); err != nil {
		return 0, fmt.Errorf("body: %w", err)
	}
	if o.Window < 0 || o.Window > maxDrainWindow.Seconds() {
		return 0, fmt.Errorf("window: want 0 to %.0f seconds", maxDrainWindow.Seconds())
	}
	return time.Duration(o.Window * float64(time.Second)), nil
}

func (s *Server) tellDrain(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), consoleTimeout)
	defer cancel()
	i, err := s.Draining(ctx)
	if err != nil {
		answerJSON(w, http.StatusServiceUnavailable, failure{err.Error()})
		return
	}
	answerJSON(w, http.StatusOK, i)
}
