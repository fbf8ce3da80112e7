// Package presence is the cores' side of presence: it answers what edges report of their users and ask of others, and tells guilds what has
// changed. It keeps nothing itself but who is to be announced: core.Presences knows how users look, edges know whose sessions may hear of it.
package presence

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay"
)

const (
	queue   = "core" // of all cores of the region, on the hubs only
	workers = 16     // calls at once, of each rpc

	callTimeout = 2500 * time.Millisecond // for the store; edges wait 3 s
	drain       = 3 * time.Second         // for calls that have begun when Run is to end
	lapseBatch  = 1000
)

// A Bus is what a Server needs of relay.Bus.
type Bus interface {
	Publish(subject string, body []byte) error
	Serve(subject, queue string, workers int, h func(ctx context.Context, body []byte) []byte) (stop func(), err error)
}

// Guilds tells whose guilds hear of a user. core.Directory does.
type Guilds interface {
	GuildsOf(ctx context.Context, user proto.ID) ([]proto.ID, error)
}

// Config is what a Server is made of. All of it is used by any goroutine.
type Config struct {
	Region     string
	Bus        Bus
	Presences  core.Presences
	Guilds     Guilds
	TTL        time.Duration // of what an edge reported last; 0 = core.PresenceTTL, which is also the most
	LapseEvery time.Duration // between looks for edges that are gone; 0 = 2 s
	QueueLen   int           // users whose change may wait to be announced; beyond, reports are refused and repeated; 0 = 100,000
	Logger     *slog.Logger
	Now        func() time.Time
}

// A Server answers the rpcs "presence" and "presences". Make it with New, start it with Run once.
type Server struct {
	cfg   Config
	log   *slog.Logger
	queue *announcements
	ready chan struct{}
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.TTL <= 0 || cfg.TTL > core.PresenceTTL {
		cfg.TTL = core.PresenceTTL
	}
	if cfg.LapseEvery <= 0 {
		cfg.LapseEvery = 2 * time.Second
	}
	if cfg.QueueLen <= 0 {
		cfg.QueueLen = 100_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, log: cfg.Logger, queue: newAnnouncements(cfg.QueueLen), ready: make(chan struct{})}
}

// Ready is closed once Run serves.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends, then lets the calls that have begun finish and announces what they changed.
func (s *Server) Run(ctx context.Context) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx by the drain
	defer cancel()
	announced := make(chan struct{})
	go func() {
		defer close(announced)
		s.announce(calls)
	}()
	var stops []func()
	defer func() {
		defer time.AfterFunc(drain, cancel).Stop()
		for _, stop := range stops {
			stop()
		}
		s.queue.close()
		<-announced
	}()
	for name, answer := range map[string]func(context.Context, []byte) []byte{"presence": s.answerReports, "presences": s.answerPresences} {
		stop, err := s.cfg.Bus.Serve(relay.RPCSubject(s.cfg.Region, name), queue, workers, func(_ context.Context, body []byte) []byte {
			ctx, done := context.WithTimeout(calls, callTimeout)
			defer done()
			return answer(ctx, body)
		})
		if err != nil {
			return fmt.Errorf("presence: %w", err)
		}
		stops = append(stops, stop)
	}
	close(s.ready)
	s.lapse(ctx)
	return nil
}

// lapse forgets, until ctx ends, what edges that are gone have reported.
func (s *Server) lapse(ctx context.Context) {
	tick := time.NewTicker(s.cfg.LapseEvery)
	defer tick.Stop()
	away := false // said once, until the store is back
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.lapseAll(ctx)
		if (err != nil) != away && ctx.Err() == nil {
			if away = err != nil; away {
				s.log.Warn("presence is away: everybody looks offline", "err", err)
			} else {
				s.log.Info("presence is back")
			}
		}
	}
}

// lapseAll goes on while there is more than one batch, as after the end of an edge with many users, and room to announce it.
func (s *Server) lapseAll(ctx context.Context) error {
	for !s.queue.full() {
		call, done := context.WithTimeout(ctx, callTimeout)
		changes, err := s.cfg.Presences.Lapse(call, s.cfg.Now().Add(core.PresenceTTL-s.cfg.TTL), lapseBatch) // stores know no other TTL
		done()
		if err != nil {
			storeErrors.WithLabelValues("lapse").Inc()
			return fmt.Errorf("lapse: %w", err)
		}
		s.changed("lapse", changes)
		if len(changes) == 0 {
			return nil
		}
	}
	return nil
}

func (s *Server) changed(by string, list []core.PresenceChange) {
	changes.WithLabelValues(by).Add(float64(len(list)))
	for _, c := range list {
		s.queue.add(c)
	}
}
