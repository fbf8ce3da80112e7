package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
)

// app is what commands share.
type app struct {
	getenv         func(string) string
	stdout, stderr io.Writer
	keys           []*config.Keys // of every role
	file           string         // --config
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "starling",
		Short: "Real-time group chat as an edge gateway mesh with regional cores",
		Long: `Starling is real-time group chat that Discord's client libraries speak to unmodified: thin edges hold connections,
cores hold guilds, and hubs and leaves carry events between them. One binary is every role.

Every key of a role can be given in four ways; the later wins:
  its default, a line in its section of the YAML file (--config), the variable STARLING_<ROLE>_<KEY>, the flag.`,
		Example: `  # a whole mesh on this machine; it prints where to connect
  starling dev

  # the same by a file, with one key overridden
  printf 'dev:\n  edges: 3\n  http: 127.0.0.1:8000\n' > starling.yaml
  STARLING_DEV_EDGES=4 starling dev --config starling.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.file, "config", "", "YAML file with a section per role")
	root.CompletionOptions.HiddenDefaultCmd = true
	operators, edge := newAdminApp(a), edgeCommand(a)
	edge.AddCommand(operators.edgeDrain())
	root.AddCommand(devCommand(a), hubCommand(a), leafCommand(a), coreCommand(a), edge, seedCommand(a), chatCommand(a), adminCommand(operators), chaosCommand(a), migrateCommand(a), versionCommand(a), hasherCommand(a))
	return root
}

// command makes the subcommand of a role from its keys. serve checks all values before it starts anything.
func (a *app) command(c *cobra.Command, keys *config.Keys, serve func(ctx context.Context, v *config.Values) error) *cobra.Command {
	a.keys = append(a.keys, keys)
	c.Use = keys.Role()
	c.Args = cobra.NoArgs
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(keys.Flags())
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := serve(cmd.Context(), config.Load(keys, a.keys, a.file, a.getenv)); err != nil {
			return fmt.Errorf("%s: %w", keys.Role(), err)
		}
		return nil
	}
	return c
}

// Keys that several roles have.
var (
	keyRegion = config.Key{Name: "region", Default: "local", Kind: "NAME", Usage: "region, the JetStream domain of its hubs"}
	keyAdmin  = config.Key{Name: "admin", Default: "", Kind: "ADDR",
		Usage: "loopback address of /healthz /readyz /metrics /debug/pprof /debug/check /admin/v1; empty for none"}
	keyLog = config.Key{Name: "log", Default: "info", Kind: "LEVEL", Usage: "least level logged: debug, info, warn or error"}
)

const (
	whyAdmin = "the admin page asks nobody for a password"
	whyPlain = "plain text is for this machine only, TLS is for others"
)

// logLevel checks the key log.
func logLevel(v *config.Values) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(v.String("log"))); err != nil {
		v.Wrong("log", "%q: want debug, info, warn or error", v.String("log"))
	}
	return l
}

// logger of a role process, with what tells it from others.
func (a *app) logger(level slog.Level, role, name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level})).With("role", role, "name", name)
}
