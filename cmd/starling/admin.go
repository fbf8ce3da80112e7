package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/operator"
)

// adminApp is what the subcommands of admin share.
type adminApp struct {
	*app
	keys *config.Keys
}

func newAdminApp(a *app) *adminApp {
	d := &adminApp{app: a, keys: config.New("admin",
		config.Key{Name: "data", Default: ".data", Kind: "DIR", Usage: "folder of starling dev, whose mesh.json says where the roles are"},
		config.Key{Name: "admin", Default: "", Kind: "URL,...", Usage: "admin pages of roles, instead of --data"},
		config.Key{Name: "json", Default: "off", Kind: config.Bool, Usage: "JSON for scripts instead of tables"})}
	a.keys = append(a.keys, d.keys)
	return d
}

func adminCommand(d *adminApp) *cobra.Command {
	c := &cobra.Command{
		Use:   "admin",
		Short: "See and steer what runs in a mesh: people, sessions, buckets, and the roles themselves",
		Long: `admin asks the admin pages of the roles of a mesh on this machine and merges what they say. Pages are on loopback alone: for a
mesh elsewhere, run it there. Remarks go to stderr, so that stdout is the table, or with --json the data, alone. It exits with 1 where a role
did not answer, after it has shown what the others told.`,
		Example: `  # who is connected, and to which edge; then live
  starling admin sessions
  starling admin sessions --watch

  # how the roles are; then live
  starling admin cores
  starling admin hubs
  starling admin leaves
  starling admin edges --watch

  # who owns which bucket, and where it stands; give one to another core, or all of a core's
  starling admin buckets
  starling admin move-bucket 7 core-2
  starling admin drain core-3

  # send an edge's clients elsewhere
  starling edge drain edge-2

  # everything about alice, then an end to all her logins
  starling admin users alice
  starling admin tokens revoke alice

  # a mesh that was started with another folder, or role by role
  starling admin guilds --data /var/lib/starling
  starling admin guilds --admin http://127.0.0.1:9098,http://127.0.0.1:9090`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.PersistentFlags().SortFlags = false
	c.PersistentFlags().AddFlagSet(d.keys.Flags())
	c.AddCommand(d.users(), d.bots(), d.guilds(), d.tokens(), d.sessions(), d.buckets(), d.moveBucket(), d.drain())
	c.AddCommand(d.roles()...)
	return c
}

// do opens the mesh and has f done.
func (d *adminApp) do(cmd *cobra.Command, f func(ctx context.Context, desk *operator.Desk) error) error {
	v := config.Load(d.keys, d.app.keys, d.file, d.getenv)
	cfg := operator.Config{Data: v.Need("data"), Pages: v.URLs("admin", "http"), JSON: v.Switch("json"), Out: d.stdout, Err: d.stderr}
	what := "admin"
	if up := cmd.Parent(); up.Name() == "edge" {
		what = "edge drain"
	}
	if err := v.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	desk, err := operator.Open(cmd.Context(), cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer desk.Close()
	if err := f(cmd.Context(), desk); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// listFlags adds what lists have in common.
func listFlags(c *cobra.Command, l *operator.List) {
	c.Flags().SortFlags = false
	c.Flags().StringVar(&l.Name, "name", "", "only those whose name begins so")
	c.Flags().IntVar(&l.Limit, "limit", 100, "how many, 1 to 1000")
	c.Flags().StringVar(&l.After, "after", "", "go on behind this id")
	c.Flags().BoolVar(&l.All, "all", false, "every one, whatever the limit")
}

func (d *adminApp) users() *cobra.Command {
	var l operator.List
	c := &cobra.Command{
		Use:   "users [ID|NAME]",
		Short: "List people, or show one account",
		Long: `users lists people in the order in which their ids are, which is mostly that of their registration. With an id, or the whole name of a
person, it shows that account: its guilds, its logins, the bots it made.`,
		Example: `  starling admin users
  starling admin users --name al
  starling admin users alice

  # the names of all, one per line
  starling admin users --all --json | jq -r '.users[].username'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
				if len(args) == 1 {
					return desk.Account(ctx, args[0])
				}
				return desk.Accounts(ctx, l, false)
			})
		},
	}
	listFlags(c, &l)
	return c
}

func (d *adminApp) bots() *cobra.Command {
	var l operator.List
	c := &cobra.Command{
		Use:   "bots [ID]",
		Short: "List bots, or show one",
		Long:  "bots lists bots with their owners in the order of ids. With an id it shows that bot. Names of bots are not unique.",
		Example: `  starling admin bots
  starling admin bots --name parrot`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
				if len(args) == 1 {
					return desk.Account(ctx, args[0])
				}
				return desk.Accounts(ctx, l, true)
			})
		},
	}
	listFlags(c, &l)
	return c
}

func (d *adminApp) guilds() *cobra.Command {
	var l operator.List
	c := &cobra.Command{
		Use:   "guilds [ID]",
		Short: "List guilds with their members counted, or show one",
		Long:  "guilds lists guilds in the order of ids. With an id it shows that guild and its channels.",
		Example: `  starling admin guilds
  starling admin guilds --name tea

  # the ten largest
  starling admin guilds --all --json | jq -r '.guilds | sort_by(-.members)[:10][] | "\(.members) \(.name)"'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
				if len(args) == 1 {
					return desk.Guild(ctx, args[0])
				}
				return desk.Guilds(ctx, l)
			})
		},
	}
	listFlags(c, &l)
	return c
}

