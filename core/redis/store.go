package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timeout of a call, unless the URL names another one as read_timeout. Beyond it no answer is worth waiting for.
const Timeout = 150 * time.Millisecond

// perCommand is added for each command of a pipeline.
const perCommand = 100 * time.Microsecond

// A Store is one Redis, or one cluster. Any goroutine may use it.
type Store struct {
	client   goredis.UniversalClient
	log      *slog.Logger
	breakers breakers
	presence *Presences
	registry *Registry
	limiter  *Limiter
	cache    *Cache
}

// Presences, Registry, Limiter and Cache implement what core names so.
func (s *Store) Presences() *Presences { return s.presence }
func (s *Store) Registry() *Registry   { return s.registry }
func (s *Store) Limiter() *Limiter     { return s.limiter }
func (s *Store) Cache() *Cache         { return s.cache }

// Open makes a store of redis://[user@]host:port/db, or rediss:// for TLS. passfile=FILE holds the password, addr=HOST:PORT names further nodes
// and makes it a cluster, and the options of go-redis's ParseURL count. A Redis that does not answer is no error: it is away, and may come.
func Open(ctx context.Context, address string, log *slog.Logger) (*Store, error) {
	quiet()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{log: log}
	if err := s.connect(address); err != nil {
		return nil, err
	}
	s.presence, s.registry, s.cache = newPresences(s.client), &Registry{s.client}, &Cache{s.client}
	s.limiter = newLimiter(s.client)
	if err := s.client.Ping(ctx).Err(); err != nil {
		s.breakers.openAll(err)
	}
	return s, nil
}

// connect makes the client and starts nothing.
func (s *Store) connect(address string) error {
	single, cluster, err := parse(address)
	switch {
	case err != nil:
		return err
	case cluster != nil:
		cluster.NewClient = s.node
		s.client = goredis.NewClusterClient(cluster)
	default:
		s.client = s.node(single)
	}
	return nil
}

// Check tells what is wrong with a URL for Open.
func Check(address string) error {
	_, _, err := parse(address)
	return err
}

// parse reads a URL of one server or of a cluster. Its errors do not show the URL: it may hold a password.
func parse(address string) (*goredis.Options, *goredis.ClusterOptions, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil, errors.New("redis: URL not understood")
	}
	q := u.Query()
	if file := q.Get("passfile"); file != "" {
		password, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("redis: passfile: %w", err)
		}
		u.User = url.UserPassword(u.User.Username(), strings.TrimSpace(string(password)))
	}
	q.Del("passfile")
	u.RawQuery = q.Encode()
	if !q.Has("addr") {
		o, err := goredis.ParseURL(u.String())
		return o, nil, err // which begins with "redis:"
	}
	o, err := goredis.ParseClusterURL(u.String())
	if err != nil {
		return nil, nil, err
	}
	o.ContextTimeoutEnabled, o.Protocol, o.DisableIdentity, o.MaxRedirects = true, 2, true, 3
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return nil, o, nil
}

// node makes the client of one server, with a breaker of its own: a dead node of a cluster takes no other with it.
func (s *Store) node(o *goredis.Options) *goredis.Client {
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = Timeout
	}
	o.WriteTimeout, o.DialTimeout, o.PoolTimeout = o.ReadTimeout, o.ReadTimeout, o.ReadTimeout
	o.ContextTimeoutEnabled = true
	o.MaxRetries, o.DialerRetries = 1, 1 // one more, for a connection that died in the pool
	o.MinRetryBackoff, o.MaxRetryBackoff = time.Millisecond, 8*time.Millisecond
	o.Protocol, o.DisableIdentity = 2, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := goredis.NewClient(o)
	c.AddHook(s.breakers.add(c, o.Addr, o.ReadTimeout, s.log))
	return c
}

// Close ends all connections.
func (s *Store) Close() error {
	s.breakers.close()
	return s.client.Close()
}

// quiet stops what go-redis would write to stderr: the breaker says what there is to say.
var quiet = sync.OnceFunc(func() { goredis.SetLogger(discard{}) })

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}
