package edge

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/starling-chat/starling/proto"
)

// drain sends everybody elsewhere: unready first; then op 7 to each client at a moment of its own within the window, so that they do not come
// back as one; then close 1012 to each a grace after its op 7. It returns when all are gone, or the last grace and a close handshake are over.
func (s *Server) drain(ctx context.Context) {
	s.serving.Store(false)
	s.cfg.Log.Info("edge drains", "connections", s.loop.open.Load())
	if !wait(ctx, s.cfg.DrainDelay) {
		return
	}
	s.loop.draining.Store(true)
	clients := s.loop.everyone()
	rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	start := time.Now()
	at := func(i int) time.Duration { return s.cfg.DrainWindow * time.Duration(i) / time.Duration(len(clients)) }
	told := 0
	for closed := 0; closed < len(clients); {
		next := at(closed) + s.cfg.DrainGrace
		if told < len(clients) {
			next = min(next, at(told))
		}
		if !wait(ctx, time.Until(start.Add(next))) {
			return
		}
		for past := time.Since(start); told < len(clients) && at(told) <= past; told++ {
			clients[told].conn.Queue(s.loop.constants.reconnect[clients[told].compress])
		}
		for past := time.Since(start); closed < told && at(closed)+s.cfg.DrainGrace <= past; closed++ {
			clients[closed].conn.Close(proto.CloseRestart)
		}
		if told == len(clients) && s.loop.open.Load() == 0 {
			return
		}
	}
	for _, c := range s.loop.everyone() { // came in while the list was made
		c.conn.Close(proto.CloseRestart)
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	for s.loop.open.Load() > 0 && wait(ctx, 20*time.Millisecond) {
	}
}

// everyone lists the connections, those that came before the loop knew that it drains included.
func (l *loop) everyone() []*client {
	answer := make(chan []*client, 1)
	if !l.post(listAsk{answer}) {
		return nil
	}
	select {
	case list := <-answer:
		return list
	case <-l.ctx.Done():
		return nil
	}
}

// listAsk asks for all connections.
type listAsk struct{ answer chan<- []*client }

func (m listAsk) apply(l *loop) {
	list := make([]*client, 0, len(l.clients))
	for c := range l.clients {
		list = append(list, c)
	}
	m.answer <- list
}
