package dev

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func planOf(t *testing.T, dir string, cfg Config) (*plan, error) {
	t.Helper()
	kept, err := openPorts(context.Background(), filepath.Join(dir, "ports.json"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := makePlan(context.Background(), &cfg, kept)
	if err == nil {
		err = kept.save()
	}
	return p, err
}

var anywhere = Config{Edges: 3, Leaves: 2, HTTP: "127.0.0.1:0", TLS: "127.0.0.1:0", Admin: "127.0.0.1:0"}

func TestRolesAreFoundWhereTheyWere(t *testing.T) {
	dir := t.TempDir()
	first, err := planOf(t, dir, anywhere)
	if err != nil {
		t.Fatal(err)
	}
	second, err := planOf(t, dir, anywhere)
	if err != nil {
		t.Fatal(err)
	}
	if first.hubs[0] != second.hubs[0] || first.cores[0] != second.cores[0] {
		t.Errorf("got %+v and %+v, want the same", first.hubs[0], second.hubs[0])
	}
	seen := map[string]string{}
	for i, e := range second.edges {
		if e != first.edges[i] {
			t.Errorf("%s: got %+v, want %+v as before", e.Name, e, first.edges[i])
		}
		if want := "nats://" + second.leaves[i%2].NATS; e.upstream != want {
			t.Errorf("%s is behind %s, want %s", e.Name, e.upstream, want)
		}
		for _, addr := range []string{e.HTTP, e.TLS, e.Admin} {
			if seen[addr] != "" {
				t.Errorf("%s is given to %s and %s", addr, seen[addr], e.Name)
			}
			seen[addr] = e.Name
		}
	}
}

func TestKeptPortThatOthersTookIsReplaced(t *testing.T) {
	dir := t.TempDir()
	first, err := planOf(t, dir, anywhere)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", first.hubs[0].NATS)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	second, err := planOf(t, dir, anywhere)
	if err != nil {
		t.Fatal(err)
	}
	if second.hubs[0].NATS == first.hubs[0].NATS {
		t.Errorf("the hub is planned at %s, which is taken", second.hubs[0].NATS)
	}
	if second.hubs[0].Admin != first.hubs[0].Admin {
		t.Errorf("the hub's page moved from %s to %s, want only what was taken to move", first.hubs[0].Admin, second.hubs[0].Admin)
	}
}

func TestEdgesTakeConsecutivePorts(t *testing.T) {
	p, err := planOf(t, t.TempDir(), Config{Edges: 2, Leaves: 1, HTTP: "127.0.0.1:18080", TLS: "127.0.0.1:18443", Admin: "127.0.0.1:19090"})
	if err != nil {
		t.Fatal(err)
	}
	if e := p.edges[1]; e.HTTP != "127.0.0.1:18081" || e.TLS != "127.0.0.1:18444" || e.Admin != "127.0.0.1:19091" {
		t.Errorf("got %+v, want one port after the first edge's", e)
	}
}

func TestPortsThatOverlapAreMistakes(t *testing.T) {
	for _, cfg := range []Config{
		{Edges: 2, Leaves: 1, HTTP: "127.0.0.1:8080", TLS: "127.0.0.1:8081", Admin: "127.0.0.1:0"},
		{Edges: 1, Leaves: 1, HTTP: "127.0.0.1:8080", Admin: "127.0.0.1:0", VIP: "127.0.0.1:8080"},
		{Edges: 2, Leaves: 1, HTTP: "127.0.0.1:65535", Admin: "127.0.0.1:0"},
	} {
		if _, err := planOf(t, t.TempDir(), cfg); err == nil || !strings.Contains(err.Error(), "http") && !strings.Contains(err.Error(), "tls") {
			t.Errorf("%+v: got %v, want a mistake that names the key", cfg, err)
		}
	}
}

func TestLeavesFindHubsThroughALab(t *testing.T) {
	cfg := anywhere
	cfg.Hubs, cfg.LeafVia = 3, "127.0.0.1:4000"
	p, err := planOf(t, t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.leaves[1].upstream, "nats://127.0.0.1:4003,nats://127.0.0.1:4004,nats://127.0.0.1:4005"; got != want {
		t.Errorf("leaf-2 looks for hubs at %s, want %s", got, want)
	}
	cfg.LeafVia = "127.0.0.1:65534"
	if _, err := planOf(t, t.TempDir(), cfg); err == nil || !strings.Contains(err.Error(), "leaf-via") {
		t.Errorf("got %v, want leaf-via named: there are not enough ports", err)
	}
}
