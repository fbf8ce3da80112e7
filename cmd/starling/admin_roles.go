package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/operator"
)

// roles are the commands that show a table of one kind of role.
func (d *adminApp) roles() []*cobra.Command {
	return []*cobra.Command{
		d.role("core", &cobra.Command{
			Use:   "cores",
			Short: "Tell how the cores are: buckets, commands, what their stores lag, live if wanted",
			Long: `cores lists the cores: how many buckets each owns, how many of these an operator put there (PINNED) and how many are on their way to another
core (MOVING), commands per second over the last ten, commands that wait, entries that directory and history have not applied, the hub that
it is connected to, and how many cores it hears, itself included. A core that does not answer is shown as silent, one whose process is gone
as ended, and the exit code is 1.`,
			Example: `  starling admin cores
  starling admin cores --watch

  # cores that own nothing
  starling admin cores --json | jq -r '.cores[] | select(.info.part.owned == 0) | .name'`}),
		d.role("hub", &cobra.Command{
			Use:   "hubs",
			Short: "Tell how the hubs are, who leads which stream, how far replicas lag, live if wanted",
			Long: `hubs lists the hubs: how many of each other they see, how many streams each leads of those it keeps, bytes of the log and what it may keep,
cores connected, the leaves linked, bytes that wait for them, connections cut off since they took nothing, the end of its certificate. Below
are the streams, of the log (EV), of the records of ownership and so on, with their leader and the hubs that keep copies. Before one hub is stopped,
all others should serve, and no replica lack anything.`,
			Example: `  starling admin hubs
  starling admin hubs --watch

  # replicas that lack entries
  starling admin hubs --json | jq -c '.streams[] | {name, leader, behind: [.replicas[] | select(.lag > 0)]}'`}),
		d.role("leaf", &cobra.Command{
			Use:   "leaves",
			Short: "Tell how the leaves are: their hub, round trip, edges, live if wanted",
			Long: `leaves lists the leaves: the hub each is linked to and the round trip, how long ago it heard a hub, edges connected, bytes that wait for
them, connections cut off since they took nothing, links lost since it was started, the end of its certificate.`,
			Example: `  starling admin leaves
  starling admin leaves --watch

  # which edges are at which leaf
  starling admin leaves --json | jq -c '.leaves[] | [.name, (.info.clients[].name)]'`}),
		d.role("edge", &cobra.Command{
			Use:   "edges",
			Short: "Tell how the edges are: sessions, deliveries, queues, live if wanted",
			Long: `edges lists the edges: sessions, those of them that wait for RESUME, deliveries per second over the last ten, guilds loaded, buckets
followed, bytes that clients have not yet taken, in all and of the slowest, messages that wait for its loop, its leaf, how long ago a hub
was heard. An edge that drains is shown so; an unhealthy one says why below the table.`,
			Example: `  starling admin edges
  starling admin edges --watch

  # sessions per edge
  starling admin edges --json | jq -r '.edges[] | "\(.name) \(.info.sessions)"'`}),
	}
}

func (d *adminApp) role(role string, c *cobra.Command) *cobra.Command {
	watch := false
	c.Args = cobra.NoArgs
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		return d.do(cmd, func(ctx context.Context, desk *operator.Desk) error {
			if watch {
				return desk.WatchRoles(ctx, role)
			}
			return desk.Roles(ctx, role)
		})
	}
	c.Flags().BoolVar(&watch, "watch", false, "draw the table each second until ctrl-C; with --json an object per line")
	return c
}
