package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/role"
	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/server"
	"github.com/starling-chat/starling/relay"
)

// testSwitches in the environment lets tests break a core by its console: core/server/switches.go. It is no key, so that no configuration has it.
const testSwitches = "STARLING_TEST_SWITCHES"

func coreCommand(a *app) *cobra.Command {
	keys := config.New("core",
		config.Key{Name: "name", Default: "core-1", Kind: "NAME", Usage: "unique in the mesh"}, keyRegion,
		config.Key{Name: "data", Default: ".data/core", Kind: "DIR", Usage: "folder of signing keys, and of embedded stores"},
		config.Key{Name: "hub", Default: "nats://127.0.0.1:4222", Kind: "URL,...", Usage: "client addresses of the region's hubs"},
		keyPostgres, keyCQL, keyRedis,
		config.Key{Name: "cql-replication", Default: "3", Kind: "N", Usage: "copies of the history in each datacenter, when its keyspace is made"},
		config.Key{Name: "cql-datacenter", Default: "", Kind: "NAME", Usage: "whose nodes are asked first"},
		config.Key{Name: "log-streams", Default: "1", Kind: "N", Usage: "streams that the event log is spread over, fixed when it is made; 16 for a large region"},
		config.Key{Name: "log-gib", Default: "0", Kind: "N", Usage: "GiB that each hub keeps of the log at most, beyond which its oldest entries go; 0 for no bound"},
		config.Key{Name: "rate-limits", Default: "on", Kind: "on|off", Usage: "limits of the API per user and channel"},
		config.Key{Name: "admit", Default: "0", Kind: "N", Usage: "sessions that this core lets begin a second, and as many that move between edges; of a herd the rest waits, up to 10 s, or is sent away to come back; 0 = 180 per processor"},
		config.Key{Name: "access-life", Default: "1h", Kind: "DURATION", Usage: "how long a person's token is valid without refresh"},
		keyPresenceTTL,
		keyMeshCert, keyMeshKey, keyMeshCA, keySecret, keyAdmin, keyLog)
	return a.command(&cobra.Command{
		Short: "Own buckets, answer the API, keep directory and history",
		Long: `A core executes commands in the buckets it owns, appends what they change to the log, applies it to its stores, and answers
REST, identify and snapshots over NATS. It listens on no port of its own but its admin page.`,
		Example: `  starling core --secret-file secret --data /var/lib/starling/core --admin 127.0.0.1:9098

  # on Postgres, ScyllaDB and Redis
  starling core --hub nats://10.0.0.1:4222,nats://10.0.0.2:4222,nats://10.0.0.3:4222 --data /var/lib/starling/core \
    --mesh-cert core-1.pem --mesh-key core-1-key.pem --mesh-ca mesh-ca.pem \
    --postgres 'postgres://starling@10.0.0.5/starling?passfile=/etc/starling/pgpass' --cql 10.0.0.6,10.0.0.7 \
    --redis 'redis://10.0.0.8:6379/0?passfile=/etc/starling/redispass'`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		level, admin := logLevel(v), v.Loopback("admin", whyAdmin)
		v.Need("hub")
		cfg := server.Config{Name: v.Need("name"), Region: v.Need("region"), DataDir: v.Need("data"), HubURL: strings.Join(v.URLs("hub", "nats"), ","),
			LogStreams: v.Int("log-streams", 1, relay.MaxStreams), LogBytes: int64(v.Int("log-gib", 0, 1<<16)) << 30, RateLimits: v.Switch("rate-limits"), Admit: v.Int("admit", 0, 1_000_000), AccessLife: v.Duration("access-life", time.Minute, 30*24*time.Hour),
			Postgres: postgres(v), Redis: redisOf(v), Hasher: hasher}
		cfg.Presence = v.Duration("presence-ttl", time.Second, core.PresenceTTL)
		cfg.CQL = clusterOf(v, v.Int("cql-replication", 1, 9))
		cfg.CQL.DataCenter = v.String("cql-datacenter")
		cfg.MeshTLS, cfg.Secret = trust(v, "hub")
		if cfg.TestSwitches = a.getenv(testSwitches) != ""; cfg.TestSwitches {
			onLoopback(v, "hub", testSwitches+" is for tests on one machine")
		}
		if err := v.Err(); err != nil {
			return err
		}
		cfg.Log = a.logger(level, "core", cfg.Name)
		return role.Serve(ctx, role.NewCore(cfg), admin)
	})
}
