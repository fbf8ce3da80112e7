package operator

import (
	"context"
	"fmt"

	"github.com/starling-chat/starling/relay"
)

// Leaves is how the leaves are.
type Leaves struct {
	Leaves []Role[relay.LeafInfo] `json:"leaves"`
}

// beatLate is how many seconds old a beat may be before somebody should know: edges call themselves unhealthy after five.
const beatLate = 3

var leafKind = kind[relay.LeafInfo]{
	role: "leaf",
	head: "LEAF\tSTATE\tHUB\tRTT\tBEAT\tEDGES\tPENDING\tSLOW\tLOST LINKS\tCERTIFICATE\tUP",
	name: func(l *relay.LeafInfo) string { return l.Name },
	state: func(l *relay.LeafInfo) (state, why string) {
		switch {
		case len(l.Links) == 0:
			return "cut off", "no link to a hub"
		case l.Heard > beatLate:
			return "hears nothing", fmt.Sprintf("its hub sends no beat for %.0f s", l.Heard)
		}
		return "serves", certificateWhy(l.Certificate)
	},
	cells: func(l *relay.LeafInfo) []any {
		rtt := "-"
		for _, link := range l.Links {
			rtt = fmt.Sprintf("%.1fms", link.RTT)
		}
		return []any{names(l.Links), rtt, fmt.Sprintf("%.1fs", l.Heard), len(l.Clients), size(l.Pending), l.SlowConsumers, l.Lost,
			certificateEnd(l.Certificate), up(l.Since)}
	},
}

func (d *Desk) leaves(ctx context.Context) (any, *table, error) {
	roles, t, err := leafKind.look(ctx, d)
	if t == nil {
		return nil, nil, err
	}
	linked, edges := 0, 0
	for _, r := range roles {
		if r.Info != nil {
			edges += len(r.Info.Clients)
			if len(r.Info.Links) > 0 {
				linked++
			}
		}
	}
	t.tell(fmt.Sprintf("%d of %s linked to a hub, for %s\nBEAT: since a hub was heard; SLOW: connections cut off since they took nothing",
		linked, plural(len(roles), "leaf", "leaves"), plural(edges, "edge", "edges")))
	return Leaves{roles}, t, err
}
