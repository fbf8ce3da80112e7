package role

import (
	"context"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
	"github.com/starling-chat/starling/relay"
)

// A Hub holds the log of a region.
type Hub struct {
	cfg     relay.HubConfig
	started chan struct{} // hub is set
	ready   chan struct{}
	hub     *relay.Hub
}

// NewHub makes a hub.
func NewHub(cfg relay.HubConfig) *Hub {
	return &Hub{cfg: cfg, started: make(chan struct{}), ready: make(chan struct{})}
}

// Run is Node's.
func (h *Hub) Run(ctx context.Context) error {
	hub, err := relay.StartHub(h.cfg)
	if err != nil {
		return err
	}
	defer hub.Stop()
	h.hub = hub
	close(h.started)
	if await(ctx, func() bool { return hub.Ready() == nil }) {
		close(h.ready)
		<-ctx.Done()
	}
	return nil
}

// Ready is Node's: the hub was within a majority of its peers once.
func (h *Hub) Ready() <-chan struct{} { return h.ready }

// Probes is Node's.
func (h *Hub) Probes() admin.Probes {
	return admin.Probes{Role: "hub", Name: h.cfg.Name, Pages: page("hub", h.started, func() any { return h.hub.Info() }), Ready: func() error {
		if err := started(h.started); err != nil {
			return err
		}
		return h.hub.Ready()
	}}
}
