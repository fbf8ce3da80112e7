package server

import (
	"context"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/core/redis"
)

// volatile is what a core keeps of the moment: in Redis, which all cores of the region share, or in this process.
type volatile struct {
	presences core.Presences
	limiter   core.Limiter
	seats     *api.Seats // nil = rights are asked of the directory
	close     func() error
}

// openVolatile opens Redis, which may be away. Without it, rights are cached only on SQLite: where there is one core, and no owner of another
// process that would have to be heard.
func (s *Server) openVolatile(ctx context.Context) (volatile, error) {
	if s.cfg.Redis == "" {
		v := volatile{presences: memory.NewPresences(), limiter: memory.NewLimiter(time.Now), close: func() error { return nil }}
		if s.cfg.Postgres == "" {
			v.seats = api.NewSeats(memory.NewCache(time.Now), time.Now)
		}
		return v, nil
	}
	r, err := redis.Open(ctx, s.cfg.Redis, s.log)
	if err != nil {
		return volatile{}, err
	}
	return volatile{r.Presences(), r.Limiter(), api.NewSeats(r.Cache(), time.Now), r.Close}, nil
}

// owned is the directory as owners of buckets are to have it.
func (v volatile) owned(d core.Directory) core.Directory {
	if v.seats == nil {
		return d
	}
	return v.seats.Directory(d)
}
