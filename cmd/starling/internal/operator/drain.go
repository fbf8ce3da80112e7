package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-chat/starling/core/console"
)

const drainEvery = 200 * time.Millisecond

// Drain has a core give all its buckets away, and waits until it has none; it goes on to answer the API. With undo it takes part again, and
// Drain waits until buckets have come back. When ctx ends only the waiting does.
func (d *Desk) Drain(ctx context.Context, core string, undo bool) error {
	p, err := d.named("core", core)
	if err != nil {
		return err
	}
	began := time.Now()
	var c console.Core
	if err := d.askSoon(ctx, p, "POST", "drain", console.Drain{Undo: undo}, &c); err != nil {
		return err
	}
	tell := d.progress()
	for calm := 0; ; {
		switch {
		case c.Part.Drained == undo:
			tell("\n")
			return fmt.Errorf("%s was told otherwise meanwhile, by somebody else", core)
		case !undo && c.Part.Owned == 0, undo && calm >= 3:
			tell("\n")
			return d.drained(c, time.Since(began))
		}
		tell("%s has %s, %d of them on their way", core, plural(c.Part.Owned, "bucket", "buckets"), c.Part.Moving)
		if !pause(ctx, drainEvery) {
			tell("\n")
			fmt.Fprintf(d.cfg.Err, "nobody watches any more, but it goes on; see starling admin cores\n")
			return nil
		}
		if err := d.askSoon(ctx, p, "GET", "core", nil, &c); err != nil && ctx.Err() == nil {
			tell("\n")
			return err
		}
		if calm++; undo && (c.Part.Owned == 0 && len(c.Part.Cores) > 0 || d.moving(ctx) > 0) {
			calm = 0
		}
	}
}

// moving counts the buckets that are on their way between cores.
func (d *Desk) moving(ctx context.Context) (n int) {
	cores, err := d.need("core")
	if err != nil {
		return 0
	}
	for _, a := range askEach(cores, func(p place, into *console.Core) error { return d.askSoon(ctx, p, "GET", "core", nil, into) }) {
		n += a.v.Part.Moving
	}
	return n
}

func (d *Desk) drained(c console.Core, took time.Duration) error {
	t := &table{foot: fmt.Sprintf("%s has no bucket after %s. It goes on to answer the API; starling admin drain %s --undo has it take part again",
		c.Name, took.Round(100*time.Millisecond), c.Name)}
	if !c.Part.Drained {
		t.foot = fmt.Sprintf("%s has %s after %s", c.Name, plural(c.Part.Owned, "bucket", "buckets"), took.Round(100*time.Millisecond))
	}
	return d.show(c, t)
}

// progress writes one line over and over on a terminal; elsewhere a line a second, and only where it is another. "\n" ends it.
func (d *Desk) progress() func(format string, args ...any) {
	_, _, screen := screenOf(d.cfg.Err)
	var last string
	var at time.Time
	return func(format string, args ...any) {
		switch line := fmt.Sprintf(format, args...); {
		case line == "\n":
			if screen && last != "" {
				fmt.Fprintln(d.cfg.Err)
			}
		case screen:
			fmt.Fprintf(d.cfg.Err, "\r%s\x1b[K", line)
			last = line
		case line != last && time.Since(at) >= time.Second:
			fmt.Fprintln(d.cfg.Err, line)
			last, at = line, time.Now()
		}
	}
}
