package role

import (
	"context"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
	"github.com/starling-chat/starling/relay"
)

// A Hub holds the log of a region.
type Hub struct {
	cfg   relay.HubConfig
	ready chan struct{}
	hub   *relay.Hub // set before ready is closed
}

// NewHub makes a hub.
func NewHub(cfg relay.HubConfig) *Hub { return &Hub{cfg: cfg, ready: make(chan struct{})} }

// Run is Node's.
func (h *Hub) Run(ctx context.Context) error {
	hub, err := relay.StartHub(h.cfg)
	if err != nil {
		return err
	}
	defer hub.Stop()
	h.hub = hub
	close(h.ready)
	<-ctx.Done()
	return nil
}

// Ready is Node's.
func (h *Hub) Ready() <-chan struct{} { return h.ready }

// Probes is Node's.
func (h *Hub) Probes() admin.Probes {
	return admin.Probes{Role: "hub", Name: h.cfg.Name, Ready: func() error { return started(h.ready) }}
}
