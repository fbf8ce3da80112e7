package operator

import (
	"cmp"
	"context"
	"fmt"

	"github.com/starling-chat/starling/core/console"
	"github.com/starling-chat/starling/proto"
)

// Cores is how the cores are.
type Cores struct {
	Cores []Role[console.Core] `json:"cores"`
}

var coreKind = kind[console.Core]{
	role:  "core",
	head:  "CORE\tSTATE\tBUCKETS\tPINNED\tMOVING\tCMD/S\tWAITING\tDIRECTORY\tHISTORY\tHUB\tSEES\tUP",
	name:  func(c *console.Core) string { return c.Name },
	state: coreState,
	cells: func(c *console.Core) []any {
		return []any{c.Part.Owned, c.Part.Pinned, c.Part.Moving, fmt.Sprintf("%.1f", c.Buckets.Rate), c.Buckets.Waiting,
			c.Buckets.Directory, c.Buckets.History, cmp.Or(c.Hub, "-"), len(c.Part.Cores) + 1, up(c.Since)}
	},
}

func coreState(c *console.Core) (state, why string) {
	switch lost, taking := c.Buckets.Phases["lost"], c.Buckets.Phases["taking"]; {
	case c.Hub == "":
		return "cut off", "no connection to a hub"
	case c.Part.Leaving:
		return "stops", ""
	case c.Part.Drained && c.Part.Owned > 0 && len(c.Part.Cores) == 0:
		return "drains", "there is no other core: it serves as long"
	case c.Part.Drained && c.Part.Owned > 0:
		return "drains", ""
	case c.Part.Drained:
		return "drained", ""
	case lost > 0:
		return "serves", plural(lost, "bucket was", "buckets were") + " lost to another owner"
	case taking > 0:
		return "takes over", ""
	}
	return "serves", ""
}

func (d *Desk) cores(ctx context.Context) (any, *table, error) {
	roles, t, err := coreKind.look(ctx, d)
	if t == nil {
		return nil, nil, err
	}
	owned, rate := 0, 0.0
	for _, r := range roles {
		if r.Info != nil {
			owned += r.Info.Part.Owned
			rate += r.Info.Buckets.Rate
		}
	}
	t.tell(fmt.Sprintf("%d of %d buckets owned by %s; %.1f commands/s\nWAITING: commands; DIRECTORY, HISTORY: entries that the store has not applied",
		owned, proto.Buckets, plural(len(roles), "core", "cores"), rate))
	return Cores{roles}, t, err
}
