package edge

import (
	"testing"

	"github.com/starling-chat/starling/core/resume"
)

// simMutation is what the cores of worlds leave out.
var simMutation resume.Mutation

// Each mutation of the real code breaks the promise, and the simulation sees it soon.
func TestSimulationCatches(t *testing.T) {
	const most = 3000
	for _, m := range []struct {
		name string
		on   *bool
	}{
		{"sockets before journal", &socketsFirst},
		{"rights as of now for old entries", &rightsOfNow},
		{"base off by one", &baseOff},
		{"registry write after the first frame", &framesFirst},
		{"one index for an event of several frames", &oneIndex},
		{"no tombstone", &simMutation.NoTombs},
		{"no half-space", &simMutation.NoHalf},
	} {
		t.Run(m.name, func(t *testing.T) {
			defer func() { *m.on = false }()
			for seed := uint64(1); seed <= most; seed++ {
				*m.on = true
				_, violation, _ := simOnce(t, seed, false)
				if *m.on = false; violation == "" {
					continue
				}
				if _, whole, _ := simOnce(t, seed, false); whole != "" {
					t.Fatalf("schedule %d breaks the promise without the mutation: %s", seed, whole)
				}
				t.Logf("caught by schedule %d: %s", seed, violation)
				return
			}
			t.Errorf("not caught within %d schedules", most)
		})
	}
}
