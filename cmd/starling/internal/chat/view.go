package chat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

const (
	leastWidth  = 24
	leastHeight = 8
	wide        = 64 // columns from which the list of channels is always shown
	maxSaid     = 6  // lines of a notice
)

// sideWidth is the width of the list of channels; 0 = not shown.
func (m *model) sideWidth() int {
	switch {
	case m.width >= 100:
		return 28
	case m.width >= wide:
		return 20
	case m.focus == onChannels:
		return m.width / 2
	}
	return 0
}

func (m *model) mainWidth() int {
	if s := m.sideWidth(); s > 0 {
		return max(1, m.width-s-1)
	}
	return m.width
}

// historyHeight is what the rest leaves.
func (m *model) historyHeight() int {
	return max(1, m.height-1-len(m.banner(m.mainWidth()))-len(m.below(m.mainWidth()))-m.composer.Height()-1)
}

func (m *model) layout() {
	if m.focus != onComposer || m.form != nil {
		m.composer.Blur()
	} else if !m.composer.Focused() {
		m.composer.Focus()
	}
	m.composer.MaxHeight = max(1, min(maxComposer, m.height/3))
	m.composer.SetWidth(max(4, m.mainWidth()))
	m.composer.Placeholder = "/help shows what can be done"
	if m.here != nil {
		m.composer.Placeholder = fitName("Message #"+m.here.name, max(1, m.mainWidth()-4))
	}
}

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.View{AltScreen: true, ReportFocus: true, WindowTitle: m.title()}
	switch {
	case m.quitting:
		v.AltScreen = false
	case m.width < leastWidth || m.height < leastHeight:
		v.Content = fit("Too small.", m.width)
	case m.form != nil:
		v.Content, v.Cursor = m.form.view(m.width, m.height)
	default:
		v.Content, v.Cursor = m.screen()
	}
	return v
}

func (m *model) title() string {
	title := "Starling"
	if m.here != nil && m.form == nil {
		title = "#" + m.here.name + " · " + title
	}
	n := 0
	for _, ch := range m.world.channels {
		n += ch.mentions
	}
	if n > 0 {
		title = fmt.Sprintf("(%d) %s", n, title)
	}
	return title
}

func (m *model) screen() (string, *tea.Cursor) {
	w, h, side := m.mainWidth(), m.historyHeight(), m.sideWidth()
	lines := []string{m.header(w)}
	lines = append(lines, m.banner(w)...)
	switch {
	case m.help:
		page := helpPage(w)
		page = page[max(0, min(m.helpAt, len(page)-h)):]
		lines = append(lines, append(page, make([]string, max(0, h-len(page)))...)[:h]...)
	case m.here == nil:
		lines = append(lines, m.nowhere(w, h)...)
	default:
		history, _ := m.history(m.here, w, h)
		lines = append(lines, history...)
	}
	lines = append(lines, m.below(w)...)
	var cursor *tea.Cursor
	if c := m.composer.Cursor(); c != nil {
		if cursor = c; side > 0 {
			cursor.X += side + 1
		}
		cursor.Y += len(lines)
	}
	lines = append(lines, strings.Split(m.composer.View(), "\n")...)
	if room := m.height - 1; len(lines) > room {
		lines = lines[:room]
	}
	if side > 0 {
		list := m.list(side, m.height-1)
		for i := range lines {
			lines[i] = list[i] + dim.Render("│") + fit(lines[i], w)
		}
	} else {
		for i := range lines {
			lines[i] = fit(lines[i], w)
		}
	}
	return strings.Join(append(lines, m.foot()), "\n"), cursor
}

func (m *model) header(w int) string {
	if m.here == nil {
		return bold.Render(" Starling")
	}
	s := " " + bold.Render("#"+m.here.name)
	if m.here.topic != "" {
		s += dim.Render(" · " + m.here.topic)
	}
	return fit(s, w)
}

// banner tells that the connection is not what it should be, and when it is tried again.
func (m *model) banner(w int) []string {
	var text string
	switch s := m.status; {
	case s.Phase == client.Online:
		return nil
	case s.Phase == client.Waiting:
		text = fmt.Sprintf("Not connected: %s. Next try in %s · ctrl+l tries now", cleanLine(s.Why), seconds(s.Until.Sub(m.now)))
	case m.online:
		text = "Connecting again …"
	default:
		text = "Connecting …"
	}
	var out []string
	for _, l := range wrap(text, max(1, w-2)) {
		out = append(out, alarm.Render(fit(" "+l, w)))
	}
	return out[:min(len(out), 3)]
}

// below is what stands between the messages and the composer.
func (m *model) below(w int) []string {
	var out []string
	if m.said.text != "" {
		style := good
		if m.said.bad {
			style = bad
		}
		for _, l := range wrap(m.said.text, max(1, w-2)) {
			if len(out) < maxSaid {
				out = append(out, " "+style.Render(l))
			}
		}
	}
	if text := m.composer.Value(); strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") && m.editing == nil {
		for _, c := range matching(text) {
			if len(out) < maxSaid {
				out = append(out, fit(" "+accent.Render(fit("/"+c.name+" "+c.args, 16))+" "+dim.Render(c.what), w))
			}
		}
	}
	return append(out, m.context(w))
}

