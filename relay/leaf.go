package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// leafSilence is how long a link that calls itself connected may bring no beat before it is torn down and built anew
// (nats-server#7615: such a link may stay dead for hours).
const leafSilence = 10 * time.Second

// LeafConfig says where a leaf listens and which hubs it may use.
type LeafConfig struct {
	Name       string // unique in the mesh
	Region     string
	ClientAddr string   // host:port for edges; port 0 = any free one
	HubURLs    []string // leaf URLs of the region's hubs
	TLS        TLSFiles // by which the leaf, its edges and hubs know each other
	Secret     string   // does so in plain text
	Log        *slog.Logger
}

// A Leaf is an embedded NATS server without storage that joins the edges of one place to a hub over a single link.
type Leaf struct {
	server *server.Server
	door   *doorman
	since  time.Time
	bus    *nats.Conn
	heard  atomic.Int64 // Unix nanoseconds of the last beat or rebuild
	lost   atomic.Int64 // links
	log    *slog.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup

	looking sync.Mutex // one look after the other
	link    uint64     // that stood at the last look; 0 = none
}

// StartLeaf runs a leaf; it returns once it listens, connected to a hub or not.
func StartLeaf(cfg LeafConfig) (*Leaf, error) {
	if !checkRegion(cfg.Region) {
		return nil, fmt.Errorf("leaf %s: region %q: want lower-case letters, digits, hyphens", cfg.Name, cfg.Region)
	}
	log := logger(cfg.Log).With("leaf", cfg.Name)
	opts, err := baseOptions(cfg.Name, cfg.ClientAddr)
	if err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	if len(cfg.HubURLs) == 0 {
		return nil, fmt.Errorf("leaf %s: %w", cfg.Name, errors.New("no hub"))
	}
	remote := &server.RemoteLeafOpts{DialTimeout: 2 * time.Second, IgnoreDiscoveredServers: true}
	for _, raw := range cfg.HubURLs {
		u, err := withUser(raw, roleLeaf, cfg.Secret)
		if err != nil {
			return nil, fmt.Errorf("leaf %s: hub: %w", cfg.Name, err)
		}
		remote.URLs = append(remote.URLs, u)
	}
	opts.LeafNode.Remotes = []*server.RemoteLeafOpts{remote}
	var cert *credentials
	if cfg.TLS.on() {
		c, err := openCredentials(cfg.TLS, roleLeaf, cfg.Name, log)
		if err != nil {
			return nil, fmt.Errorf("leaf %s: %w", cfg.Name, err)
		}
		cert = c
		opts.TLS, opts.TLSConfig, opts.TLSHandshakeFirst = true, c.config(roleEdge), true
		remote.TLS, remote.TLSConfig, remote.TLSHandshakeFirst = true, c.config(roleHub), true
	}
	door := newDoorman(cfg.Region, roleEdge, cfg.Secret, cert)
	l := &Leaf{door: door, since: time.Now(), log: log}
	if l.server, err = startServer(opts, door, log); err != nil {
		return nil, fmt.Errorf("leaf %s: %w", cfg.Name, err)
	}
	if l.bus, err = door.connect(cfg.Name + " watch"); err == nil {
		_, err = l.bus.Subscribe(BeatSubject(cfg.Region), func(*nats.Msg) { l.heard.Store(time.Now().UnixNano()) })
	}
	if err != nil {
		l.server.Shutdown()
		l.server.WaitForShutdown()
		return nil, fmt.Errorf("leaf %s: own connection: %w", cfg.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Add(1)
	go l.watch(ctx)
	return l, nil
}

// ClientURL is what edges connect to.
func (l *Leaf) ClientURL() string { return l.server.ClientURL() }

// Connected tells whether the link to a hub stands.
func (l *Leaf) Connected() bool { return l.server.NumLeafNodes() > 0 }

// Stop ends the leaf.
func (l *Leaf) Stop() {
	l.stop()
	l.done.Wait()
	l.bus.Close()
	l.server.Shutdown()
	l.server.WaitForShutdown()
}

// watch rebuilds a link that stands but is silent.
func (l *Leaf) watch(ctx context.Context) {
	defer l.done.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	up := false
	l.heard.Store(time.Now().UnixNano())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			l.door.measure(l.look())
			was := up
			if up = l.Connected(); up != was {
				l.log.Info("leaf link changed", "connected", up)
				l.heard.Store(now.UnixNano())
			}
			if up && now.UnixNano()-l.heard.Load() > int64(leafSilence) {
				l.heard.Store(now.UnixNano())
				l.log.Warn("leaf link is silent, rebuilding it")
				l.kick()
			}
		}
	}
}

func (l *Leaf) kick() {
	z, err := l.server.Leafz(nil)
	if err != nil {
		return
	}
	for _, link := range z.Leafs {
		_ = l.server.DisconnectClientByID(link.ID) // gone already: the better
	}
}

func joinHostPort(host string, port int) string {
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
