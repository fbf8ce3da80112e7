package role

import (
	"context"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
	"github.com/starling-chat/starling/edge"
)

// An Edge takes clients.
type Edge struct {
	name string
	srv  *edge.Server
}

// NewEdge makes an edge.
func NewEdge(cfg edge.Config) (*Edge, error) {
	srv, err := edge.New(cfg)
	if err != nil {
		return nil, err
	}
	return &Edge{name: cfg.Name, srv: srv}, nil
}

// PresenceRefresh is how often an edge repeats what it told of its users, where cores believe it for ttl: one of two repeats may be lost.
func PresenceRefresh(ttl time.Duration) time.Duration { return ttl * 5 / 12 }

// Run is Node's: when ctx ends clients are sent elsewhere before sockets close.
func (e *Edge) Run(ctx context.Context) error {
	return e.srv.Run(ctx)
}

// Ready is Node's.
func (e *Edge) Ready() <-chan struct{} { return e.srv.Ready() }

// Probes is Node's. An edge that drains is healthy and not ready: nobody new is to come.
func (e *Edge) Probes() admin.Probes {
	return admin.Probes{Role: "edge", Name: e.name, Healthy: e.healthy, Check: e.srv.Check, Pages: e.srv.Console(), Ready: e.srv.Healthy}
}

// healthy passes while the edge starts: to restart it then would be no help.
func (e *Edge) healthy() error {
	if started(e.srv.Ready()) != nil {
		return nil
	}
	return e.srv.Linked()
}
