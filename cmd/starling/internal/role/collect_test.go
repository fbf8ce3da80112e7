package role

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercent(t *testing.T) {
	for held, want := range map[uint64]int{0: 12800, 32 << 20: 400, 128 << 20: 100, 4 << 30: 100, math.MaxUint64: 100} {
		if got := percent(held); got != want {
			t.Errorf("got %d for %d bytes, want %d", got, held, want)
		}
	}
}

var sink []byte

// A process that holds little allocates for a while before anything is collected.
func TestCollectLate(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(minPercent)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	ctx, stop := context.WithCancel(t.Context())
	stop() // one look, no second
	collectLate(ctx)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	cycles := m.NumGC
	for range 64 { // of 128 MB
		sink = make([]byte, 1<<20)
	}
	if runtime.ReadMemStats(&m); m.NumGC != cycles {
		t.Errorf("collected %d times for half of the room", m.NumGC-cycles)
	}
}