// context is one line: what the composer will do, or who types.
func (m *model) context(w int) string {
	n := utf8.RuneCountInString(m.composer.Value())
	switch {
	case m.help:
		return accent.Render(fit(" Help: up and down scroll · esc closes it", w))
	case n > proto.MaxContent:
		return bad.Render(fit(fmt.Sprintf(" %d of %d characters", n, proto.MaxContent), w))
	case m.editing != nil:
		return warning.Render(fit(" Editing your message · enter saves · esc leaves it", w))
	case m.replying != nil:
		return accent.Render(fit(" ↪ replying to "+m.replying.name+": "+cleanLine(m.replying.text), w))
	case m.focus == onMessages:
		return accent.Render(fit(" Messages: up and down choose · r reply · e edit · d delete · esc back", w))
	case m.focus == onChannels:
		return accent.Render(fit(" Channels: up and down choose · enter goes there", w))
	case m.here == nil:
		return ""
	case m.here.lines.scroll > 0:
		more := ""
		if m.world.news(m.here) {
			more = "new messages below · "
		}
		return dim.Render(fit(" ↓ "+more+"esc goes to the newest", w))
	}
	names := slices.Sorted(maps.Keys(m.here.typers))
	switch len(names) {
	case 0:
		return ""
	case 1:
		return dim.Render(fit(" "+names[0]+" is typing …", w))
	case 2, 3:
		return dim.Render(fit(" "+strings.Join(names, ", ")+" are typing …", w))
	}
	return dim.Render(fit(" Several people are typing …", w))
}

// list renders guilds and channels, moved so that the current one is seen.
func (m *model) list(w, h int) []string {
	var all []string
	at := 0
	for _, g := range m.world.guilds {
		name := bold.Render(fitName(g.name, w-2))
		if g.away {
			name = dim.Render(fitName(g.name+" (away)", w-2))
		}
		all = append(all, fit(" "+name, w))
		for _, ch := range g.channels {
			if ch == m.here {
				at = len(all)
			}
			all = append(all, m.item(ch, w))
		}
		all = append(all, strings.Repeat(" ", w))
	}
	from := max(0, min(at-h/2, len(all)-h))
	all = all[from:]
	for len(all) < h {
		all = append(all, strings.Repeat(" ", w))
	}
	return all[:h]
}

func (m *model) item(ch *channel, w int) string {
	mark, count := "  ", ""
	switch {
	case len(ch.outbox) > 0 && slices.ContainsFunc(ch.outbox, func(e *entry) bool { return e.state == failed }):
		mark = "✗ "
	case m.world.news(ch):
		mark = "• "
		if ch.unread > 0 {
			count = fmt.Sprintf(" %d", min(ch.unread, 999))
		}
		if ch.mentions > 0 {
			count += " @"
		}
	}
	s := fit(mark+"#"+ch.name, w-1-cells(count)) + count + " "
	switch {
	case ch == m.here && m.focus == onChannels:
		return current.Bold(true).Render(s)
	case ch == m.here:
		return current.Render(s)
	case ch.mentions > 0:
		return mention.Render(s)
	case m.world.news(ch):
		return bold.Render(s)
	}
	return dim.Render(s)
}

// foot is the last line: who and where, and the keys that matter now.
func (m *model) foot() string {
	dot := good.Render("●")
	if m.status.Phase != client.Online {
		dot = warning.Render("○")
	}
	host := ""
	if m.api != nil {
		_, host, _ = strings.Cut(m.api.URL(), "://")
	}
	left := fmt.Sprintf(" %s %s @ %s", dot, m.world.name, cleanLine(host))
	right := ""
	for _, keys := range []string{"f1 help ", "f1 help · ctrl+n/p channels ", "f1 help · ctrl+n/p channels · tab messages · ctrl+q quit "} {
		if cells(left)+cells(keys)+2 <= m.width {
			right = keys
		}
	}
	return fit(fit(left, m.width-cells(right))+dim.Render(right), m.width)
}

// nowhere is shown to somebody without channels.
func (m *model) nowhere(w, h int) []string {
	text := []string{"", bold.Render("Welcome, " + m.world.name + "."), ""}
	if m.online {
		text = append(text, "You are in no guild yet.", "", accent.Render("/guild NAME")+"  makes one", accent.Render("/join CODE")+"   joins one by an invite",
			accent.Render("/help")+"        shows all that can be done")
	}
	out := make([]string, h)
	for i := range min(h, len(text)) {
		out[i] = fit("  "+text[i], w)
	}
	return out
}

// helpPage lists commands and keys.
func helpPage(w int) []string {
	var out []string
	section := func(title string, rows [][2]string) {
		out = append(out, " "+bold.Render(title))
		for _, r := range rows {
			for i, l := range wrap(r[1], max(10, w-20)) {
				out = append(out, "  "+accent.Render(fit(map[bool]string{true: r[0]}[i == 0], 16))+" "+l)
			}
		}
	}
	var rows [][2]string
	for _, c := range commands {
		rows = append(rows, [2]string{"/" + c.name + " " + c.args, c.what})
	}
	section("Commands", rows)
	section("Keys", keyHelp)
	return out
}
