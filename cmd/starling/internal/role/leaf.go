package role

import (
	"context"
	"errors"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
	"github.com/starling-chat/starling/relay"
)

// A Leaf is what the edges of one place connect to.
type Leaf struct {
	cfg     relay.LeafConfig
	started chan struct{} // leaf is set
	ready   chan struct{} // and was connected to a hub once
	leaf    *relay.Leaf
}

// NewLeaf makes a leaf.
func NewLeaf(cfg relay.LeafConfig) *Leaf {
	return &Leaf{cfg: cfg, started: make(chan struct{}), ready: make(chan struct{})}
}

// Run is Node's.
func (l *Leaf) Run(ctx context.Context) error {
	leaf, err := relay.StartLeaf(l.cfg)
	if err != nil {
		return err
	}
	defer leaf.Stop()
	l.leaf = leaf
	close(l.started)
	if await(ctx, leaf.Connected) {
		close(l.ready)
		<-ctx.Done()
	}
	return nil
}

// Ready is Node's: the leaf has reached a hub.
func (l *Leaf) Ready() <-chan struct{} { return l.ready }

// Probes is Node's.
func (l *Leaf) Probes() admin.Probes {
	return admin.Probes{Role: "leaf", Name: l.cfg.Name, Pages: page("leaf", l.started, func() any { return l.leaf.Info() }), Ready: func() error {
		if err := started(l.started); err != nil {
			return err
		}
		if !l.leaf.Connected() {
			return errors.New("no link to a hub")
		}
		return nil
	}}
}
