package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// WatchSessions draws the table of sessions each second until ctx ends.
func (d *Desk) WatchSessions(ctx context.Context, q SessionsQuery) error {
	return d.watch(ctx, "sessions", func() (any, *table, error) {
		all, t, err := d.sessions(ctx, &q)
		return all, t, err
	})
}

// WatchBuckets draws the table of buckets each second until ctx ends.
func (d *Desk) WatchBuckets(ctx context.Context, q BucketsQuery) error {
	return d.watch(ctx, "buckets", func() (any, *table, error) {
		all, t, err := d.buckets(ctx, q)
		return all, t, err
	})
}

// watch looks each second. On a terminal what was drawn is drawn over; elsewhere tables follow each other, and with JSON there is an object
// per line. What cannot be asked for a while is told in place; only what cannot be asked at first ends it.
func (d *Desk) watch(ctx context.Context, what string, look func() (any, *table, error)) error {
	width, height, screen := screenOf(d.cfg.Out)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	if screen && !d.cfg.JSON {
		fmt.Fprint(d.cfg.Out, "\x1b[?1049h\x1b[?25l") // a screen of its own, without a cursor
		defer fmt.Fprint(d.cfg.Out, "\x1b[?25h\x1b[?1049l")
	}
	for first := true; ; first = false {
		v, t, err := look()
		switch {
		case ctx.Err() != nil:
			return nil
		case t == nil && first:
			return err
		case d.cfg.JSON && t != nil:
			if err := json.NewEncoder(d.cfg.Out).Encode(v); err != nil {
				return err
			}
		case screen:
			width, height, _ = screenOf(d.cfg.Out)
			if _, err := d.cfg.Out.Write(frame(what, t, err, width, height)); err != nil {
				return err
			}
		case t != nil:
			fmt.Fprintf(d.cfg.Out, "%s\n", time.Now().Format(time.TimeOnly))
			if err := d.show(v, t); err != nil {
				return err
			}
		}
		if err != nil && (!screen || d.cfg.JSON) {
			fmt.Fprintln(d.cfg.Err, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// screenOf is the size of the terminal behind w.
func screenOf(w io.Writer) (width, height int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	return width, height, err == nil && width > 0 && height > 0
}

// frame is one picture: every line cut to the width, as many as fit, what was below wiped.
func frame(what string, t *table, err error, width, height int) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "starling admin %s, %s, each second; ctrl-C ends\n", what, time.Now().Format(time.TimeOnly))
	foot := ""
	if t != nil {
		foot = t.foot
	}
	if err != nil {
		foot = strings.TrimPrefix(foot+"\n"+clean(strings.ReplaceAll(err.Error(), "\n", "; ")), "\n")
	}
	feet := strings.Split(foot, "\n")
	if t != nil && len(t.rows) > 0 {
		cut := *t
		room := max(height-len(feet)-2, 1)
		if t.height()-1 > room && t.more != nil {
			cut.more = nil // what is below is less
			feet[0] = "more below does not fit; " + feet[0]
		}
		if cut.rows = t.rows[:min(len(t.rows), room)]; len(cut.rows) < len(t.rows) {
			feet[0] = fmt.Sprintf("%d lines of %d fit; ", len(cut.rows), len(t.rows)) + feet[0]
		}
		cut.write(&text) // to memory
	}
	text.WriteString(strings.Join(feet, "\n"))
	var out bytes.Buffer
	out.WriteString("\x1b[H")
	for i, line := range strings.SplitN(text.String(), "\n", height+1) {
		if i == height {
			break
		}
		if i > 0 {
			out.WriteString("\r\n")
		}
		if r := []rune(line); len(r) > width {
			line = string(r[:width])
		}
		out.WriteString(line + "\x1b[K")
	}
	out.WriteString("\x1b[J")
	return out.Bytes()
}