func (d *adminApp) tokens() *cobra.Command {
	c := &cobra.Command{
		Use:   "tokens",
		Short: "Revoke tokens",
		Long:  "tokens has one subcommand, revoke.",
		Example: `  starling admin tokens revoke alice
  starling admin tokens revoke 1300000000000000000 --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	yes := false
	revoke := &cobra.Command{
		Use:   "revoke ID|NAME...",
		Short: "Make the tokens of bots and people worth nothing",
		Long: `revoke ends every login of a person, and replaces the token of a bot by one that nobody knows. Their sessions are closed at once
with 4004, on every edge. A person who knows the password can log in again; a bot's owner can make a new token.`,
		Example: `  # asks first
  starling admin tokens revoke alice

  # for scripts
  starling admin tokens revoke alice 1300000000000000000 --yes --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
				return desk.Revoke(ctx, args, func(question string) (bool, error) { return d.sure(yes, question) })
			})
		},
	}
	revoke.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.AddCommand(revoke)
	return c
}

// sure asks at the terminal unless the answer is yes already.
func (d *adminApp) sure(yes bool, question string) (bool, error) {
	if yes {
		return true, nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return false, errors.New(question + " There is nobody to ask: say so with --yes")
	}
	fmt.Fprintf(d.stderr, "%s [y/N] ", question)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	if err != nil && line == "" {
		return false, nil // the end of input is no
	}
	return answer == "y" || answer == "yes", nil
}

func (d *adminApp) sessions() *cobra.Command {
	var q operator.SessionsQuery
	watch := false
	c := &cobra.Command{
		Use:   "sessions",
		Short: "List gateway sessions of all edges, live if wanted",
		Long: `sessions merges the sessions of all edges: those with most queued bytes first, for a slow client shows there before it is closed.
A detached session waits for RESUME; KEPT is how many events it holds for that. The SESSION shown is the beginning of the id: enough to
close it, too little to resume it.`,
		Example: `  starling admin sessions
  starling admin sessions --user alice
  starling admin sessions --edge edge-2 --watch
  starling admin sessions close Vx3_k0Qa`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
				switch {
				case watch && q.All:
					return errors.New("--watch and --all do not go together: --limit says how many are watched")
				case watch:
					return desk.WatchSessions(ctx, q)
				}
				return desk.Sessions(ctx, q)
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&q.User, "user", "", "only those of this user, by id or name")
	c.PersistentFlags().StringVar(&q.Edge, "edge", "", "only this edge, by name")
	c.Flags().IntVar(&q.Limit, "limit", 100, "how many, 1 to 1000")
	c.Flags().BoolVar(&q.All, "all", false, "every one, in the order of ids")
	c.Flags().BoolVar(&watch, "watch", false, "draw the table each second until ctrl-C; with --json an object per line")
	c.AddCommand(&cobra.Command{
		Use:   "close SESSION",
		Short: "Close a session",
		Long: `close ends a session, by the characters that the list shows, and closes its connection. Its client finds that there is nothing to resume
and identifies anew; to keep it out revoke its token.`,
		Example: `  starling admin sessions close Vx3_k0Qa
  starling admin sessions close -- -x3_k0Qa   # one that begins with a dash`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error { return desk.CloseSession(ctx, args[0], q.Edge) })
		},
	})
	return c
}

func (d *adminApp) buckets() *cobra.Command {
	var q operator.BucketsQuery
	watch := false
	c := &cobra.Command{
		Use:   "buckets [BUCKET|ID...]",
		Short: "Tell who owns which bucket and where it stands, live if wanted",
		Long: `buckets lists the buckets in use: their owner, the epoch of its take-over, the last entry in the log (SEQUENCE of the stream, COUNTER
of the bucket), how far directory and history have applied it, and commands per second over the last ten. BEHIND is what a store was
given and has not applied; a checkpoint below COUNTER with nothing behind is well: entries that do not concern a store move it now and
then. Any id names its bucket, so that "buckets ID" tells who owns a guild or user.`,
		Example: `  starling admin buckets
  starling admin buckets --watch

  # who owns this guild
  starling admin buckets 1300000000000000000

  # buckets whose history lags
  starling admin buckets --json | jq '.buckets[] | select(.history.backlog > 0) | .bucket'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range args {
				n, err := operator.BucketOf(s)
				if err != nil {
					return fmt.Errorf("admin: %w", err)
				}
				q.Only = append(q.Only, n)
			}
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
				if watch {
					q.Busy = true
					return desk.WatchBuckets(ctx, q)
				}
				return desk.Buckets(ctx, q)
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&q.All, "all", false, "those that were never used too")
	c.Flags().BoolVar(&q.Busy, "busy", false, "the busiest first")
	c.Flags().BoolVar(&watch, "watch", false, "draw the table each second, the busiest first, until ctrl-C; with --json an object per line")
	return c
}
