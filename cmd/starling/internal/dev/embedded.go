package dev

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/devca"
	"github.com/starling-chat/starling/cmd/starling/internal/role"
	"github.com/starling-chat/starling/core/server"
	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/relay"
)

// embedded makes the roles of a mesh inside this process.
type embedded struct {
	cfg   *Config
	cert  *tls.Certificate
	trust *devca.Mesh
	mesh  *meshFile
	log   *slog.Logger

	stores *server.Stores // that several cores share; nil: the only one opens its own
}

func newEmbedded(ctx context.Context, cfg *Config, files devca.Files, trust *devca.Mesh, mesh *meshFile, log *slog.Logger) (*embedded, error) {
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	m := &embedded{cfg: cfg, cert: &cert, trust: trust, mesh: mesh, log: log}
	if cfg.Cores > 1 {
		if m.stores, err = server.OpenStores(ctx, m.core(Row{})); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// close is called when all nodes have ended.
func (m *embedded) close() {
	if m.stores != nil {
		m.stores.Close()
	}
}

// core is the configuration of a core but for its certificate.
func (m *embedded) core(r Row) server.Config {
	return server.Config{Name: r.Name, Region: region, DataDir: m.cfg.path("core"), HubURL: r.upstream, RateLimits: m.cfg.RateLimits,
		AccessLife: accessLife, Presence: m.cfg.PresenceTTL, Postgres: m.cfg.Postgres, Redis: m.cfg.Redis, CQL: m.cfg.CQL, Stores: m.stores,
		Hasher: m.cfg.Hasher, Log: m.log}
}

// node implements maker.
func (m *embedded) node(r Row) (role.Node, error) {
	r.PID = os.Getpid() // of all: to tools it is the same file
	if err := m.mesh.put(r); err != nil {
		return nil, err
	}
	files, err := m.trust.Issue(r.Role, r.Name)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	switch r.Role {
	case "hub":
		cfg := relay.HubConfig{Name: r.Name, Region: region, Dir: m.cfg.hubDir(r.Name), ClientAddr: r.NATS, LeafAddr: r.leafnodes,
			ClusterAddr: r.cluster, TLS: files, Log: m.log}
		if r.peers != "" {
			cfg.Peers = strings.Split(r.peers, ",")
		}
		return role.NewHub(cfg), nil
	case "leaf":
		return role.NewLeaf(relay.LeafConfig{Name: r.Name, Region: region, ClientAddr: r.NATS, HubURLs: strings.Split(r.upstream, ","),
			TLS: files, Log: m.log}), nil
	case "core":
		cfg := m.core(r)
		cfg.MeshTLS = files
		return role.NewCore(cfg), nil
	case "edge":
		cfg := edge.Config{Name: r.Name, Region: region, LeafURL: r.upstream, MeshTLS: files, HTTPAddr: r.HTTP, TLSAddr: r.TLS,
			PublicURL: m.cfg.PublicURL, DrainWindow: max(m.cfg.DrainWindow, time.Nanosecond), PresenceRefresh: role.PresenceRefresh(m.cfg.PresenceTTL), Log: m.log}
		if r.TLS != "" {
			cfg.Cert = m.cert
		}
		n, err := role.NewEdge(cfg)
		if err != nil {
			return nil, err
		}
		return n, nil
	}
	return nil, fmt.Errorf("no role %q", r.Role)
}

// page implements maker: the roles' pages are served here.
func (m *embedded) page(r Row) string { return r.Admin }
