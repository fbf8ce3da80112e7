package edge

import (
	"testing"

	"github.com/starling-chat/starling/core/resume"
)

// simMutation is what the cores of worlds leave out.
var simMutation resume.Mutation

// simForgetful has registries and tombs be lost often, and numbers go far: what tombs and the half-space are for comes up in one of ten thousand schedules else.
var simForgetful bool

// Each mutation of the real code breaks the promise, and the simulation sees it soon.
func TestSimulationCatches(t *testing.T) {
	const most = 6000
	for _, m := range []struct {
		name      string
		on        *bool
		forgetful bool
		from      uint64 // where one schedule of thousands sees it: the first that does is not far behind
	}{
		{"sockets before journal", &socketsFirst, false, 1},
		{"rights as of now for old entries", &rightsOfNow, false, 1},
		{"base off by one", &baseOff, false, 1},
		{"registry write after the first frame", &framesFirst, false, 1},
		{"one index for an event of several frames", &oneIndex, false, 1},
		{"no tombstone", &simMutation.NoTombs, true, 10_000},
		{"no half-space", &simMutation.NoHalf, true, 10_000},
	} {
		t.Run(m.name, func(t *testing.T) {
			simForgetful = m.forgetful
			defer func() { *m.on, simForgetful = false, false }()
			for seed := m.from; seed < m.from+most; seed++ {
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
