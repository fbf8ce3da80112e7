package relaytest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/relay"
)

// hubs of a Cluster: the least number that outlives one of them.
const hubs = 3

// A Cluster is three hubs that keep one log together, with leaves.
type Cluster struct {
	Hubs   [hubs]*relay.Hub // nil while stopped
	Leaves []*relay.Leaf

	configs [hubs]relay.HubConfig
}

// StartCluster runs three hubs and so many leaves, and returns when all are ready. They end with the test.
func StartCluster(t testing.TB, leaves int) *Cluster {
	t.Helper()
	c := &Cluster{configs: ClusterConfigs(t)}
	c.start(t)
	for i := range leaves {
		l, err := relay.StartLeaf(relay.LeafConfig{
			Name: fmt.Sprintf("leaf-%d", i), Region: Region, ClientAddr: "127.0.0.1:0", HubURLs: c.leafURLs(), Secret: Secret,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Leaves = append(c.Leaves, l)
		t.Cleanup(l.Stop)
	}
	for i, l := range c.Leaves {
		Until(t, fmt.Sprintf("leaf %d joins", i), l.Connected)
	}
	return c
}

// StartClusterTLS runs three hubs with certificates of a, without leaves.
func StartClusterTLS(t testing.TB, a *Authority) *Cluster {
	t.Helper()
	c := &Cluster{configs: ClusterConfigs(t)}
	for i := range c.configs {
		c.configs[i].Secret = ""
		c.configs[i].TLS = a.Issue(t, "hub", c.configs[i].Name, time.Hour)
	}
	c.start(t)
	return c
}

// TLSBus connects to any hub, as a core with a certificate of a.
func (c *Cluster) TLSBus(t testing.TB, a *Authority, name string) *relay.Bus {
	t.Helper()
	return connect(t, relay.Config{URL: c.ClientURL(), TLS: a.Issue(t, "core", name, time.Hour), Name: name, Region: Region})
}

// ClusterAddr is where hub i hears the others.
func (c *Cluster) ClusterAddr(i int) string { return c.configs[i].ClusterAddr }

func (c *Cluster) start(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		var done sync.WaitGroup
		for i := range c.Hubs {
			done.Go(func() { c.StopHub(i) })
		}
		done.Wait()
	})
	for i := range c.Hubs {
		c.StartHub(t, i)
	}
	c.Ready(t)
}

// ClusterConfigs are three hubs that know each other, on ports that are free now, with folders that go with the test.
func ClusterConfigs(t testing.TB) [hubs]relay.HubConfig {
	t.Helper()
	var cs [hubs]relay.HubConfig
	var addrs [3 * hubs]string
	for i := range addrs {
		addrs[i] = freeAddr(t)
	}
	for i := range cs {
		cs[i] = relay.HubConfig{
			Name: fmt.Sprintf("hub-%d", i), Region: Region, Dir: t.TempDir(), Secret: Secret,
			ClientAddr: addrs[3*i], LeafAddr: addrs[3*i+1], ClusterAddr: addrs[3*i+2],
		}
		for j := range cs {
			if j != i {
				cs[i].Peers = append(cs[i].Peers, "nats://"+addrs[3*j+2])
			}
		}
	}
	return cs
}

// StartHub runs hub i, again after StopHub.
func (c *Cluster) StartHub(t testing.TB, i int) {
	t.Helper()
	h, err := relay.StartHub(c.configs[i])
	if err != nil {
		t.Fatal(err)
	}
	c.Hubs[i] = h
}

// StopHub stops hub i in order; twice does no harm.
func (c *Cluster) StopHub(i int) {
	if h := c.Hubs[i]; h != nil {
		c.Hubs[i] = nil
		h.Stop()
	}
}

// Ready waits until all hubs that run are.
func (c *Cluster) Ready(t testing.TB) {
	t.Helper()
	for i, h := range c.Hubs {
		if h != nil {
			Until(t, fmt.Sprintf("hub %d is ready", i), func() bool { return h.Ready() == nil })
		}
	}
}

// ClientURL is what cores connect to: all hubs.
func (c *Cluster) ClientURL() string { return ClientURL(c.configs) }

// ClientURL is what cores connect to.
func ClientURL(cs [hubs]relay.HubConfig) string {
	var urls []string
	for _, cfg := range cs {
		urls = append(urls, "nats://"+cfg.ClientAddr)
	}
	return strings.Join(urls, ",")
}

func (c *Cluster) leafURLs() []string {
	var urls []string
	for _, cfg := range c.configs {
		urls = append(urls, "nats://"+cfg.LeafAddr)
	}
	return urls
}

// CoreBus connects to any hub.
func (c *Cluster) CoreBus(t testing.TB) *relay.Bus {
	t.Helper()
	return Bus(t, c.ClientURL(), "core")
}

// EdgeBus connects to leaf i.
func (c *Cluster) EdgeBus(t testing.TB, i int) *relay.Bus {
	t.Helper()
	return EdgeBus(t, c.Leaves[i].ClientURL(), fmt.Sprintf("edge-%d", i))
}

// StepDown has the leader of the log's first stream give way to another hub, and names the one that did; "" if there was none to ask.
func StepDown(t testing.TB, core *relay.Bus) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	leader := Leader(core)
	answer, err := core.Request(ctx, "$JS."+Region+".API.STREAM.LEADER.STEPDOWN.EV_"+Region+"_0", nil)
	if err != nil || !strings.Contains(string(answer), `"success":true`) {
		return ""
	}
	return leader
}

// Leader names the hub that leads the log's first stream; "" if none answers.
func Leader(core *relay.Bus) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	answer, err := core.Request(ctx, "$JS."+Region+".API.STREAM.INFO.EV_"+Region+"_0", nil)
	if err != nil {
		return ""
	}
	var info struct {
		Cluster struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
	}
	if json.Unmarshal(answer, &info) != nil {
		return ""
	}
	return info.Cluster.Leader
}
