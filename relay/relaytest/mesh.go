// Package relaytest starts a real hub and real leaves on free ports for tests. It is not for production code.
package relaytest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/relay"
)

// Region of every test mesh, and Secret of its servers.
const (
	Region = "local"
	Secret = "test-secret"
)

// A Mesh is a hub with leaves.
type Mesh struct {
	Hub    *relay.Hub
	Leaves []*relay.Leaf
	Dir    string // of the hub

	client, leaf string // addresses of the hub, kept over restarts
}

// Start runs a hub and so many leaves, and returns when all are joined. They end with the test.
func Start(t testing.TB, leaves int) *Mesh {
	t.Helper()
	m := &Mesh{Dir: t.TempDir(), client: "127.0.0.1:0", leaf: "127.0.0.1:0"}
	m.StartHub(t)
	t.Cleanup(m.StopHub)
	for range leaves {
		m.AddLeaf(t, m.Hub.LeafURL())
	}
	for i, l := range m.Leaves {
		Until(t, fmt.Sprintf("leaf %d joins", i), l.Connected)
	}
	return m
}

// StartHub runs the hub again, on its ports and directory, after StopHub.
func (m *Mesh) StartHub(t testing.TB) {
	t.Helper()
	hub, err := relay.StartHub(relay.HubConfig{
		Name: "hub", Region: Region, Dir: m.Dir, ClientAddr: m.client, LeafAddr: m.leaf, Secret: Secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Hub = hub
	m.client, m.leaf = hub.ClientURL()[len("nats://"):], hub.LeafURL()[len("nats://"):]
}

// StopHub ends the hub; twice does no harm.
func (m *Mesh) StopHub() {
	if m.Hub != nil {
		m.Hub.Stop()
		m.Hub = nil
	}
}

// AddLeaf runs a leaf that joins the hub at a URL, which may be a proxy's.
func (m *Mesh) AddLeaf(t testing.TB, url string) *relay.Leaf {
	t.Helper()
	l, err := relay.StartLeaf(relay.LeafConfig{
		Name: fmt.Sprintf("leaf-%d", len(m.Leaves)), Region: Region, ClientAddr: "127.0.0.1:0", HubURLs: []string{url}, Secret: Secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Leaves = append(m.Leaves, l)
	t.Cleanup(l.Stop)
	return l
}

// CoreBus connects to the hub.
func (m *Mesh) CoreBus(t testing.TB) *relay.Bus {
	t.Helper()
	return Bus(t, m.Hub.ClientURL(), "core")
}

// EdgeBus connects to leaf i.
func (m *Mesh) EdgeBus(t testing.TB, i int) *relay.Bus {
	t.Helper()
	return EdgeBus(t, m.Leaves[i].ClientURL(), fmt.Sprintf("edge-%d", i))
}

// Bus connects to hubs as a core; it closes with the test.
func Bus(t testing.TB, url, name string) *relay.Bus {
	t.Helper()
	return connect(t, relay.Config{URL: url, Secret: Secret, Name: name, Region: Region})
}

// EdgeBus connects to a leaf as an edge; it closes with the test.
func EdgeBus(t testing.TB, url, name string) *relay.Bus {
	t.Helper()
	return connect(t, relay.Config{URL: url, Edge: true, Secret: Secret, Name: name, Region: Region})
}

func connect(t testing.TB, cfg relay.Config) *relay.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	b, err := relay.Connect(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Request sends a request as an edge does: what certainly was not executed is sent again, for a leaf hears of a new server a moment after
// the hub.
func Request(t testing.TB, bus *relay.Bus, subject string, body []byte) (answer []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	Until(t, "an answer on "+subject, func() bool {
		var err error
		answer, err = bus.Request(ctx, subject, body)
		if err != nil && !errors.Is(err, relay.ErrNobody) {
			t.Fatal(err)
		}
		return err == nil
	})
	return answer
}

// Until waits until ok, for at most 20 s.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}
