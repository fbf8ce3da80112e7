package chat

import (
	"fmt"
	"strings"
	"time"

	"github.com/starling-chat/starling/proto"
)

// together is how long messages of one author share a header.
const together = 7 * time.Minute

// rows renders an entry; prev is the one above it, nil at the top.
func (m *model) rows(ch *channel, prev, e *entry, width int) []string {
	folded := prev != nil && prev.author == e.author && prev.name == e.name && e.reply == 0 && e.at.Sub(prev.at) < together && sameDay(prev.at, e.at) &&
		(ch.lines.newFrom == 0 || e.id != ch.lines.newFrom)
	if e.cache == nil || e.width != width || e.folded != folded || e.state != arrived {
		e.cache, e.width, e.folded = m.render(e, width, folded), width, folded
	}
	var out []string
	if prev == nil && ch.lines.whole || prev != nil && !sameDay(prev.at, e.at) {
		out = append(out, rule(e.at.Local().Format("Monday, 2 January 2006"), width, dim))
	}
	if e.id != 0 && e.id == ch.lines.newFrom {
		out = append(out, rule("new", width, warning))
	}
	if e.id == 0 || e.id != ch.lines.chosen {
		return append(out, e.cache...)
	}
	for i, line := range e.cache {
		if i == 0 && line == "" {
			out = append(out, line)
			continue
		}
		out = append(out, accent.Render("▌")+strings.TrimPrefix(line, " "))
	}
	return out
}

func sameDay(a, b time.Time) bool {
	return a.Local().YearDay() == b.Local().YearDay() && a.Local().Year() == b.Local().Year()
}

func rule(text string, width int, s interface{ Render(...string) string }) string {
	side := max(2, (width-cells(text)-2)/2)
	return s.Render(fit(strings.Repeat("─", side)+" "+text+" "+strings.Repeat("─", max(0, width-side-cells(text)-2)), width))
}

// render gives the lines of an entry, each at most width cells.
func (m *model) render(e *entry, width int, folded bool) []string {
	var out []string
	if !folded {
		name := colourOf(e.name)
		if e.author == m.world.me {
			name = nameOfMe
		}
		out = append(out, "", " "+name.Render(fitName(e.name, width-9))+" "+dim.Render(e.at.Local().Format("15:04")))
	}
	if e.reply != 0 {
		out = append(out, " "+dim.Render(fit("↪ "+e.quote, min(cells(e.quote)+2, width-2))))
	}
	text := plain
	switch {
	case e.state == failed:
		text = bad
	case e.state != arrived:
		text = dim
	case e.mention:
		text = mention
	}
	lines := wrap(e.text, width-3)
	for _, line := range lines {
		out = append(out, "  "+text.Render(line))
	}
	if e.edited {
		last := &out[len(out)-1]
		if cells(*last)+10 > width {
			out = append(out, "  "+dim.Render("(edited)"))
		} else {
			*last += dim.Render(" (edited)")
		}
	}
	for _, note := range m.fate(e, width-3) {
		out = append(out, "  "+note)
	}
	return out
}

func fitName(s string, w int) string {
	if cells(s) <= w {
		return s
	}
	return fit(s, max(w, 1))
}

// fate says how a message that has not arrived yet fares.
func (m *model) fate(e *entry, width int) []string {
	var out []string
	switch e.state {
	case queued, sending:
		if m.now.Sub(e.at) > time.Second {
			out = append(out, dim.Render("… sending"))
		}
	case waiting:
		for _, l := range wrap(fmt.Sprintf("… %s; again in %s", e.why, seconds(e.again.Sub(m.now))), width) {
			out = append(out, warning.Render(l))
		}
	case failed:
		for _, l := range wrap(fmt.Sprintf("✗ not sent: %s (ctrl+r tries again, ctrl+x drops it)", e.why), width) {
			out = append(out, bad.Render(l))
		}
	}
	return out
}

// seconds rounds a wait up.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%d s", max(0, int((d+time.Second-1)/time.Second)))
}

// history renders the window of messages of a channel: exactly height lines. It puts the scroll right where it points above the top, and
// tells whether the top of what is loaded can be seen.
func (m *model) history(ch *channel, width, height int) (lines []string, top bool) {
	t := &ch.lines
	all := t.entries
	if !t.detached {
		all = append(all[:len(all):len(all)], ch.outbox...)
	}
	var below []string // from the bottom up
	for i := len(all) - 1; i >= 0 && len(below) < t.scroll+height; i-- {
		var prev *entry
		if i > 0 {
			prev = all[i-1]
		}
		rows := m.rows(ch, prev, all[i], width)
		for j := len(rows) - 1; j >= 0; j-- {
			below = append(below, rows[j])
		}
		top = i == 0
	}
	if len(all) == 0 {
		top = true
	}
	if top {
		below = append(below, m.beginning(ch, width)...)
		t.scroll = max(0, min(t.scroll, len(below)-height))
	}
	lines = make([]string, height)
	for i := range lines {
		if j := t.scroll + height - 1 - i; j < len(below) {
			lines[i] = below[j]
		}
	}
	return lines, top
}

// beginning is what stands above the first message, from the bottom up.
func (m *model) beginning(ch *channel, width int) []string {
	t := &ch.lines
	switch {
	case t.trouble != "":
		return []string{bad.Render(fit(" "+t.trouble+" (pgup tries again)", width))}
	case t.loading || !t.loaded:
		return []string{dim.Render(fit(" … loading", width))}
	case t.whole:
		return []string{dim.Render(fit(" This is the beginning of #"+ch.name+".", width))}
	}
	return nil
}

// reveal scrolls so that the chosen message is in the window.
func (m *model) reveal(ch *channel) {
	t := &ch.lines
	width, height := m.mainWidth(), m.historyHeight()
	bottom := 0
	for i := len(t.entries) - 1; i >= 0; i-- {
		var prev *entry
		if i > 0 {
			prev = t.entries[i-1]
		}
		n := len(m.rows(ch, prev, t.entries[i], width))
		if t.entries[i].id == t.chosen {
			if bottom < t.scroll {
				t.scroll = bottom
			}
			if bottom+n > t.scroll+height {
				t.scroll = bottom + n - height
			}
			return
		}
		bottom += n
	}
}

func chosen(ch *channel) *entry {
	if ch == nil || ch.lines.chosen == proto.ID(0) {
		return nil
	}
	return ch.lines.find(ch.lines.chosen)
}
