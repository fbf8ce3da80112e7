package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// A Login is what an account is used with. It is a secret.
type Login struct {
	User    string    `json:"user"` // name
	Token   string    `json:"token"`
	Refresh string    `json:"refresh_token,omitempty"` // works once; none for bots
	Expires time.Time `json:"expires"`                 // of Token; zero = never
}

// A TokenStore keeps the login. Several processes may share one: Update must hold others off while change runs, and give it what is stored
// at that moment. A refresh token works once, so two processes must not use the same. A Client makes one call of it at a time.
type TokenStore interface {
	Load() (Login, error)
	Update(change func(Login) (Login, error)) (Login, error)
}

// memory is a TokenStore of one process.
type memory struct {
	mu sync.Mutex
	l  Login
}

func (m *memory) Load() (Login, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.l, nil
}

func (m *memory) Update(change func(Login) (Login, error)) (Login, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := change(m.l)
	if err == nil {
		m.l = l
	}
	return l, err
}

// early is how long before its end a token is renewed.
const early = 30 * time.Second

// tokens hands out a token that is good for a while, and renews it.
type tokens struct {
	client *Client
	store  TokenStore

	mu   sync.Mutex // held over a renewal: others wait for its outcome
	have Login
}

func (t *tokens) set(l Login) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.have = l
	_, err := t.store.Update(func(Login) (Login, error) { return l, nil })
	return err
}

// stored is the login that the store has.
func (t *tokens) stored() (Login, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.store.Load()
}

// current is the token to use now, renewed if it is about to end; ErrLoggedOut if there is none.
func (t *tokens) current(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.have.Token == "" {
		l, err := t.store.Load()
		if err != nil {
			return "", err
		}
		t.have = l
	}
	if t.have.Token == "" && t.have.Refresh == "" {
		return "", ErrLoggedOut
	}
	if t.have.Token == "" || t.have.Refresh != "" && !t.have.Expires.IsZero() && time.Until(t.have.Expires) < early {
		if err := t.renewLocked(ctx, t.have.Token); err != nil && (errors.Is(err, ErrLoggedOut) || time.Until(t.have.Expires) <= 0) {
			return "", err
		}
	}
	return t.have.Token, nil
}

// renew replaces the token that the server refused; another's renewal of the same counts.
func (t *tokens) renew(ctx context.Context, refused string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.have.Token != refused {
		return nil
	}
	return t.renewLocked(ctx, refused)
}

func (t *tokens) renewLocked(ctx context.Context, old string) error {
	l, err := t.store.Update(func(stored Login) (Login, error) {
		if stored.Token != "" && stored.Token != old && (stored.Expires.IsZero() || time.Until(stored.Expires) > early) {
			return stored, nil // another process was faster
		}
		if stored.Refresh == "" {
			return stored, ErrLoggedOut
		}
		return t.client.refresh(ctx, stored)
	})
	if err == nil {
		t.have = l
	}
	return err
}

// refresh trades the refresh token for a new pair. It has a time-out of its own: every call waits for it, and other processes may.
func (c *Client) refresh(ctx context.Context, l Login) (Login, error) {
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	body, err := json.Marshal(map[string]string{"refresh_token": l.Refresh})
	if err != nil {
		return l, err
	}
	var a answer
	err = c.once(ctx, http.MethodPost, "/auth/refresh", "", body, &a)
	if e, ok := Refused(err); ok && e.Status < 500 {
		return l, ErrLoggedOut
	}
	if err != nil {
		return l, err
	}
	return a.login(), nil
}
