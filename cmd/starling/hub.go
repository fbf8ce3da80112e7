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
		config.Key{Name: "sync-always", Default: "off", Kind: config.Bool, Usage: "fsync each entry: outlives power loss, costs throughput"},
		keySecret, keyAdmin, keyLog)
	return a.command(&cobra.Command{
		Short: "Keep the event log of a region and join its cores and leaves",
		Long: `A hub is an embedded nats-server with JetStream. It stores the event log, which is the truth of its region, and carries
entries to leaves and commands to cores.`,
		Example: `  # the secret that every role of the mesh is given
  openssl rand -hex 32 > secret

  starling hub --secret-file secret --data /var/lib/starling/hub --nats 10.0.0.1:4222 --leafnodes 10.0.0.1:7422 --admin 127.0.0.1:9099`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		level, admin := logLevel(v), v.Loopback("admin", whyAdmin)
		cfg := relay.HubConfig{Name: v.Need("name"), Region: v.Need("region"), Dir: v.Need("data"), ClientAddr: addr(v, "nats"),
			LeafAddr: addr(v, "leafnodes"), SyncAlways: v.Switch("sync-always"), Secret: secret(v)}
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

// secret reads what the key secret-file names.
func secret(v *config.Values) string {
	path := v.Need("secret-file")
	if path == "" {
		return ""
	}
	s, err := role.ReadSecret(path)
	if err != nil {
		v.Wrong("secret-file", "%w", err)
	}
	return s
}
