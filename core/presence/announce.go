package presence

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	announceBatch = 256 // users read at once
	guildsAtOnce  = 8   // questions to the directory
	announceTries = 5   // then others see the user's next change
	announcePause = time.Second
)

// announce tells guilds of users whose presence has changed, until the queue is closed and empty or ctx ends. It tells how they look when it
// comes to them, not what the change was: several changes of one user come to one announcement, and the order in which calls ended does not matter. What it
// has told it compares with the store once more: where several cores announce one user, the last to speak says what is true.
func (s *Server) announce(ctx context.Context) {
	for {
		batch := s.queue.take(ctx, announceBatch)
		if len(batch) == 0 {
			return
		}
		again := s.announceAll(ctx, batch)
		s.queue.settle(len(batch), again)
		if len(again) > 0 && !pause(ctx, announcePause) {
			return
		}
	}
}

// announceAll returns those that have to be tried again.
func (s *Server) announceAll(ctx context.Context, batch []*announcement) (again []*announcement) {
	now, err := s.read(ctx, batch)
	if err != nil {
		return s.failed(batch)
	}
	told := make([]bool, len(batch))
	var g errgroup.Group
	g.SetLimit(guildsAtOnce)
	for i, a := range batch {
		p := now[a.user]
		if a.known.Same(p) {
			told[i] = true
			continue // it went there and back
		}
		g.Go(func() error {
			told[i] = s.tell(ctx, p)
			return nil
		})
	}
	_ = g.Wait()
	var failed, spoke []*announcement
	for i, a := range batch {
		switch {
		case !told[i]:
			failed = append(failed, a)
		case !a.known.Same(now[a.user]):
			a.known, a.tries = now[a.user], 0
			spoke = append(spoke, a)
		}
	}
	if since, err := s.read(ctx, spoke); err == nil {
		for _, a := range spoke {
			if !a.known.Same(since[a.user]) {
				s.queue.add(core.PresenceChange{Before: a.known, After: since[a.user]})
			}
		}
	}
	return s.failed(failed)
}

// failed counts a try, and lets go of those that had enough.
func (s *Server) failed(batch []*announcement) (again []*announcement) {
	for _, a := range batch {
		if a.tries++; a.tries < announceTries {
			again = append(again, a)
			continue
		}
		announced.WithLabelValues("lost").Inc()
	}
	return again
}

// read tells how users look now. Those offline are there too.
func (s *Server) read(ctx context.Context, batch []*announcement) (map[proto.ID]core.Presence, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	users := make([]proto.ID, 0, len(batch))
	now := make(map[proto.ID]core.Presence, len(batch))
	for _, a := range batch {
		users = append(users, a.user)
		now[a.user] = core.Presence{User: a.user}
	}
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	list, err := s.cfg.Presences.Presences(ctx, users)
	if err != nil {
		storeErrors.WithLabelValues("presences").Inc()
		return nil, err
	}
	for _, p := range list {
		if p.Status.Visible() {
			now[p.User] = p
		}
	}
	return now, nil
}

// tell publishes p to each guild of the user; false where their list is not to be had.
func (s *Server) tell(ctx context.Context, p core.Presence) bool {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	guilds, err := s.cfg.Guilds.GuildsOf(ctx, p.User)
	if err != nil {
		s.log.Warn("presence not announced", "user", p.User, "err", err)
		return false
	}
	for _, g := range guilds {
		body, err := gproto.Marshal(event(g, p))
		if err == nil {
			err = s.cfg.Bus.Publish(relay.EphemeralSubject(s.cfg.Region, g.Bucket()), body)
		}
		if err != nil {
			s.log.Warn("presence not announced", "guild", g, "err", err)
			announced.WithLabelValues("failed").Inc()
			return false
		}
	}
	announced.WithLabelValues("ok").Inc()
	published.Add(float64(len(guilds)))
	return true
}

// event is the PRESENCE_UPDATE of one guild.
func event(guild proto.ID, p core.Presence) *pb.Event {
	d := proto.Presence{User: proto.PresenceUser{ID: p.User}, GuildID: guild, Status: p.Status, Activities: p.Activities, ClientStatus: p.Devices}
	if !p.Status.Visible() {
		d.Status, d.Activities, d.ClientStatus = proto.StatusOffline, nil, nil
	}
	if len(d.Activities) == 0 {
		d.Activities = json.RawMessage("[]")
	}
	if d.ClientStatus == nil {
		d.ClientStatus = map[string]proto.Status{}
	}
	body, err := json.Marshal(d)
	if err != nil {
		panic(err) // activities were read as a list of JSON when they came in
	}
	return &pb.Event{Type: proto.EventPresenceUpdate, Guild: uint64(guild), Id: uint64(p.User), User: uint64(p.User), Author: uint64(p.User), Body: body}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
