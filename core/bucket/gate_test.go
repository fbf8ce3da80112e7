package bucket

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-chat/starling/core"
)

// A store freezes: one read waits for it, the rest fail at once, and now and then one looks whether it is back.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		frozen, asked := true, 0
		read := func() (took time.Duration, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), readTimeout)
			defer cancel()
			begun := time.Now()
			_, err = through(ctx, &g, historyRead, func(ctx context.Context) (int, error) {
				asked++
				if frozen {
					<-ctx.Done()
					return 0, ctx.Err()
				}
				return 0, core.ErrNotFound // an answer
			})
			return time.Since(begun), err
		}
		check := func(what string, want error, wantTook time.Duration, wantAsked int) {
			t.Helper()
			asked = 0
			took, err := read()
			if !errors.Is(err, want) || took != wantTook || asked != wantAsked {
				t.Errorf("%s: got %v after %v, asked %d times; want %v after %v, %d", what, err, took, asked, want, wantTook, wantAsked)
			}
			if away := want != core.ErrNotFound; core.Away(err) != away {
				t.Errorf("%s: %v says that the store is away: %v", what, err, !away)
			}
		}
		check("frozen", context.DeadlineExceeded, historyRead, 1)
		for range 3 {
			check("known to be frozen", core.ErrAway, 0, 0)
		}
		time.Sleep(gateMemory)
		check("looks again", context.DeadlineExceeded, gateProbe, 1)
		check("still frozen", core.ErrAway, 0, 0)
		frozen = false
		time.Sleep(gateMemory)
		check("back", core.ErrNotFound, 0, 1)
		check("open", core.ErrNotFound, 0, 1)
	})
}

// A read that is given up by its owner says nothing of the store.
func TestGateIgnoresCancelled(t *testing.T) {
	var g gate
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := through(ctx, &g, historyRead, func(ctx context.Context) (int, error) { return 0, ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, ok := g.enter(); !ok {
		t.Error("the gate is shut")
	}
}
