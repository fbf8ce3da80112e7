package api

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/starling-chat/starling/proto/pb"
)

var joinedCalls = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_api_joined_calls_total",
	Help: "Calls that an edge repeated while this core had them in hand, and that were answered with it."})

// InHand is the calls that this core is about to answer. An edge that has waited for some time repeats a call, lest it died with another core.
// A repeat that meets its first try here waits for its answer and is no work: when a core is slow, all calls are repeated, and it would be
// slow for ever under several times the load that made it so. The zero value is ready.
type inHand struct {
	mu    sync.Mutex
	calls map[callID][]func([]byte) // who waits
}

// A callID is of an edge's making: what one edge names is no other's to hear.
type callID struct{ edge, id string }

// take notes who asked; true if the call is now the caller's to answer, with give.
func (h *inHand) take(in *pb.RestCall, reply func([]byte)) bool {
	id := callID{in.Edge, string(in.Id)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == nil {
		h.calls = map[callID][]func([]byte){}
	}
	waiting, taken := h.calls[id]
	if taken {
		joinedCalls.Inc()
	}
	h.calls[id] = append(waiting, reply)
	return !taken
}

// give answers all who asked.
func (h *inHand) give(in *pb.RestCall, answer []byte) {
	id := callID{in.Edge, string(in.Id)}
	h.mu.Lock()
	waiting := h.calls[id]
	delete(h.calls, id)
	h.mu.Unlock()
	for _, reply := range waiting {
		reply(answer)
	}
}
