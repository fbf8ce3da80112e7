// Package server is one core node: stores, the owner of the buckets, and the API, on one connection to the hub. It wires and decides
// nothing; it knows no edge.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/core/api"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/console"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/core/dispatch"
	"github.com/starling-chat/starling/core/ownership"
	"github.com/starling-chat/starling/core/presence"
	"github.com/starling-chat/starling/relay"
)

// leaveTimeout bounds how long a core that stops gives its buckets to others.
const leaveTimeout = 15 * time.Second

// Config of a core node.
type Config struct {
	Name       string
	Region     string
	DataDir    string         // keys/ is made in it, and directory.db and history/ unless these are elsewhere
	Postgres   string         // URL of the directory; "" = SQLite in DataDir
	CQL        cql.Config     // cluster of the history; without Hosts it is Pebble in DataDir
	Stores     *Stores        // of several cores in one process, instead of those; who opened them closes them
	Redis      string         // URL of what is of the moment; "" = in process
	HubURL     string         // of all hubs of the region, separated by commas
	MeshTLS    relay.TLSFiles // by which hubs know the core
	Secret     string         // does so in plain text
	LogStreams int            // how many streams the log has, fixed when it is made; 0 = 1
	LogBytes   int64          // that each hub keeps of the log at most, a day's worth or more; 0 = no bound
	RateLimits bool           // false: headers only
	Admit      int            // sessions that may begin here a second, and as many that move between edges; 0 = 200 per processor
	AccessLife time.Duration  // of a person's JWT; 0 = 15 min
	Hasher     []string       // program that computes password hashes, see auth.HasherConfig; empty = here
	Presence   time.Duration  // how long an edge that says nothing is believed; 0 = core.PresenceTTL, which is also the most
	Log        *slog.Logger

	TestSwitches bool // the console lets tests break it, see switches.go; never in a mesh that anybody depends on
}

// A Server is a core node. Make it with New, start it with Run once.
type Server struct {
	cfg     Config
	log     *slog.Logger
	ready   chan struct{}
	owner   atomic.Pointer[bucket.Owner] // nil until it runs
	bus     atomic.Pointer[relay.Bus]
	front   atomic.Pointer[api.Server]
	console atomic.Pointer[console.Console]
	claims  atomic.Pointer[ownership.Claims]
}

// New makes a core node and starts nothing.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, log: cfg.Log.With("core", cfg.Name, "region", cfg.Region), ready: make(chan struct{})}
}

// Ready is closed once the node owns its buckets and answers calls.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Check compares the node's tables; an error also while it is not ready or has lost the hub.
func (s *Server) Check() error {
	select {
	case <-s.ready:
	default:
		return errors.New("core: not ready")
	}
	if bus := s.bus.Load(); bus == nil || !bus.Connected() {
		return errors.New("core: no connection to the hub")
	}
	return s.owner.Load().Check()
}

// Routes lists what the API answers; an error while it does not answer yet.
func (s *Server) Routes() ([]string, error) {
	front := s.front.Load()
	if front == nil {
		return nil, errors.New("core: not ready")
	}
	return front.Routes()
}

// Run serves until ctx ends, then stops from the outside in: the API, which lets its calls finish, the owner, the stores, the connection.
// It waits for a hub that is not there yet.
func (s *Server) Run(ctx context.Context) error {
	err := s.run(ctx)
	select {
	case <-s.ready:
		return err
	default:
	}
	if ctx.Err() != nil {
		return nil // stopped while it started
	}
	return err
}

