package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-chat/starling/edge"
)

// resumeWait is how long an edge that has no client left is watched for sessions that other edges take: clients that are on their way.
const resumeWait = 3 * time.Second

// DrainEdge has an edge send its clients elsewhere within a window, and waits until none is left; the edge goes on, unready. With undo it serves
// again. When ctx ends only the waiting does.
func (d *Desk) DrainEdge(ctx context.Context, name string, window time.Duration, undo bool) error {
	p, err := d.named("edge", name)
	if err != nil {
		return err
	}
	began := time.Now()
	var at edge.Draining
	if err := d.askSoon(ctx, p, "POST", "drain", edge.DrainOrder{Window: window.Seconds(), Undo: undo}, &at); err != nil {
		return err
	}
	if undo {
		return d.show(at, &table{foot: fmt.Sprintf("%s serves again, with %s", name, plural(at.Connections, "connection", "connections"))})
	}
	tell := d.progress()
	var over time.Time // since when
	for resumed := -1; ; {
		switch {
		case !at.Drains:
			tell("\n")
			return fmt.Errorf("%s was told otherwise meanwhile, by somebody else", name)
		case at.Over && (at.Resumed >= at.Sessions || at.Resumed == resumed && time.Since(over) >= resumeWait):
			tell("\n")
			return d.show(at, &table{foot: drainedEdge(at, time.Since(began))})
		case at.Over && at.Resumed != resumed:
			over, resumed = time.Now(), at.Resumed
		}
		tell("%s", drainingEdge(at))
		if !pause(ctx, drainEvery) {
			tell("\n")
			fmt.Fprintf(d.cfg.Err, "nobody watches any more, but it goes on; see starling admin edges\n")
			return nil
		}
		was := at
		if err := d.askSoon(ctx, p, "GET", "drain", nil, &at); err != nil && ctx.Err() == nil {
			tell("\n")
			if was.Stops {
				return fmt.Errorf("%s stopped by itself, with %s left: %w", name, plural(was.Connections, "connection", "connections"), err)
			}
			return err
		}
	}
}

// drainingEdge is the line of progress.
func drainingEdge(at edge.Draining) string {
	line := fmt.Sprintf("%s has %s of %d left, %ds to go; %d told to go, %s resumed elsewhere", at.Edge, plural(at.Connections, "connection", "connections"),
		at.Clients, int(at.Left+0.5), at.Told, plural(at.Resumed, "session", "sessions"))
	if at.Over {
		line = fmt.Sprintf("%s has no connection left; %s of %d resumed elsewhere", at.Edge, plural(at.Resumed, "session", "sessions"), at.Sessions)
	}
	return line
}

// drainedEdge sums a drain up.
func drainedEdge(at edge.Draining, took time.Duration) string {
	text := fmt.Sprintf("%s is drained after %s: of %s %d were told to go, %d stayed until they were closed", at.Edge, took.Round(100*time.Millisecond),
		plural(at.Clients, "client", "clients"), at.Told, at.Closed)
	if at.Connections > 0 {
		text += fmt.Sprintf(", %d have not closed yet", at.Connections)
	}
	text += fmt.Sprintf("; %s resumed elsewhere", plural(at.Resumed, "session", "sessions"))
	if at.Waiting > 0 {
		text += fmt.Sprintf(", %d may still", at.Waiting)
	}
	if at.Stops {
		return text + ". It stops now"
	}
	return text + fmt.Sprintf(". It runs on without clients; starling edge drain %s --undo has it serve again", at.Edge)
}
