package relay_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-chat/starling/relay/relaytest"
)

func gauge(t testing.TB, name string) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// The log is bounded: it forgets its oldest entries rather than take more, and the hub's figures tell before.
func TestLogKeepsItsLimit(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	log := openLog(t, mesh.CoreBus(t))
	const limit = 1 << 20
	for range 2 { // the second changes nothing
		if err := log.Limit(soon(t), limit); err != nil {
			t.Fatal(err)
		}
	}
	alice := takeOver(t, log, 3)
	text := strings.Repeat("x", 100<<10)
	for range 9 {
		mustAppend(t, alice, text)
	}
	relaytest.Until(t, "the hub tells that the log is nearly full", func() bool {
		return gauge(t, "starling_relay_log_limit_bytes") == limit && gauge(t, "starling_relay_log_bytes") > 0.8*limit
	})
	for range 9 {
		mustAppend(t, alice, text)
	}
	if n := len(logged(t, log, 3)); n < 5 || n > 10 {
		t.Errorf("got %d entries of 100 KiB in a log of 1 MiB", n)
	}
	if err := log.Limit(soon(t), 0); err != nil {
		t.Fatal(err)
	}
	before := len(logged(t, log, 3)) // which takes the bucket over
	alice = takeOver(t, log, 3)
	for range 9 {
		mustAppend(t, alice, text)
	}
	if n := len(logged(t, log, 3)); n != before+9 {
		t.Errorf("got %d entries without a limit, want %d", n, before+9)
	}
}
