package api_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
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

// An edge repeats Alice's registration three times, while this core waits for an owner. It is made once, and all four tries are answered.
func TestRepeatsOfACallInHand(t *testing.T) {
	n := newNode(t, false)
	ready, _ := n.startAPI()
	wait(t, ready)
	answered := make(chan answer, 4)
	before := metric(t, "starling_api_joined_calls_total")
	for range cap(answered) {
		go func() {
			answered <- n.callAs([]byte("a call repeated."), "", "POST", "/auth/register",
				map[string]string{"username": "alice", "password": "alice password"})
		}()
	}
	waitMetric(t, "starling_api_joined_calls_total", before+float64(cap(answered)-1))
	n.startOwner()
	var first answer
	for i := range cap(answered) {
		select {
		case a := <-answered:
			n.want(a, 201)
			if i == 0 {
				first = a
			}
			if !bytes.Equal(a.body, first.body) { // tokens are made anew each time that the call is
				t.Errorf("got %s, then %s", first.body, a.body)
			}
		case <-time.After(15 * time.Second):
			t.Fatal("not answered")
		}
	}
}

// What waited here until its edge gave it up is not begun.
func TestCallGivenUp(t *testing.T) {
	n := newNode(t, false)
	ready, _ := n.startAPI()
	wait(t, ready)
	raw, err := gproto.Marshal(&pb.RestCall{Id: []byte("a call given up."), DeadlineMs: time.Now().Add(-time.Millisecond).UnixMilli(),
		Method: "GET", Target: "/gateway"})
	must(t, err)
	var out pb.RestAnswer
	n.request(relay.RESTSubject(relaytest.Region), raw, &out)
	if out.Status != 503 {
		t.Errorf("got %d, want 503", out.Status)
	}
}

// waitRetry waits until some command was sent again because nobody served it.
func waitRetry(t *testing.T) {
	t.Helper()
	const retries = "starling_dispatch_retries_total"
	waitMetric(t, retries, metric(t, retries)+1)
}

// waitMetric waits until a counter is at least at a value.
func waitMetric(t *testing.T, name string, least float64) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for metric(t, name) < least {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s is %v after 10 s, want %v", name, metric(t, name), least)
		}
	}
}

// metric is a counter, over all its labels.
func metric(t *testing.T, name string) (n float64) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
