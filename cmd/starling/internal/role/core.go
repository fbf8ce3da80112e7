package role

import (
	"context"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
	"github.com/starling-chat/starling/core/server"
)

// A Core is one core node.
type Core struct {
	name string
	srv  *server.Server
}

// NewCore makes a core.
func NewCore(cfg server.Config) *Core { return &Core{name: cfg.Name, srv: server.New(cfg)} }

// Run is Node's.
func (c *Core) Run(ctx context.Context) error { return c.srv.Run(ctx) }

// Ready is Node's: the core owns its buckets and answers.
func (c *Core) Ready() <-chan struct{} { return c.srv.Ready() }

// Probes is Node's.
func (c *Core) Probes() admin.Probes {
	return admin.Probes{Role: "core", Name: c.name, Ready: func() error { return started(c.srv.Ready()) }, Check: c.srv.Check,
		Routes: c.srv.Routes, Pages: c.srv.Console()}
}