func (s *Server) run(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("core: %w", err)
	}
	keys, err := auth.OpenKeys(filepath.Join(s.cfg.DataDir, "keys"))
	if err != nil {
		return fmt.Errorf("core: %w", err)
	}
	bus, err := relay.Connect(ctx, relay.Config{URL: s.cfg.HubURL, TLS: s.cfg.MeshTLS, Secret: s.cfg.Secret, Name: s.cfg.Name, Region: s.cfg.Region,
		Log: s.log})
	if err != nil {
		return fmt.Errorf("core: %w", err)
	}
	defer bus.Close()
	stores := s.cfg.Stores
	if stores == nil {
		if stores, err = OpenStores(ctx, s.cfg); err != nil {
			return fmt.Errorf("core: %w", err)
		}
		defer stores.Close()
	}
	eventLog, err := relay.OpenLog(ctx, bus, max(s.cfg.LogStreams, 1))
	if err != nil {
		return fmt.Errorf("core: log: %w", err)
	}
	if err := eventLog.Limit(ctx, s.cfg.LogBytes); err != nil {
		return fmt.Errorf("core: %w", err)
	}
	journals, err := relay.OpenJournals(ctx, bus)
	if err != nil {
		return fmt.Errorf("core: %w", err)
	}
	tombs, err := relay.OpenTombs(ctx, bus)
	if err != nil {
		return fmt.Errorf("core: %w", err)
	}
	claims := ownership.New(ownership.Config{Name: s.cfg.Name, Region: s.cfg.Region, Bus: bus, Log: s.log})
	owner := bucket.New(bucket.Config{Name: s.cfg.Name, Region: s.cfg.Region, Log: eventLog, Bus: bus, Claims: claims, Directory: stores.owned(),
		History: stores.history, Logger: s.log})
	front := api.New(api.Config{Region: s.cfg.Region, Name: s.cfg.Name, Bus: bus, Directory: stores.directory, History: stores.history, Keys: keys, Now: owner.Now, Near: owner.Near,
		RateLimits: s.cfg.RateLimits, Admit: s.cfg.Admit, AccessLife: s.cfg.AccessLife, Hasher: s.cfg.Hasher, Logger: s.log,
		Limiter: stores.limiter, Presences: stores.presences, Seats: stores.seats, Journals: journals, Tombs: api.Tombs(tombs), Registry: stores.registry})
	s.owner.Store(owner)
	s.claims.Store(claims)
	s.bus.Store(bus)
	s.front.Store(front)
	commands := dispatch.New(bus, s.log)
	commands.Now, commands.Near = owner.Now, owner.Near
	s.console.Store(console.New(console.Config{Directory: stores.directory, Owner: owner, Claims: claims, Hub: bus.Peer, Since: time.Now(), Commands: commands, Forget: front.Forget}))
	about := presence.New(presence.Config{Region: s.cfg.Region, Bus: bus, Presences: stores.presences, Guilds: stores.directory, TTL: s.cfg.Presence, Now: owner.Now, Logger: s.log})
	return s.serve(ctx, owner, claims, front, about.Run, journals.Run, tombs.Run)
}

// serve runs the owner around the API: it is there before the first call and until after the last. When ctx ends the buckets are given to
// other cores first, while everything here still works. The rest needs neither.
func (s *Server) serve(ctx context.Context, owner *bucket.Owner, claims *ownership.Claims, front *api.Server, rest ...func(context.Context) error) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	owning, stopOwner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOwner()
	g, failed := errgroup.WithContext(serving) // ends after ctx, and when a part fails
	g.Go(func() error {
		defer stopServing()
		select {
		case <-ctx.Done():
		case <-failed.Done():
			return nil
		}
		leaving, cancel := context.WithTimeout(failed, leaveTimeout)
		defer cancel()
		if err := claims.Leave(leaving); err != nil {
			s.log.Warn("buckets were not all handed over", "err", err)
		}
		return nil
	})
	g.Go(func() error { return owner.Run(owning) })
	for _, run := range rest {
		g.Go(func() error { return run(failed) })
	}
	g.Go(func() error {
		defer stopOwner()
		select {
		case <-owner.Ready():
		case <-failed.Done():
			return nil
		}
		return front.Run(failed)
	})
	g.Go(func() error {
		select {
		case <-front.Ready():
			s.log.Info("core ready")
			close(s.ready)
		case <-failed.Done():
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("core: %w", err)
	}
	return nil
}
