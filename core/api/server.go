package api

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/core/dispatch"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/core/resume"
)

// refreshLife is how long a person stays logged in without using the login.
const refreshLife = 90 * 24 * time.Hour

// A Bus is what a Server needs of relay.Bus.
type Bus interface {
	dispatch.Bus
	Serve(subject, queue string, workers int, h func(ctx context.Context, body []byte) []byte) (stop func(), err error)
	ServeCalls(subject, queue string, workers int, h func(ctx context.Context, body []byte, reply func([]byte))) (stop func(), err error)
}

// Config is what a Server is made of. All stores are used by any goroutine.
type Config struct {
	Region     string
	Name       string // of this core
	Bus        Bus
	Directory  core.Directory
	History    core.History
	Keys       *auth.Keys
	RateLimits bool          // false: headers only
	AccessLife time.Duration // of a person's JWT; 0 = 15 min
	Hasher     []string      // auth.HasherConfig's Command
	Logger     *slog.Logger
	Limiter    core.Limiter    // nil = in process
	Presences  core.Presences  // nil = in process
	Seats      *Seats          // the directory of the owners has to be its Directory, of all cores; nil = the directory is asked each time
	Journals   resume.Journals // of edges; nil = sessions are not resumed by this core
	Tombs      resume.Tombs    // of sessions that moved
	Registry   core.Registry   // of the same; nil = in process
	Now        func() time.Time
	// Near is of an owner in this process, as dispatch.Dispatcher has it; nil = none.
	Near func(bucket int, body []byte, reply func([]byte)) bool
	// Admit is how many sessions may begin a second, and as many move between edges; 0 = 200 per processor.
	Admit int
}

// A Server answers REST calls and the edges' rpcs. Any core's will do: it keeps only caches, seconds old at most where age matters.
type Server struct {
	cfg      Config
	log      *slog.Logger
	dispatch *dispatch.Dispatcher
	hasher   *auth.Hasher
	who      *identities
	limiter  core.Limiter
	channels *channelGuilds
	signer   *resume.Signer
	resume   *resume.Service // nil: see Config.Journals
	handler  http.Handler
	inHand   inHand
	admit    *admission
	ready    chan struct{}
	warned   atomic.Int64 // Unix seconds: see warn
}

// New makes a Server; Run starts it, Handler works without.
func New(cfg Config) *Server {
	if cfg.AccessLife <= 0 {
		cfg.AccessLife = 15 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Limiter == nil {
		cfg.Limiter = memory.NewLimiter(cfg.Now)
	}
	if cfg.Presences == nil {
		cfg.Presences = memory.NewPresences()
	}
	if cfg.Registry == nil {
		cfg.Registry = memory.NewRegistry(cfg.Now)
	}
	if !cfg.RateLimits {
		cfg.Limiter = unlimited{}
	}
	s := &Server{cfg: cfg, log: cfg.Logger, dispatch: dispatch.New(cfg.Bus, cfg.Logger),
		// Half of the cores are left to messages; 128 wait some 4 s.
		hasher:  auth.NewHasher(auth.HasherConfig{AtOnce: max(1, runtime.GOMAXPROCS(0)/2), Queue: 128, Command: cfg.Hasher, Log: cfg.Logger}),
		limiter: cfg.Limiter, channels: newChannelGuilds(cfg.Directory), ready: make(chan struct{})}
	s.dispatch.Now, s.dispatch.Near, s.admit = cfg.Now, cfg.Near, newAdmission(cfg.Admit)
	s.who = newIdentities(cfg.Directory, cfg.Keys, cfg.Now)
	s.signer = resume.NewSigner(cfg.Keys.Derive("session_id", nil))
	s.resume = s.newResume()
	s.handler = s.routes()
	return s
}

// Handler serves the API as HTTP.
func (s *Server) Handler() http.Handler { return s.handler }

// Ready is closed once Run serves every subject.
func (s *Server) Ready() <-chan struct{} { return s.ready }
