package memory

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
)

// registryMax bounds sessions that are registered at once.
const registryMax = 1 << 20

// Registry implements core.Registry.
type Registry struct {
	now  func() time.Time
	most int

	mu       sync.Mutex
	sessions map[string]registration
}

type registration struct {
	core.Registration
	ends time.Time
}

// NewRegistry knows no session.
func NewRegistry(now func() time.Time) *Registry {
	return &Registry{now: now, most: registryMax, sessions: make(map[string]registration)}
}

// Registration implements core.Registry.
func (r *Registry) Registration(_ context.Context, session string) (core.Registration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, found := r.liveLocked(session)
	if !found {
		return core.Registration{}, core.ErrNotFound
	}
	return core.Registration{N: s.N, Body: bytes.Clone(s.Body)}, nil
}

func (r *Registry) liveLocked(session string) (registration, bool) {
	s, found := r.sessions[session]
	return s, found && s.ends.After(r.now())
}

// Register implements core.Registry. Beyond its bound it forgets what has ended, and then any.
func (r *Registry) Register(_ context.Context, session string, n uint64, to core.Registration, ttl time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, found := r.liveLocked(session)
	if !found {
		s = registration{}
	}
	written := found && s.N == to.N && bytes.Equal(s.Body, to.Body) // by the first try
	if s.N != n && !written {
		return core.ErrStale
	}
	if _, there := r.sessions[session]; !there && len(r.sessions) >= r.most {
		r.sweepLocked()
	}
	r.sessions[session] = registration{core.Registration{N: to.N, Body: bytes.Clone(to.Body)}, r.now().Add(ttl)}
	return nil
}

func (r *Registry) sweepLocked() {
	now := r.now()
	for id, s := range r.sessions {
		if !s.ends.After(now) {
			delete(r.sessions, id)
		}
	}
	for id := range r.sessions {
		if len(r.sessions) < r.most*3/4 {
			return
		}
		delete(r.sessions, id)
	}
}

// Forget implements core.Registry.
func (r *Registry) Forget(_ context.Context, session string, n uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, found := r.liveLocked(session)
	if !found || s.N != n {
		return core.ErrStale
	}
	delete(r.sessions, session)
	return nil
}
