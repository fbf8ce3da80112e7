package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The network vanishes while Alice's token is renewed. Whoever waits for it, be it without a time-out, hears that it failed.
func TestRenewalThatNobodyAnswersEnds(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer s.Close()
	c, err := New(Config{URL: s.URL, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Use(Login{User: "alice", Token: "old", Refresh: "r", Expires: time.Now()}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if _, err := c.tokens.current(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("got %v, and the one who waited: %v", err, ctx.Err())
	}
	if _, err := c.tokens.current(ctx); errors.Is(err, ErrLoggedOut) {
		t.Error("she is logged out, though nobody said so")
	}
}

// A notebook is a store that knows nothing of goroutines.
type notebook struct {
	t      *testing.T
	client *Client
	login  Login
}

func (n *notebook) alone() {
	if n.client.tokens.mu.TryLock() {
		n.client.tokens.mu.Unlock()
		n.t.Error("another goroutine may be in the store")
	}
}

func (n *notebook) Load() (Login, error) { n.alone(); return n.login, nil }

func (n *notebook) Update(change func(Login) (Login, error)) (l Login, err error) {
	n.alone()
	if l, err = change(n.login); err == nil {
		n.login = l
	}
	return l, err
}

// Alice logs out while a call may be renewing her token: the store has one caller at a time.
func TestStoreHasOneCallerAtATime(t *testing.T) {
	s := newServer(t)
	n := &notebook{t: t, login: Login{User: "alice", Token: "old"}}
	c, err := New(Config{URL: s.http.URL, Tokens: n})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n.client = c
	if _, err := c.LogIn(t.Context(), "alice", "right"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Me(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.login.Refresh = "" // nothing to tell the server
	if err := c.LogOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.login.Token != "" {
		t.Errorf("still there: %+v", n.login)
	}
}
