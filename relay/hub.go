package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// beatEvery is how often a hub says that it is there. An edge that starts waits for one.
const beatEvery = 250 * time.Millisecond

// HubConfig says where a hub listens and keeps its log.
type HubConfig struct {
	Name        string   // unique in the mesh
	Region      string   // JetStream domain
	Dir         string   // of the log; kept over restarts
	ClientAddr  string   // host:port for cores; port 0 = any free one
	LeafAddr    string   // host:port for leaves
	ClusterAddr string   // host:port for the region's other hubs; "" = this one stands alone
	Peers       []string // cluster URLs of all others: none, or at least two
	TLS         TLSFiles // by which hubs, cores and leaves know each other
	Secret      string   // does so in plain text; empty = open to all
	SyncAlways  bool     // fsync before each acknowledgement: outlives power loss, not only a killed process
	Log         *slog.Logger
}

// A Hub is an embedded NATS server that keeps a region's event log and joins cores and leaves.
type Hub struct {
	server *server.Server
	door   *doorman
	since  time.Time
	bus    *nats.Conn
	log    *slog.Logger
	peers  int         // other hubs of the region
	quorum atomic.Bool // sees a majority of them
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// StartHub runs a hub; it returns once it listens. One with peers may not be Ready yet: that takes a majority of them, and it says what it
// waits for.
func StartHub(cfg HubConfig) (*Hub, error) {
	if !checkRegion(cfg.Region) {
		return nil, fmt.Errorf("hub %s: region %q: want lower-case letters, digits, hyphens", cfg.Name, cfg.Region)
	}
	log := logger(cfg.Log).With("hub", cfg.Name)
	opts, err := baseOptions(cfg.Name, cfg.ClientAddr)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	opts.LeafNode.Host, opts.LeafNode.Port, err = splitAddr(cfg.LeafAddr)
	if err != nil {
		return nil, fmt.Errorf("hub %s: leaf address: %w", cfg.Name, err)
	}
	opts.LeafNode.IsolateLeafnodeInterest = true // else every edge carries the whole mesh's interest
	opts.JetStream = true
	opts.JetStreamDomain = cfg.Region
	opts.StoreDir = cfg.Dir
	opts.SyncAlways = cfg.SyncAlways
	if err := clusterOptions(opts, cfg); err != nil {
		return nil, fmt.Errorf("hub %s: %w", cfg.Name, err)
	}
	var cert *credentials
	if cfg.TLS.on() {
		c, err := openCredentials(cfg.TLS, roleHub, cfg.Name, log)
		if err != nil {
			return nil, fmt.Errorf("hub %s: %w", cfg.Name, err)
		}
		cert = c
		opts.TLS, opts.TLSConfig, opts.TLSHandshakeFirst = true, c.config(roleCore), true
		opts.LeafNode.TLSConfig, opts.LeafNode.TLSHandshakeFirst = c.config(roleLeaf), true
		if cfg.ClusterAddr != "" {
			opts.Cluster.TLSConfig = c.config(roleHub)
			opts.Cluster.Username, opts.Cluster.Password = "", ""
		}
	}
	opts.SyncInterval = 10 * time.Second // the default of 2 min makes power loss dear
	door := newDoorman(cfg.Region, roleCore, cfg.Secret, cert)
	s, err := startServer(opts, door, log)
	if err != nil {
		return nil, fmt.Errorf("hub %s: %w", cfg.Name, err)
	}
	h := &Hub{server: s, door: door, since: time.Now(), log: log, peers: len(cfg.Peers)}
	h.quorum.Store(h.peers == 0)
	h.bus, err = door.connect(cfg.Name + " beat")
	if err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("hub %s: own connection: %w", cfg.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.done.Add(2)
	go h.measure(ctx)
	go h.beat(ctx, BeatSubject(cfg.Region))
	if h.peers > 0 {
		h.done.Add(1)
		go h.watch(ctx)
	}
	log.Info("hub serves", "clients", s.ClientURL(), "leaves", h.LeafURL())
	return h, nil
}

// ClientURL is what cores connect to.
func (h *Hub) ClientURL() string { return h.server.ClientURL() }

// LeafURL is what leaves connect to.
func (h *Hub) LeafURL() string {
	o, err := h.server.Varz(nil)
	if err != nil {
		return ""
	}
	return "nats://" + joinHostPort(o.LeafNode.Host, o.LeafNode.Port)
}

// Leaves counts the leaves that are connected.
func (h *Hub) Leaves() int { return h.server.NumLeafNodes() }

// Stop ends the hub and returns when its files are closed. With peers it hands its leaderships over first.
func (h *Hub) Stop() {
	h.stop()
	h.done.Wait()
	h.bus.Close()
	if h.peers > 0 {
		h.server.LameDuckShutdown()
	}
	h.server.Shutdown()
	h.server.WaitForShutdown()
}

// beat tells leaves and edges that the region is within reach through this hub. One that is cut off from the others falls silent, and its
// leaves go elsewhere.
func (h *Hub) beat(ctx context.Context, subject string) {
	defer h.done.Done()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if h.quorum.Load() { // a failed beat is noticed by whoever misses it
			_ = h.bus.Publish(subject, binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli())))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
