package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/operator"
)

func (d *adminApp) moveBucket() *cobra.Command {
	free := false
	c := &cobra.Command{
		Use:   "move-bucket BUCKET|ID [CORE]",
		Short: "Give a bucket to another core, to stay there",
		Long: `move-bucket hands a bucket over to a core, waits until that one serves it, and shows how long that took. Commands meanwhile wait for some
milliseconds; none fails. The bucket stays there for as long as that core lives and is not drained, whatever other cores come and go; with
--free it goes back where hashing wants it. Any id names its bucket.`,
		Example: `  # a guild that needs a core for itself
  starling admin move-bucket 1300000000000000000 core-3

  # bucket 7, and back again
  starling admin move-bucket 7 core-2
  starling admin move-bucket 7 --free`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, err := operator.BucketOf(args[0])
			if err != nil {
				return fmt.Errorf("admin: %w", err)
			}
			to := ""
			switch {
			case len(args) == 2 && free:
				return errors.New("admin: --free says to whom: where hashing wants it; leave the core out")
			case len(args) == 2:
				to = args[1]
			case !free:
				return errors.New("admin: want the core that is to have it, or --free")
			}
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error { return desk.MoveBucket(ctx, bucket, to) })
		},
	}
	c.Flags().BoolVar(&free, "free", false, "where hashing wants it, whatever was said before")
	return c
}

func (d *adminApp) drain() *cobra.Command {
	undo := false
	c := &cobra.Command{
		Use:   "drain CORE",
		Short: "Have a core give all its buckets to the others, and own none until told otherwise",
		Long: `drain moves a core's buckets to the other cores one by one, without a request failing, and waits until it has none. The core lives on and
answers the API, but owns nothing: to look at it in peace, or before its machine goes. ctrl-C ends the waiting, not the drain. It holds until
--undo, or until the core starts again; should all other cores end, it serves rather than that nobody does. To stop a core nothing needs to be
drained: on SIGTERM it does so by itself.`,
		Example: `  starling admin drain core-2
  starling admin cores --watch
  starling admin drain core-2 --undo`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error { return desk.Drain(ctx, args[0], undo) })
		},
	}
	c.Flags().BoolVar(&undo, "undo", false, "take part again")
	return c
}
