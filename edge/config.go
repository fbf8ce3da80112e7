package edge

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/starling-chat/starling/relay"
)

// A Config makes an edge. Zero values take the defaults named.
type Config struct {
	Name    string         // of the edge, in logs and REST calls; default "edge" and a random end
	Region  string         // default "local"
	LeafURL string         // of the leaf, the edge's only upstream
	MeshTLS relay.TLSFiles // by which leaf and edge know each other
	Secret  string         // does so in plain text

	HTTPAddr  string // plain text, loopback only; "" = none
	TLSAddr   string // TLS 1.3; "" = none
	Cert      *tls.Certificate
	PublicURL string   // http(s)://host:port that clients reach the mesh by; default the edge's own address
	Origins   []string // that browsers may come from; empty or "*" = any

	HeartbeatInterval time.Duration // told to clients; without a beat for one and a half a connection is closed with 4009; default 41.25 s
	IdentifyTimeout   time.Duration // from upgrade to IDENTIFY or RESUME; default 30 s
	SessionLife       time.Duration // that a session waits for RESUME after its connection was lost; default 5 min
	GuildLinger       time.Duration // that a guild without sessions stays loaded; default 1 min
	RESTTimeout       time.Duration // for a core's answer; default 9.5 s: the shortest time-out of a client is 10 s

	PresenceDelay   time.Duration // from the end of a user's last connection until the cores are told; default 5 s
	PresenceRefresh time.Duration // in which every user is told again; default 25 s: one may fail before the cores forget, after 60 s

	QueueBytes  int // that may wait for one connection before it is closed as slow; default 16 MiB
	RingEvents  int // dispatches kept per session for RESUME; default 4096
	RingBytes   int // of their bodies; default 4 MiB, at most a quarter of QueueBytes, so that a replay fits the queue
	MaxConns    int // gateway connections at once; default 100,000
	Connects    int // new connections per second on each port; more wait their turn; default 250 per processor
	MaxRequests int // REST requests under way at once, beyond: 503; default 1024
	Identifies  int // asked of the cores at once; more wait their turn; default 64

	DrainDelay  time.Duration // from unready to the first op 7: what still routes to us arrives; default 0
	DrainWindow time.Duration // over which op 7 is spread; default 1 s
	DrainGrace  time.Duration // from op 7 to close 1012, for one client; default 2 s

	Log *slog.Logger
}

// check fills in defaults and reports all mistakes at once.
func (c *Config) check() error {
	def(&c.Name, "edge-"+randomHex(4))
	def(&c.Region, "local")
	def(&c.HeartbeatInterval, 41250*time.Millisecond)
	def(&c.IdentifyTimeout, 30*time.Second)
	def(&c.SessionLife, 5*time.Minute)
	def(&c.GuildLinger, time.Minute)
	def(&c.RESTTimeout, 9500*time.Millisecond)
	def(&c.PresenceDelay, 5*time.Second)
	def(&c.PresenceRefresh, 25*time.Second)
	def(&c.QueueBytes, 16<<20)
	def(&c.RingEvents, 4096)
	def(&c.RingBytes, 4<<20)
	def(&c.MaxRequests, 1024)
	def(&c.Identifies, 64)
	def(&c.DrainWindow, time.Second)
	def(&c.DrainGrace, 2*time.Second)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Log = c.Log.With("edge", c.Name)

	var errs []error
	if c.LeafURL == "" {
		errs = append(errs, errors.New("leaf url: missing"))
	}
	if c.HTTPAddr == "" && c.TLSAddr == "" {
		errs = append(errs, errors.New("http addr, tls addr: one of them is needed"))
	}
	if c.RingBytes > c.QueueBytes/4 {
		errs = append(errs, fmt.Errorf("ring bytes: %d is more than a quarter of queue bytes, %d", c.RingBytes, c.QueueBytes))
	}
	if c.PublicURL != "" {
		if _, err := gatewayURL(c.PublicURL); err != nil {
			errs = append(errs, fmt.Errorf("public url: %w", err))
		}
	}
	return errors.Join(errs...)
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// gatewayURL derives the WebSocket address that clients are told from the public one: no query, no trailing slash.
func gatewayURL(public string) (string, error) {
	u, err := url.Parse(public)
	if err != nil {
		return "", err
	}
	switch {
	case u.Host == "":
		return "", fmt.Errorf("%q: want http(s)://host:port", public)
	case u.Scheme == "http":
		u.Scheme = "ws"
	case u.Scheme == "https":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("%q: scheme %q, want http or https", public, u.Scheme)
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/") + "/gateway", nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
