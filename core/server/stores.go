package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/core/pebble"
	"github.com/starling-chat/starling/core/redis"
	"github.com/starling-chat/starling/core/sqlstore"
)

// DirectoryFile is the name of SQLite's file in a core's folder.
const DirectoryFile = "directory.db"

// historyPatience is how long a core that starts waits for the history, before it serves without: sends wait for it meanwhile, and what
// the owners then lack they have from notes.
const historyPatience = time.Second

// Stores are what a core keeps: directory, history, and what is of the moment. Cores of one process share embedded ones; all others open
// their own, of the same servers.
type Stores struct {
	directory *sqlstore.Store
	history   core.History
	presences core.Presences
	limiter   core.Limiter
	registry  core.Registry
	seats     *api.Seats // nil = rights are asked of the directory
	closers   []func() error
	log       *slog.Logger
}

// OpenStores opens what cfg names. It waits for a history that is not there yet, but not for long, since owners can do without, and not at
// all for Redis.
func OpenStores(ctx context.Context, cfg Config) (*Stores, error) {
	s := &Stores{log: cfg.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx, cfg); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Stores) open(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return err
	}
	var err error
	if s.directory, err = sqlstore.Open(ctx, cmp.Or(cfg.Postgres, filepath.Join(cfg.DataDir, DirectoryFile)), s.log); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	s.closers = append(s.closers, s.directory.Close)
	if len(cfg.CQL.Hosts) == 0 {
		s.history, err = pebble.Open(filepath.Join(cfg.DataDir, "history"))
	} else {
		c := cfg.CQL
		c.Log, c.Patience = s.log, cmp.Or(c.Patience, historyPatience)
		s.history, err = cql.Open(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	s.closers = append(s.closers, s.history.Close)
	if cfg.Redis == "" {
		s.presences, s.limiter, s.registry = memory.NewPresences(), memory.NewLimiter(time.Now), memory.NewRegistry(time.Now)
		if cfg.Postgres == "" { // SQLite: all cores are in this process, and no owner elsewhere would have to be heard
			s.seats = api.NewSeats(memory.NewCache(time.Now), time.Now)
		}
		return nil
	}
	r, err := redis.Open(ctx, cfg.Redis, s.log)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, r.Close)
	s.presences, s.limiter, s.registry, s.seats = r.Presences(), r.Limiter(), r.Registry(), api.NewSeats(r.Cache(), time.Now)
	return nil
}

// Close closes all of it, what was opened last first.
func (s *Stores) Close() {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Error("close stores", "err", err)
	}
}

// owned is the directory as owners of buckets are to have it.
func (s *Stores) owned() core.Directory {
	if s.seats == nil {
		return s.directory
	}
	return s.seats.Directory(s.directory)
}
