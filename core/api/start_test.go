package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/proto"
)

func limitedServer(c *clock) *Server {
	return &Server{cfg: Config{Now: c.now}, limiter: memory.NewLimiter(c.now)}
}

// Shirin's bot starts with many shards: 16 at once, the next ones wait their turn, up to 10 s, and what is beyond is refused and costs nothing.
func TestSessionStarts(t *testing.T) {
	c := newClock()
	s := limitedServer(c)
	starts := 0
	var last time.Duration
	for range 100 {
		wait, allowed := s.takeStart(t.Context(), 5)
		if !allowed {
			break
		}
		starts++
		if want := max(0, time.Duration(starts-startConcurrency)*startWindow/startConcurrency); wait != want {
			t.Fatalf("start %d waits %v, want %v", starts, wait, want)
		}
		last = wait
	}
	if starts != 48 || last != startPatience {
		t.Errorf("%d starts, the last waits %v; want 48 and %v", starts, last, startPatience)
	}
	if left := s.startsLeft(t.Context(), 5); left.Remaining != 1000-48 || left.Total != 1000 || left.MaxConcurrency != 16 || left.ResetAfter <= 0 {
		t.Errorf("/gateway/bot says %+v", left)
	}
	if left := s.startsLeft(t.Context(), 6); left.Remaining != 1000 || left.ResetAfter != 0 {
		t.Errorf("another bot: %+v", left)
	}
	for starts < startTotal {
		c.add(startWindow / startConcurrency)
		if _, allowed := s.takeStart(t.Context(), 5); !allowed {
			break
		}
		starts++
	}
	if starts < startTotal || starts > startTotal+5 { // a day's budget grows a little meanwhile
		t.Errorf("%d starts before the day's total is used up, want some %d", starts, startTotal)
	}
	for range 10 {
		c.add(startWindow / startConcurrency)
		s.takeStart(t.Context(), 5)
	}
	c.add(startWindow)
	if _, allowed := s.takeStart(t.Context(), 5); allowed {
		t.Error("a start beyond the day's total")
	}
	if left := s.startsLeft(t.Context(), 5); left.Remaining != 0 {
		t.Errorf("nothing is left, and /gateway/bot says %+v", left)
	}
	c.add(2 * time.Minute)
	if _, allowed := s.takeStart(t.Context(), 5); !allowed {
		t.Error("no start comes back")
	}
}

// An address that tries 10,000 bad tokens is refused before its next token is looked at; its neighbour is not.
func TestInvalidByAddress(t *testing.T) {
	c := newClock()
	s := limitedServer(c)
	from := func(remote string) *call {
		r := httptest.NewRequest("GET", "/users/@me", nil)
		r.RemoteAddr = remote
		return &call{Request: r, w: httptest.NewRecorder()}
	}
	for range limitInvalid.Burst {
		s.countInvalid(from("192.0.2.1"))
	}
	bad := from("192.0.2.1")
	err := s.takeAddress(bad)
	e, ok := err.(*proto.Error)
	if !ok || e.Status != http.StatusTooManyRequests || e.Global == nil || !*e.Global || bad.w.Header().Get("X-RateLimit-Global") != "true" {
		t.Errorf("got %v %v, want a global 429", err, bad.w.Header())
	}
	if err := s.takeAddress(from("192.0.2.2")); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
	c.add(time.Minute)
	if err := s.takeAddress(bad); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	refused := 0
	for range limitAddress.Burst + 10 {
		if s.takeAddress(from("192.0.2.3")) != nil {
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("%d refused of 10 beyond the limit of an address", refused)
	}
}
