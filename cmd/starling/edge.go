package main

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/role"
	"github.com/starling-chat/starling/edge"
)

func edgeCommand(a *app) *cobra.Command {
	keys := config.New("edge",
		config.Key{Name: "name", Default: "edge-1", Kind: "NAME", Usage: "unique in the mesh"}, keyRegion,
		config.Key{Name: "leaf", Default: "nats://127.0.0.1:4223", Kind: "URL", Usage: "the leaf, an edge's only upstream"},
		config.Key{Name: "http", Default: "127.0.0.1:8080", Kind: "ADDR", Usage: "REST and gateway in plain text, loopback only; empty for none"},
		config.Key{Name: "tls", Default: "", Kind: "ADDR", Usage: "REST and gateway over TLS 1.3; empty for none"},
		config.Key{Name: "tls-cert", Default: "", Kind: "FILE", Usage: "PEM certificate chain"},
		config.Key{Name: "tls-key", Default: "", Kind: "FILE", Usage: "PEM key of the certificate"},
		config.Key{Name: "public-url", Default: "", Kind: "URL", Usage: "http(s)://host:port that clients are told; empty for the edge's own address"},
		config.Key{Name: "drain-window", Default: "10s", Kind: "DURATION", Usage: "time over which clients are sent elsewhere before the edge stops"},
		config.Key{Name: "connects", Default: "0", Kind: "N", Usage: "new connections served a second on each port, REST among them; of a herd the rest waits, sites by turns; 0 = 250 per processor"},
		keyPresenceTTL, keyMeshCert, keyMeshKey, keyMeshCA, keySecret, keyAdmin, keyLog)
	return a.command(&cobra.Command{
		Short: "Hold the connections of clients",
		Long: `An edge serves the gateway (WebSocket) and forwards REST. It keeps no data, knows no database and opens no connection but to its
leaf; any edge may vanish at any moment. On SIGTERM its /readyz fails, clients are sent elsewhere within the drain window, and it stops; "starling edge
drain" does the same to an edge that is to live on.`,
		Example: `  starling edge --leaf nats://127.0.0.1:4223 --mesh-cert edge-1.pem --mesh-key edge-1-key.pem --mesh-ca mesh-ca.pem --tls 0.0.0.0:443 --tls-cert chain.pem \
    --tls-key key.pem --public-url https://chat.example.org:443 --admin 127.0.0.1:9090`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		level, admin := logLevel(v), v.Loopback("admin", whyAdmin)
		v.Need("leaf")
		cfg := edge.Config{Name: v.Need("name"), Region: v.Need("region"), LeafURL: v.URL("leaf", "nats"), HTTPAddr: v.Loopback("http", whyPlain),
			TLSAddr: v.Addr("tls"), PublicURL: v.URL("public-url", "http", "https"),
			Connects: v.Int("connects", 0, 1_000_000), DrainWindow: max(v.Duration("drain-window", 0, 10*time.Minute), time.Nanosecond)}
		cfg.MeshTLS, cfg.Secret = trust(v, "leaf")
		cfg.PresenceRefresh = role.PresenceRefresh(v.Duration("presence-ttl", time.Second, time.Minute))
		if v.String("http") == "" && v.String("tls") == "" {
			v.Wrong("http", "is empty, and so is tls: an edge needs one of them")
		}
		if v.String("tls") != "" {
			cfg.Cert = certificate(v)
		}
		if err := v.Err(); err != nil {
			return err
		}
		cfg.Log = a.logger(level, "edge", cfg.Name)
		n, err := role.NewEdge(cfg)
		if err != nil {
			return err
		}
		return role.Serve(ctx, n, admin)
	})
}

// certificate reads what the keys tls-cert and tls-key name.
func certificate(v *config.Values) *tls.Certificate {
	cert, key := v.Need("tls-cert"), v.Need("tls-key")
	if cert == "" || key == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		v.Wrong("tls-cert", "%w", err)
		return nil
	}
	return &pair
}
