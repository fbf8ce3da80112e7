package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/dev"
)

func devCommand(a *app) *cobra.Command {
	keys := config.New("dev",
		config.Key{Name: "edges", Default: "2", Kind: "N", Usage: "how many edges"},
		config.Key{Name: "hubs", Default: "1", Kind: "1|3|5", Usage: "how many hubs keep the log; three go on while any one is gone"},
		config.Key{Name: "cores", Default: "1", Kind: "N", Usage: "how many cores share the buckets"},
		config.Key{Name: "leaves", Default: "2", Kind: "N", Usage: "how many leaves; edges are dealt out to them"},
		config.Key{Name: "http", Default: "127.0.0.1:8080", Kind: "ADDR", Usage: "plain text of the first edge, the next ones follow; port 0 for any"},
		config.Key{Name: "tls", Default: "127.0.0.1:8443", Kind: "ADDR", Usage: "likewise TLS; empty for none"},
		config.Key{Name: "admin", Default: "127.0.0.1:9090", Kind: "ADDR", Usage: "likewise admin pages; those of core, hub and leaves come after"},
		config.Key{Name: "data", Default: ".data", Kind: "DIR", Usage: "folder of all that is kept over restarts"},
		keyPostgres, keyCQL, keyRedis,
		config.Key{Name: "public-url", Default: "", Kind: "URL", Usage: "http(s)://host:port that clients are told; empty for each edge's own address"},
		config.Key{Name: "vip", Default: "", Kind: "ADDR", Usage: "forward this address to live edges; then it is what clients are told"},
		config.Key{Name: "processes", Default: "off", Kind: config.Bool, Usage: "each role in its own process; DATA/mesh.json has the pids"},
		config.Key{Name: "restart", Default: "off", Kind: config.Bool, Usage: "with --processes: start a role anew when its process ended"},
		config.Key{Name: "restart-pause", Default: "100ms", Kind: "DURATION", Usage: "with --restart: how long a role stays away first"},
		config.Key{Name: "rate-limits", Default: "on", Kind: "on|off", Usage: "limits of the API per user and channel"},
		keyPresenceTTL,
		config.Key{Name: "drain-window", Default: "1s", Kind: "DURATION", Usage: "time over which edges send clients elsewhere when they stop"},
		config.Key{Name: "leaf-via", Default: "", Kind: "ADDR", Usage: "leaves find hubs here, a port for each pair: for a lab that breaks links"},
		config.Key{Name: "log", Default: "warn", Kind: "LEVEL", Usage: "least level logged: debug, info, warn or error"})
	_ = keys.Flags().MarkHidden("leaf-via") // it is there
	return a.command(&cobra.Command{
		Short: "Run a whole mesh on this machine",
		Long: `dev runs a hub, a core, leaves and edges, with embedded stores unless told of others, and prints where to connect and how to make the first account
and bot. What it keeps is in one folder and survives restarts, kills included. ctrl-C drains, a second ctrl-C stops at once.`,
		Example: `  # two edges on 127.0.0.1:8080 and 8081
  starling dev

  # ports that happen to be free, nothing kept afterwards
  starling dev --http 127.0.0.1:0 --tls 127.0.0.1:0 --admin 127.0.0.1:0 --data "$(mktemp -d)"

  # on real servers; deploy/servers/servers.sh starts such, make run-real these and the mesh in one go
  starling dev --postgres 'postgres://starling@127.0.0.1:5432/starling?sslmode=disable' --cql 127.0.0.1:9042 \
    --redis redis://127.0.0.1:6379/0

  # every role a process: kill any of them and see clients go on
  starling dev --processes --restart --vip 127.0.0.1:7000
  kill -9 $(jq '.[] | select(.name == "edge-1").pid' .data/mesh.json)

  # no hub or core that the mesh could not lose; embedded stores are shared within one process, so the cores of processes need real ones
  starling dev --cores 3 --hubs 3 --data .data3
  make run-real FLAGS='--processes --restart --cores 3 --hubs 3'`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		cfg := dev.Config{
			Edges: v.Int("edges", 1, 64), Leaves: v.Int("leaves", 1, 16), Hubs: v.Int("hubs", 1, 5),
			Cores: v.Int("cores", 1, 16), Data: v.Need("data"), TLS: v.Addr("tls"),
			PublicURL: v.URL("public-url", "http", "https"), VIP: v.Loopback("vip", whyPlain),
			Processes: v.Switch("processes"), Restart: v.Switch("restart"), RateLimits: v.Switch("rate-limits"),
			DrainWindow: v.Duration("drain-window", 0, 10*time.Minute), LogLevel: logLevel(v), Out: a.stdout, Log: a.stderr,
			Postgres: postgres(v), Redis: redisOf(v), CQLHosts: v.String("cql"), CQL: clusterOf(v, 1), Hasher: hasher,
		}
		cfg.RestartPause = v.Duration("restart-pause", time.Millisecond, time.Hour)
		if v.String("leaf-via") != "" {
			cfg.LeafVia = v.Loopback("leaf-via", whyPlain)
		}
		cfg.PresenceTTL = v.Duration("presence-ttl", time.Second, time.Minute)
		if v.Need("http") != "" {
			cfg.HTTP = v.Loopback("http", whyPlain)
		}
		if v.Need("admin") != "" {
			cfg.Admin = v.Loopback("admin", whyAdmin)
		}
		if cfg.Hubs%2 == 0 && cfg.Hubs > 0 {
			v.Wrong("hubs", "%d: want 1, 3 or 5: an even number is no safer than the one below it", cfg.Hubs)
		}
		if cfg.Cores > 1 && cfg.Processes && (cfg.Postgres == "" || cfg.CQLHosts == "" || cfg.Redis == "") {
			v.Wrong("cores", "%d in processes of their own need --postgres, --cql and --redis: embedded stores belong to one process", cfg.Cores)
		}
		if cfg.Restart && !cfg.Processes {
			v.Wrong("restart", "goes with --processes only")
		}
		exe, err := os.Executable()
		if err != nil && cfg.Processes {
			v.Wrong("processes", "%w", err)
		}
		if err := v.Err(); err != nil {
			return err
		}
		cfg.Executable = exe
		return dev.Run(ctx, cfg)
	})
}
