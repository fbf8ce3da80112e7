package operator

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// A table is lines of cells under a head. What people chose, such as names, is in the last column: it may be wider than it looks.
type table struct {
	head string // cells separated by tabs
	rows [][]any
	foot string
	more *table // drawn below; nil: none
}

func (t *table) add(cells ...any) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, t.head)
	for _, row := range t.rows {
		for i, c := range row {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, clean(fmt.Sprint(c)))
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil || t.more == nil || len(t.more.rows) == 0 {
		return err
	}
	fmt.Fprintln(w)
	return t.more.write(w)
}

// height is how many lines write makes.
func (t *table) height() int {
	if t == nil || len(t.rows) == 0 {
		return 0
	}
	n := 1 + len(t.rows)
	if more := t.more.height(); more > 0 {
		n += 1 + more
	}
	return n
}

// clean takes from text what would change the terminal, or the table.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// show writes v as JSON, or the table with its foot as a remark.
func (d *Desk) show(v any, t *table) error {
	if d.cfg.JSON {
		e := json.NewEncoder(d.cfg.Out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	if len(t.rows) > 0 {
		if err := t.write(d.cfg.Out); err != nil {
			return err
		}
	}
	if t.foot != "" {
		fmt.Fprintln(d.cfg.Err, t.foot)
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// ago is a duration as people say it.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// size is a count of bytes as people say it.
func size(n int) string {
	switch {
	case n < 10<<10:
		return fmt.Sprint(n)
	case n < 10<<20:
		return fmt.Sprintf("%dk", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%dM", n>>20)
	default:
		return fmt.Sprintf("%dG", n>>30)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
