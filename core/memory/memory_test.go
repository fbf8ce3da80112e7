package memory

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/storetest"
	"github.com/starling-chat/starling/proto"
)

func TestPresences(t *testing.T) {
	p := NewPresences()
	storetest.Presences(t, p, p)
}

func TestRegistry(t *testing.T) {
	r := NewRegistry(time.Now)
	storetest.Registry(t, r, r)
}

func TestLimiter(t *testing.T) {
	l := NewLimiter(time.Now)
	storetest.Limiter(t, l, l)
}

func TestCache(t *testing.T) {
	c := NewCache(time.Now)
	storetest.Cache(t, c, c)
}

// Presence, registry and cache are filled beyond their bounds.
func TestMemoryIsBounded(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	p := NewPresences()
	p.most = 10
	for i := range 20 {
		_, err := p.Report(t.Context(), "e1", []core.PresenceReport{{Presence: core.Presence{User: proto.ID(i + 1), Status: "online"}}}, now)
		if (err != nil) != (i >= 10) {
			t.Errorf("user %d: %v", i, err)
		}
	}
	if len(p.users) != 10 || p.due.Len() != 10 {
		t.Errorf("%d users, %d reports, want 10", len(p.users), p.due.Len())
	}
	if _, err := p.Report(t.Context(), "e2", []core.PresenceReport{{Presence: core.Presence{User: 1, Status: "idle"}}}, now); err != nil {
		t.Errorf("another edge of somebody who is there: %v", err)
	}

	r := NewRegistry(clock)
	r.most = 10
	for i := range 30 {
		if err := r.Register(t.Context(), fmt.Sprint(i), 0, core.Registration{N: 1}, time.Minute); err != nil {
			t.Error(err)
		}
	}
	if len(r.sessions) > 10 {
		t.Errorf("%d sessions, want 10 at most", len(r.sessions))
	}

	c := NewCache(clock)
	c.most = 10_000
	for i := range 100 {
		if err := c.Keep(t.Context(), fmt.Sprint(i), "guild", 1, 1, make([]byte, 1000), time.Minute); err != nil {
			t.Error(err)
		}
		if c.size > c.most {
			t.Fatalf("%d bytes, want %d at most", c.size, c.most)
		}
	}
	// Positions that somebody may still be late for are not forgotten without being deaf for as long.
	for i := range 100 {
		if err := c.Void(t.Context(), fmt.Sprint(i), 1, 7); err != nil {
			t.Error(err)
		}
	}
	if err := c.Keep(t.Context(), "0", "guild", 1, 6, []byte("late"), time.Minute); err != nil {
		t.Error(err)
	}
	if b, err := c.Cached(t.Context(), "0", "guild"); err != nil || b[0] != nil {
		t.Errorf("found %q, %v, which is void", b, err)
	}
	now = now.Add(2 * core.CacheLate)
	if err := c.Keep(t.Context(), "0", "guild", 1, 7, []byte("seven"), time.Minute); err != nil {
		t.Error(err)
	}
	if b, err := c.Cached(t.Context(), "0", "guild"); err != nil || string(b[0]) != "seven" {
		t.Errorf("got %q, %v, want seven", b, err)
	}
	size := 0
	for name, g := range c.groups {
		size += len(name) + perKey
		for key, k := range g.kept {
			size += len(key) + len(k.body) + perKey
		}
	}
	if size != c.size {
		t.Errorf("%d bytes are kept, %d counted", size, c.size)
	}
}
