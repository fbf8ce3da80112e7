package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// An operator asks three hubs and a leaf where they stand, and again when one hub is gone.
func TestOperatorsSeeHubsAndLeaf(t *testing.T) {
	t.Parallel()
	c := relaytest.StartCluster(t, 1)
	core, edge := c.CoreBus(t), c.EdgeBus(t, 0)
	w := takeOver(t, openLog(t, core), 7)
	for range 5 {
		if _, _, err := w.Append(t.Context(), says("hello"), 0); err != nil {
			t.Fatal(err)
		}
	}
	led := func() (leader relay.StreamInfo, leaders, kept int) {
		for _, h := range c.Hubs {
			if h == nil {
				continue
			}
			i := h.Info()
			for _, s := range i.Streams {
				if !strings.HasPrefix(s.Name, "EV_") {
					continue
				}
				kept++
				if s.Leader == i.Name {
					leader = s
					leaders++
				}
			}
		}
		return leader, leaders, kept
	}
	relaytest.Until(t, "three hubs keep the log, one leads, the others are current", func() bool {
		s, leaders, kept := led()
		return leaders == 1 && kept == 3 && len(s.Replicas) == 2 && s.Replicas[0].Current && s.Replicas[1].Current && s.Messages >= 6 &&
			s.Last >= 6 && !s.Oldest.IsZero()
	})
	cores := 0
	for _, h := range c.Hubs {
		i := h.Info()
		if i.Ready != "" || i.Hubs != 3 || i.Sees != 3 || i.Bytes == 0 || i.Limit <= i.Bytes || time.Since(i.Since) > time.Hour || i.Certificate != nil {
			t.Errorf("hub: got %+v", i)
		}
		cores += len(i.Clients)
	}
	if cores != 1 {
		t.Errorf("connections of cores: got %d, want 1", cores)
	}
	if core.Peer() == "" || edge.Peer() == "" {
		t.Errorf("peers: got %q of the core, %q of the edge", core.Peer(), edge.Peer())
	}

	leaf := c.Leaves[0]
	relaytest.Until(t, "the leaf hears a hub", func() bool { return leaf.Info().Heard < 2 })
	i := leaf.Info()
	if len(i.Links) != 1 || len(i.Clients) != 1 || i.Clients[0].Name == "" || i.SlowConsumers != 0 || i.Name != edge.Peer() {
		t.Fatalf("leaf: got %+v", i)
	}
	hub := i.Links[0].Name
	for n, h := range c.Hubs {
		if h.Info().Name != hub {
			continue
		}
		if links := h.Info().Links; len(links) != 1 || links[0].Name != i.Name {
			t.Errorf("%s: got links %+v, want %s", hub, links, i.Name)
		}
		c.StopHub(n)
		c.Hubs[n] = nil
	}
	relaytest.Until(t, "the leaf is at another hub and has counted it", func() bool {
		now := leaf.Info()
		return len(now.Links) == 1 && now.Links[0].Name != hub && now.Lost > 0
	})
	relaytest.Until(t, "the hub is missed", func() bool {
		s, leaders, _ := led()
		away := 0
		for _, r := range s.Replicas {
			if r.Hub == hub && !r.Current {
				away++
			}
		}
		return leaders == 1 && away == 1
	})
}
