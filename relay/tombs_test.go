package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// counter reads a counter of this process.
func counter(t testing.TB, name string) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestTombs(t *testing.T) {
	m := relaytest.Start(t, 0)
	var tombs [2]*relay.Tombs
	for i := range tombs {
		var err error
		if tombs[i], err = relay.OpenTombs(soon(t), m.CoreBus(t)); err != nil {
			t.Fatal(err)
		}
		runs(t, tombs[i].Run)
	}
	for n := range 5 {
		key := fmt.Sprintf("edge-0.17.%d", n)
		if _, err := tombs[0].Tomb(soon(t), key); !errors.Is(err, relay.ErrNoTomb) {
			t.Fatalf("nothing is buried: got %v", err)
		}
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				body := fmt.Sprint("to edge ", i)
				switch err := tombs[i%2].Bury(soon(t), key, []byte(body)); {
				case err == nil:
					won.Add(1)
					winner.Store(body)
				case !errors.Is(err, relay.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 8 won", won.Load())
		}
		for i := range tombs {
			if b, err := tombs[i].Tomb(soon(t), key); err != nil || string(b) != winner.Load() {
				t.Errorf("core %d: got %q, %v, want %q", i, b, err, winner.Load())
			}
		}
		if err := tombs[1].Bury(soon(t), key, []byte(winner.Load().(string))); err != nil {
			t.Errorf("the winner again: got %v", err)
		}
	}
	for _, key := range []string{"", "*", ">", "a..b", "a.*", "a b", strings.Repeat("a.", 200) + "a"} {
		if err := tombs[0].Bury(soon(t), key, nil); err == nil {
			t.Errorf("buried under %.20q", key)
		}
		if _, err := tombs[0].Tomb(soon(t), key); err == nil || errors.Is(err, relay.ErrNoTomb) {
			t.Errorf("looked under %.20q: %v", key, err)
		}
	}
	if err := tombs[0].Bury(soon(t), "large", make([]byte, 600<<10)); !errors.Is(err, relay.ErrTooLarge) {
		t.Errorf("a large tomb: got %v", err)
	}

	m.StopHub() // takes the tombs along
	m.StartHub(t)
	relaytest.Until(t, "tombs can be dug again", func() bool { return tombs[0].Bury(soon(t), "edge-0.17.0", []byte("x")) == nil })
}
