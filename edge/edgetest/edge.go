package edgetest

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	pbuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/relay/relaytest"
)

func pbMarshal(m pbuf.Message) ([]byte, error) { return pbuf.Marshal(m) }

// An Edge runs until the test ends, or Stop.
type Edge struct {
	*edge.Server
	t    testing.TB
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// StartEdge runs an edge on port 0 behind leaf i. alter may change its configuration.
func StartEdge(t testing.TB, mesh *relaytest.Mesh, i int, alter func(*edge.Config)) *Edge {
	t.Helper()
	cfg := edge.Config{Name: "edge-test", Region: relaytest.Region, LeafURL: mesh.Leaves[i].ClientURL(), Secret: relaytest.Secret,
		HTTPAddr: "127.0.0.1:0", DrainWindow: 50 * time.Millisecond, DrainGrace: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if alter != nil {
		alter(&cfg)
	}
	s, err := edge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Edge{Server: s, t: t, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		e.err = s.Run(ctx)
	}()
	t.Cleanup(func() { e.Stop() })
	select {
	case <-s.Ready():
	case <-e.done:
		t.Fatalf("edge ended: %v", e.err)
	case <-time.After(20 * time.Second):
		t.Fatal("edge is not ready after 20 s")
	}
	return e
}

// Stop drains the edge and waits for it; twice does no harm.
func (e *Edge) Stop() error {
	e.stop()
	select {
	case <-e.done:
	case <-time.After(30 * time.Second):
		e.t.Error("edge does not stop")
	}
	return e.err
}
