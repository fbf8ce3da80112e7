package main

import (
	"context"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/core/server"
	"github.com/starling-chat/starling/core/sqlstore"
)

func migrateCommand(a *app) *cobra.Command {
	keys := config.New("migrate", keyPostgres,
		config.Key{Name: "data", Default: ".data/core", Kind: "DIR", Usage: "without --postgres: the core's folder, in which SQLite's file is"})
	var action string
	c := a.command(&cobra.Command{
		Short: "Bring the directory's schema up to date, or tell how it is",
		Long: `A core migrates the schema of its directory when it starts; cores that start at once take turns. migrate does the same beforehand, so that
a large table is not changed while clients wait. up prints each step that it made; status prints every step and when it was made.`,
		Example: `  starling migrate status --data .data/core
  starling migrate up --postgres 'postgres://starling@10.0.0.5/starling?passfile=/etc/starling/pgpass'`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		place := postgres(v)
		if place == "" {
			place = filepath.Join(v.Need("data"), server.DirectoryFile)
		}
		if err := v.Err(); err != nil {
			return err
		}
		do := map[string]func(context.Context, string) ([]sqlstore.Migration, error){"up": sqlstore.MigrateUp, "status": sqlstore.Migrations}[action]
		steps, err := do(ctx, place)
		if err != nil {
			return err
		}
		return a.printSteps(steps, action == "up")
	})
	c.Use = "migrate up|status"
	c.ValidArgs = []string{"up", "status"}
	c.Args = cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)
	c.PreRun = func(_ *cobra.Command, args []string) { action = args[0] }
	return c
}

func (a *app) printSteps(steps []sqlstore.Migration, made bool) error {
	if made && len(steps) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nothing to do")
		return err
	}
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, s := range steps {
		when := "pending"
		if !s.Applied.IsZero() {
			when = s.Applied.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\n", s.Name, when)
	}
	return t.Flush()
}
