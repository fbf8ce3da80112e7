package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// minHubs is the least number of hubs that outlives one of them: two know no majority without both.
	minHubs = 3
	// maxReplicas is how many hubs keep each stream, however many there are.
	maxReplicas = 3

	progressEvery = 5 * time.Second // between words about peers that are missing
)

// clusterOptions join the hub to the region's others. A hub without ClusterAddr stands alone.
func clusterOptions(opts *server.Options, cfg HubConfig) error {
	if cfg.ClusterAddr == "" {
		if len(cfg.Peers) > 0 {
			return errors.New("peers without a cluster address")
		}
		return nil
	}
	if len(cfg.Peers)+1 < minHubs {
		return fmt.Errorf("%d peers: a region has one hub, or three and more", len(cfg.Peers))
	}
	host, port, err := splitAddr(cfg.ClusterAddr)
	if err != nil {
		return fmt.Errorf("cluster address: %w", err)
	}
	opts.Cluster = server.ClusterOpts{
		Name: "hubs-" + cfg.Region, Host: host, Port: port,
		Username: roleHub, Password: cfg.Secret,
		PingInterval: pingEvery, MaxPingsOut: 2, WriteDeadline: writeExpiry,
	}
	if cfg.Secret == "" {
		opts.Cluster.Username = ""
	}
	for _, raw := range cfg.Peers {
		u, err := withUser(raw, roleHub, cfg.Secret)
		if err != nil {
			return fmt.Errorf("peer: %w", err)
		}
		opts.Routes = append(opts.Routes, u)
	}
	// A stop is announced: leaders move to other hubs first, then clients and leaves are sent there.
	opts.LameDuckGracePeriod = 50 * time.Millisecond
	opts.LameDuckDuration = 500 * time.Millisecond
	return nil
}

// Ready tells why the hub cannot serve the log: too few hubs to agree on anything, or it has not caught up with them. Before one hub of a
// region is stopped in order, all others should be ready.
func (h *Hub) Ready() error {
	if h.peers == 0 {
		return nil
	}
	if seen, need := h.seen(), h.majority(); seen < need {
		return fmt.Errorf("sees %d of %d hubs, needs %d", seen, h.peers+1, need)
	}
	if s := h.server.Healthz(&server.HealthzOptions{}); s.StatusCode != http.StatusOK {
		return fmt.Errorf("log: %s", s.Error)
	}
	return nil
}

// majority is how many of the region's hubs must see each other.
func (h *Hub) majority() int { return (h.peers+1)/2 + 1 }

// seen counts the hubs of the region that this one sees, itself included.
func (h *Hub) seen() int {
	z, err := h.server.Routez(nil)
	if err != nil {
		return 1
	}
	names := map[string]bool{}
	for _, r := range z.Routes {
		names[r.RemoteName] = true
	}
	return 1 + len(names)
}

// watch notes whether the hub sees a majority, and says how it finds its peers, until ctx ends.
func (h *Hub) watch(ctx context.Context) {
	defer h.done.Done()
	var ready bool
	began := time.Now() // of the present state
	told := began
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.quorum.Store(h.seen() >= h.majority())
			err := h.Ready()
			switch {
			case err == nil && !ready:
				h.log.Info("hub is ready", "after", now.Sub(began).Round(time.Millisecond))
				ready = true
			case err == nil:
				began, told = now, now
			case now.Sub(told) >= progressEvery: // shorter ones are elections
				told, ready = now, false
				h.log.Warn("hub is not ready", "for", now.Sub(began).Round(time.Second), "err", err)
			}
		}
	}
}
