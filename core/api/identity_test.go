package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

// A directory goes away and comes back, under somebody who asks it what it said before.
func TestRecent(t *testing.T) {
	now := time.Now()
	var (
		asked int
		says  = true
		away  error
	)
	r := newRecent[bool](func() time.Time { return now })
	get := func() (bool, error) {
		return r.get(t.Context(), 7, func(v bool) bool { return v }, func(context.Context) (bool, error) {
			asked++
			return says, away
		})
	}
	check := func(what string, want bool, wantErr error, times int) {
		t.Helper()
		asked = 0
		got, err := get()
		if !errors.Is(err, wantErr) || err == nil && got != want || asked != times {
			t.Errorf("%s: got %v, %v, asked %d times; want %v, %v, %d", what, got, err, asked, want, wantErr, times)
		}
	}
	gone := errors.New("gone")

	check("unknown", true, nil, 1)
	check("known", true, nil, 0)
	away = gone
	now = now.Add(identityLife)
	check("old, and nobody answers", true, nil, 1)
	check("at once again", true, nil, 0)
	now = now.Add(identityLife)
	check("later", true, nil, 1)
	away, says = nil, false
	now = now.Add(identityLife)
	check("back, and revoked meanwhile", false, nil, 1)
	check("known to be bad", false, nil, 0)
	away = gone
	now = now.Add(identityLife)
	check("bad, and nobody answers", false, gone, 1)

	away, says = nil, true
	check("good again", true, nil, 1)
	away = gone
	now = now.Add(identityStale)
	check("too old", false, gone, 1)

	away = nil
	check("back", true, nil, 1)
	r.forget(7)
	away = gone
	check("forgotten", false, gone, 1)
}

// While it is known that nobody answers, one caller at a time finds out whether that is still so, for all.
func TestRecentProbes(t *testing.T) {
	now := time.Now()
	r := newRecent[bool](func() time.Time { return now })
	good := func(v bool) bool { return v }
	get := func(id proto.ID, ask func() error) (asked bool) {
		t.Helper()
		v, err := r.get(t.Context(), id, good, func(context.Context) (bool, error) {
			asked = true
			return true, ask()
		})
		if !v || err != nil {
			t.Errorf("user %d: got %v, %v", id, v, err)
		}
		return asked
	}
	fine := func() error { return nil }
	gone := func() error { return errors.New("gone") }
	for id := range proto.ID(3) {
		get(id, fine)
	}
	now = now.Add(identityLife)
	if !get(0, gone) {
		t.Error("an old answer was taken without asking")
	}
	if get(1, gone) || get(2, gone) {
		t.Error("asked again at once, for another")
	}
	now = now.Add(identityLife)
	if !get(1, func() error {
		if get(2, gone) {
			t.Error("two ask at once")
		}
		return nil
	}) {
		t.Error("nobody looks whether it is back")
	}
	if !get(2, fine) {
		t.Error("back, and an old answer was taken without asking")
	}
}

// What is forgotten while it is asked for is not kept, nor taken from before.
func TestRecentForgottenMeanwhile(t *testing.T) {
	now := time.Now()
	r := newRecent[bool](func() time.Time { return now })
	good := func(v bool) bool { return v }
	if _, err := r.get(t.Context(), 7, good, func(context.Context) (bool, error) { return true, nil }); err != nil {
		t.Fatal(err)
	}
	now = now.Add(identityLife)
	gone := errors.New("gone")
	if got, err := r.get(t.Context(), 7, good, func(context.Context) (bool, error) {
		r.forget(7)
		return false, gone
	}); !errors.Is(err, gone) {
		t.Errorf("got %v, %v, want %v", got, err, gone)
	}
}

// However many are asked for, memory is bounded, and who was seen last is still known.
func TestRecentIsBounded(t *testing.T) {
	r := newRecent[bool](time.Now)
	for id := proto.ID(1); id <= 3*recentMax; id++ {
		if _, err := r.get(t.Context(), id, func(bool) bool { return true }, func(context.Context) (bool, error) { return true, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.young) + len(r.old); n > recentMax {
		t.Errorf("%d entries, want at most %d", n, recentMax)
	}
	if _, found := r.lookLocked(3*recentMax - recentMax/2 + 1); !found {
		t.Error("an entry of late is forgotten")
	}
}
