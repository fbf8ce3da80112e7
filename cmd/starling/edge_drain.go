package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/operator"
)

const maxDrainWindow = time.Hour

// edgeDrain is starling edge drain.
func (d *adminApp) edgeDrain() *cobra.Command {
	undo, window := false, time.Minute
	c := &cobra.Command{
		Use:   "drain NAME",
		Short: "Send an edge's clients elsewhere, and nobody new to it, until told otherwise",
		Long: `drain takes an edge out of service without anybody noticing. Its /readyz fails at once, so that nobody new comes; then each client is told to
connect elsewhere (op 7), at a moment of its own within the window, and closed (1012) where it has not gone by then. Other edges resume the
sessions: nothing is lost, nothing comes twice, nobody identifies anew. It shows who is left and waits until nobody is; ctrl-C ends the
waiting, not the drain.

The edge lives on without clients: to look at it in peace, or before its machine goes. That holds until --undo, or until the edge starts again.
To stop an edge nothing needs to be drained by hand: on SIGTERM it does the same by itself, within its key drain-window, and ends.

Take a window long enough for the edges that are left: a thousand clients in ten seconds is a hundred resumes a second. And see to it that there
is another edge: with the last one gone from service clients have nowhere to go.`,
		Example: `  # within a minute
  starling edge drain edge-2

  # in a hurry; then back into service
  starling edge drain edge-2 --window 5s
  starling edge drain edge-2 --undo

  # how many sessions went on elsewhere, for scripts
  starling edge drain edge-2 --json | jq .resumed

  # an edge of a mesh that runs role by role, by its admin page
  starling edge drain edge-2 --admin http://127.0.0.1:9090`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case window < 0 || window > maxDrainWindow:
				return errors.New("edge drain: --window: want 0s to 1h")
			case undo && cmd.Flags().Changed("window"):
				return errors.New("edge drain: --undo takes no --window: the edge serves again at once")
			}
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
				return desk.DrainEdge(ctx, args[0], window, undo)
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().DurationVar(&window, "window", window, "time over which clients are told to go")
	c.Flags().BoolVar(&undo, "undo", false, "serve again")
	c.Flags().AddFlagSet(d.keys.Flags())
	return c
}
