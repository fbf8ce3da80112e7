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
