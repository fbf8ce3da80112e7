package server

import (
	"context"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/core/redis"
)

// volatile is what a core keeps of the moment: in Redis, which all cores of the region share, or in this process.
type volatile struct {
	presences core.Presences
	limiter   core.Limiter
	cache     core.Cache
	close     func() error
}

func (s *Server) openVolatile(ctx context.Context) (volatile, error) {
	if s.cfg.Redis == "" {
		return volatile{memory.NewPresences(), memory.NewLimiter(time.Now), memory.NewCache(time.Now), func() error { return nil }}, nil
	}
	r, err := redis.Open(ctx, s.cfg.Redis, s.log)
	if err != nil {
		return volatile{}, err
	}
	return volatile{r.Presences(), r.Limiter(), r.Cache(), r.Close}, nil
}
