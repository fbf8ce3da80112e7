package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/proto"
)

// identityLife bounds how long a revoked token may still be taken here after another core revoked it.
const identityLife = 2 * time.Second

// An identity is whom a token stands for.
type identity struct {
	User  proto.ID
	Login proto.ID // of people; 0 for bots
}

func (i identity) bot() bool { return i.Login == 0 }

// identities checks tokens: bots against the directory, people by key and by whether their login lives. Any goroutine may call it.
type identities struct {
	directory core.Directory
	keys      *auth.Keys
	now       func() time.Time
	bots      *recent[[]byte] // user → token hash, nil if it is no bot
	logins    *recent[bool]
}

func newIdentities(d core.Directory, k *auth.Keys, now func() time.Time) *identities {
	return &identities{directory: d, keys: k, now: now, bots: newRecent[[]byte](now), logins: newRecent[bool](now)}
}

// check tells whom a token stands for, with or without "Bot " or "Bearer " in front. The error is auth.ErrBadToken, or that of a store
// that could not say.
func (i *identities) check(ctx context.Context, header string) (identity, error) {
	token := auth.Strip(header)
	if token == "" || len(token) > auth.MaxToken {
		return identity{}, auth.ErrBadToken
	}
	if bot, ok := auth.SplitBotToken(token); ok {
		return i.checkBot(ctx, bot)
	}
	claims, err := i.keys.Verify(token, i.now())
	if err != nil {
		return identity{}, err
	}
	alive, err := i.logins.get(claims.Login, func() (bool, error) { return i.directory.LoginAlive(ctx, claims.Login) })
	if err != nil {
		return identity{}, fmt.Errorf("login %d: %w", claims.Login, err)
	}
	if !alive {
		return identity{}, fmt.Errorf("%w: login revoked", auth.ErrBadToken)
	}
	return identity{User: claims.User, Login: claims.Login}, nil
}

func (i *identities) checkBot(ctx context.Context, t auth.BotToken) (identity, error) {
	hash, err := i.bots.get(t.User, func() ([]byte, error) {
		a, err := i.directory.Account(ctx, t.User)
		if errors.Is(err, core.ErrNotFound) || err == nil && !a.User.Bot {
			return nil, nil
		}
		return a.TokenHash, err
	})
	if err != nil {
		return identity{}, fmt.Errorf("bot %d: %w", t.User, err)
	}
	if !t.Matches(hash) {
		return identity{}, auth.ErrBadToken
	}
	return identity{User: t.User}, nil
}

// forgetBot and forgetLogin make a revocation through this core count at once.
func (i *identities) forgetBot(user proto.ID)    { i.bots.forget(user) }
func (i *identities) forgetLogin(login proto.ID) { i.logins.forget(login) }

const recentMax = 1 << 16

// recent remembers answers by id for identityLife.
type recent[V any] struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[proto.ID]recentEntry[V]
	changes uint64 // counts forgets, so that an answer asked for before one is not kept after it
}

type recentEntry[V any] struct {
	value V
	until time.Time
}

func newRecent[V any](now func() time.Time) *recent[V] {
	return &recent[V]{now: now, entries: make(map[proto.ID]recentEntry[V])}
}

func (r *recent[V]) get(id proto.ID, ask func() (V, error)) (V, error) {
	r.mu.Lock()
	e, found := r.entries[id]
	changes := r.changes
	r.mu.Unlock()
	if found && r.now().Before(e.until) {
		return e.value, nil
	}
	v, err := ask()
	if err != nil {
		return v, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) >= recentMax {
		clear(r.entries) // seconds' worth of answers: cheaper than an order
	}
	if changes == r.changes {
		r.entries[id] = recentEntry[V]{value: v, until: r.now().Add(identityLife)}
	}
	return v, nil
}

func (r *recent[V]) forget(id proto.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	delete(r.entries, id)
}
