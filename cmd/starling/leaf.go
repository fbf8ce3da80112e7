package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/role"
	"github.com/starling-chat/starling/relay"
)

func leafCommand(a *app) *cobra.Command {
	keys := config.New("leaf",
		config.Key{Name: "name", Default: "leaf-1", Kind: "NAME", Usage: "unique in the mesh"}, keyRegion,
		config.Key{Name: "nats", Default: "127.0.0.1:4223", Kind: "ADDR", Usage: "where edges connect"},
		config.Key{Name: "hub", Default: "nats://127.0.0.1:7422", Kind: "URL,...", Usage: "leafnode addresses of the region's hubs"},
		keyMeshCert, keyMeshKey, keyMeshCA, keySecret, keyAdmin, keyLog)
	return a.command(&cobra.Command{
		Short: "Join the edges of one place to the hubs of the region",
		Long: `A leaf is an embedded nats-server without storage: an entry crosses the way from the hub once, however many edges and clients
are behind the leaf.`,
		Example: `  starling leaf --hub nats://10.0.0.1:7422,nats://10.0.0.2:7422,nats://10.0.0.3:7422 --nats 127.0.0.1:4223 \
    --mesh-cert leaf-1.pem --mesh-key leaf-1-key.pem --mesh-ca mesh-ca.pem`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		level, admin := logLevel(v), v.Loopback("admin", whyAdmin)
		v.Need("hub")
		cfg := relay.LeafConfig{Name: v.Need("name"), Region: v.Need("region"), ClientAddr: addr(v, "nats"), HubURLs: v.URLs("hub", "nats")}
		cfg.TLS, cfg.Secret = trust(v, "nats", "hub")
		if err := v.Err(); err != nil {
			return err
		}
		cfg.Log = a.logger(level, "leaf", cfg.Name)
		return role.Serve(ctx, role.NewLeaf(cfg), admin)
	})
}
