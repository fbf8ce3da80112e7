package operator

import (
	"cmp"
	"context"
	"fmt"

	"github.com/starling-chat/starling/edge"
)

// Edges is how the edges are.
type Edges struct {
	Edges []Role[edge.Standing] `json:"edges"`
}

var edgeKind = kind[edge.Standing]{
	role: "edge",
	head: "EDGE\tSTATE\tSESSIONS\tDETACHED\tDELIVERED/S\tGUILDS\tBUCKETS\tQUEUED\tSLOWEST\tINBOX\tLEAF\tBEAT\tUP",
	name: func(e *edge.Standing) string { return e.Name },
	state: func(e *edge.Standing) (state, why string) {
		switch {
		case e.Drains && e.Connections == 0:
			return "drained", ""
		case e.Drains:
			return "drains", ""
		case e.Healthy != "":
			return "unhealthy", e.Healthy
		}
		return "serves", ""
	},
	cells: func(e *edge.Standing) []any {
		beat := "never"
		if e.BeatAge != nil {
			beat = fmt.Sprintf("%.1fs", *e.BeatAge)
		}
		return []any{e.Sessions, e.Detached, fmt.Sprintf("%.1f", e.Rate), e.Guilds, e.Buckets, size(e.Queued), size(e.Slowest), e.Inbox,
			cmp.Or(e.Leaf, "-"), beat, up(e.Since)}
	},
}

func (d *Desk) edges(ctx context.Context) (any, *table, error) {
	roles, t, err := edgeKind.look(ctx, d)
	if t == nil {
		return nil, nil, err
	}
	sessions, connections, rate := 0, 0, 0.0
	for _, r := range roles {
		if r.Info != nil {
			sessions += r.Info.Sessions
			connections += r.Info.Connections
			rate += r.Info.Rate
		}
	}
	t.tell(fmt.Sprintf("%s on %s, %s; %.1f deliveries/s\nBUCKETS: followed; QUEUED, SLOWEST: bytes for all clients and for the one with most; BEAT: since a hub was heard",
		plural(sessions, "session", "sessions"), plural(len(roles), "edge", "edges"), plural(connections, "connection", "connections"), rate))
	return Edges{roles}, t, err
}
