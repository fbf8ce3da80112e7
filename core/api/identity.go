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

const (
	// identityLife bounds how long a revoked token may still be taken here after another core revoked it, while the directory answers.
	identityLife = 2 * time.Second
	// identityStale is how long a token that was good stays good while the directory cannot say: no longer than a person's JWT would be
	// good if nobody was asked. What this core revoked it knows.
	identityStale = 15 * time.Minute
	// identityPatience bounds the question where an older answer is at hand: sends do not wait for a directory that is frozen.
	identityPatience = 250 * time.Millisecond
)

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
	alive, err := i.logins.get(ctx, claims.Login, func(alive bool) bool { return alive },
		func(ctx context.Context) (bool, error) { return i.directory.LoginAlive(ctx, claims.Login) })
	if err != nil {
		return identity{}, fmt.Errorf("login %d: %w", claims.Login, err)
	}
	if !alive {
		return identity{}, fmt.Errorf("%w: login revoked", auth.ErrBadToken)
	}
	return identity{User: claims.User, Login: claims.Login}, nil
}

func (i *identities) checkBot(ctx context.Context, t auth.BotToken) (identity, error) {
	hash, err := i.bots.get(ctx, t.User, t.Matches, func(ctx context.Context) ([]byte, error) {
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

// recent remembers answers by id for identityLife, and keeps them longer for when nobody answers.
type recent[V any] struct {
	now func() time.Time

	mu         sync.Mutex
	young, old map[proto.ID]recentEntry[V] // young becomes old when half the size is reached
	changes    uint64                      // counts forgets, so that an answer asked for before one is not kept after it
	away       time.Time                   // until then old answers count without asking: nobody answered a moment ago
	probing    bool                        // somebody asks, to see whether that is still so
}

type recentEntry[V any] struct {
	value V
	at    time.Time // when it was answered
}

func newRecent[V any](now func() time.Time) *recent[V] {
	return &recent[V]{now: now, young: make(map[proto.ID]recentEntry[V])}
}

// get gives a recent answer, or asks. Where asking fails, an older answer counts if it is good; a bad one does not: what was refused then
// may be right by now.
func (r *recent[V]) get(ctx context.Context, id proto.ID, good func(V) bool, ask func(context.Context) (V, error)) (V, error) {
	now := r.now()
	r.mu.Lock()
	e, found := r.lookLocked(id)
	if found && now.Before(e.at.Add(identityLife)) {
		r.mu.Unlock()
		return e.value, nil
	}
	spare := found && now.Before(e.at.Add(identityStale)) && good(e.value)
	known := !r.away.IsZero() // to be away
	if spare && known && (r.probing || now.Before(r.away)) {
		r.mu.Unlock()
		return e.value, nil
	}
	probe := spare && known
	r.probing = r.probing || probe
	changes := r.changes
	r.mu.Unlock()

	if spare {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, identityPatience)
		defer cancel()
	}
	v, err := ask(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if probe {
		r.probing = false
	}
	switch {
	case err == nil:
		r.away = time.Time{}
		if changes == r.changes {
			r.keepLocked(id, recentEntry[V]{value: v, at: r.now()})
		}
		return v, nil
	case spare && changes == r.changes: // else it may be what was forgotten meanwhile
		r.away = r.now().Add(identityLife)
		return e.value, nil
	}
	return v, err
}

func (r *recent[V]) lookLocked(id proto.ID) (recentEntry[V], bool) {
	e, found := r.young[id]
	if !found {
		e, found = r.old[id]
	}
	return e, found
}

func (r *recent[V]) keepLocked(id proto.ID, e recentEntry[V]) {
	if len(r.young) >= recentMax/2 {
		r.old, r.young = r.young, make(map[proto.ID]recentEntry[V])
	}
	r.young[id] = e
}

func (r *recent[V]) forget(id proto.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	delete(r.young, id)
	delete(r.old, id)
}
