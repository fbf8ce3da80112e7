package bucket

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func gaugeOf(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// What waits in queues is counted when it comes, when it is taken and when it is sent away.
func TestWaitingCommandsAreCounted(t *testing.T) {
	b := newBucket(&Owner{cfg: Config{Now: time.Now}, log: slog.New(slog.DiscardHandler)}, 3)
	before := gaugeOf(t, waitingCommands)
	waits := func(want float64) {
		t.Helper()
		if got := gaugeOf(t, waitingCommands) - before; got != want {
			t.Errorf("got %v waiting, want %v", got, want)
		}
	}
	moved := 0
	for range 5 {
		b.enqueue(&call{raw: []byte("x"), reply: func([]byte) { moved++ }})
	}
	waits(5)
	if b.pop() == nil {
		t.Fatal("nothing to take")
	}
	waits(4)
	b.turnAway()
	waits(0)
	if moved != 4 {
		t.Errorf("%d were told that the bucket moved, want 4", moved)
	}
	held := gaugeOf(t, heldCommands)
	b.hold(&call{})
	b.again, b.held = b.held, nil
	if got := gaugeOf(t, heldCommands) - held; got != 1 {
		t.Errorf("got %v held, want 1", got)
	}
	b.pop()
	if got := gaugeOf(t, heldCommands) - held; got != 0 {
		t.Errorf("got %v held, want none", got)
	}
}
