package api_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The bucket has no owner yet when Alice registers, and this core is told to stop while she waits: she is answered all the same.
func TestCallOutlivesAMissingOwnerAndAStop(t *testing.T) {
	n := newNode(t, false)
	ready, stopAPI := n.startAPI()
	wait(t, ready)
	answered := make(chan answer, 1)
	go func() {
		answered <- n.call("", "POST", "/auth/register", map[string]string{"username": "alice", "password": "alice password"})
	}()
	waitRetry(t)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stopAPI() }()
	n.startOwner()
	select {
	case a := <-answered:
		n.want(a, 201)
	case <-time.After(15 * time.Second):
		t.Fatal("not answered")
	}
	wait(t, stopped)
}

// waitRetry waits until some command was sent again because nobody served it.
func waitRetry(t *testing.T) {
	t.Helper()
	before := retries(t)
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for retries(t) == before {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no retry in 10 s")
		}
	}
}

func retries(t *testing.T) (n float64) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == "starling_dispatch_retries_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
