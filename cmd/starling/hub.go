package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/role"
	"github.com/starling-chat/starling/relay"
)

func hubCommand(a *app) *cobra.Command {
	keys := config.New("hub",
		config.Key{Name: "name", Default: "hub-1", Kind: "NAME", Usage: "unique in the mesh"}, keyRegion,
		config.Key{Name: "data", Default: ".data/hub", Kind: "DIR", Usage: "folder of the event log"},
		config.Key{Name: "nats", Default: "127.0.0.1:4222", Kind: "ADDR", Usage: "where cores connect"},
		config.Key{Name: "leafnodes", Default: "127.0.0.1:7422", Kind: "ADDR", Usage: "where leaves connect"},
		config.Key{Name: "cluster", Default: "", Kind: "ADDR", Usage: "where the region's other hubs connect; empty for a hub that stands alone"},
		config.Key{Name: "peers", Default: "", Kind: "URL,...", Usage: "cluster addresses of all other hubs of the region, at least two"},
		config.Key{Name: "sync-always", Default: "off", Kind: config.Bool, Usage: "fsync each entry: outlives power loss, costs throughput"},
		keyMeshCert, keyMeshKey, keyMeshCA, keySecret, keyAdmin, keyLog)
	return a.command(&cobra.Command{
		Short: "Keep the event log of a region and join its cores and leaves",
		Long: `A hub is an embedded nats-server with JetStream. It stores the event log, which is the truth of its region, and carries
entries to leaves and commands to cores. Three hubs keep the log together and lose nothing while any one of them is gone; stopped, a hub hands
over first. To upgrade them, restart one, wait until its /readyz passes, and go on with the next.`,
		Example: `  # alone; the secret is what every role of the mesh is given
  openssl rand -hex 32 > secret

  starling hub --secret-file secret --data /var/lib/starling/hub --admin 127.0.0.1:9099

  # one of three, on machines of their own
  starling hub --name hub-1 --data /var/lib/starling/hub --nats 10.0.0.1:4222 --leafnodes 10.0.0.1:7422 \
    --cluster 10.0.0.1:6222 --peers nats://10.0.0.2:6222,nats://10.0.0.3:6222 \
    --mesh-cert hub-1.pem --mesh-key hub-1-key.pem --mesh-ca mesh-ca.pem --admin 127.0.0.1:9099`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		level, admin := logLevel(v), v.Loopback("admin", whyAdmin)
		cfg := relay.HubConfig{Name: v.Need("name"), Region: v.Need("region"), Dir: v.Need("data"), ClientAddr: addr(v, "nats"),
			LeafAddr: addr(v, "leafnodes"), SyncAlways: v.Switch("sync-always"),
			ClusterAddr: v.Addr("cluster"), Peers: v.URLs("peers", "nats")}
		cfg.TLS, cfg.Secret = trust(v, "nats", "leafnodes", "cluster", "peers")
		if n := len(cfg.Peers); (cfg.ClusterAddr == "") != (n == 0) || n == 1 {
			v.Wrong("peers", "%d of them: with a cluster address a hub has at least two, without it none", n)
		}
		if err := v.Err(); err != nil {
			return err
		}
		cfg.Log = a.logger(level, "hub", cfg.Name)
		return role.Serve(ctx, role.NewHub(cfg), admin)
	})
}

// addr is an address that must be set.
func addr(v *config.Values, name string) string {
	if v.Need(name) == "" {
		return ""
	}
	return v.Addr(name)
}
