package chat

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
)

// keyHelp is what /help says of keys.
var keyHelp = [][2]string{
	{"enter", "send; alt+enter begins a new line"},
	{"up", "with nothing written: edit your last message"},
	{"tab", "go between writing, messages and channels; complete a command"},
	{"in messages", "up and down choose, r replies, e edits, d deletes"},
	{"ctrl+n  ctrl+p", "next and previous channel; ctrl+g the next unread one"},
	{"pgup  pgdown", "scroll; older messages are loaded at the top; esc goes down again"},
	{"ctrl+r  ctrl+x", "try failed messages again; drop them"},
	{"ctrl+l", "reconnect now"},
	{"esc", "leave a reply, an edit, this help"},
	{"ctrl+c", "clear what is written; with nothing written: quit"},
}

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if name != "d" && name != "delete" {
		m.deleting = 0
	}
	if m.help && name != "ctrl+c" {
		if by, ok := map[string]int{"up": -1, "down": 1, "pgup": -m.historyHeight(), "pgdown": m.historyHeight()}[name]; ok {
			m.helpAt = max(0, min(m.helpAt+by, len(helpPage(m.mainWidth()))-m.historyHeight()))
			return nil
		}
		m.help = false
		if name == "esc" || name == "q" || name == "enter" || name == "f1" {
			return nil
		}
	}
	switch name {
	case "ctrl+c":
		if m.composer.Value() != "" || m.editing != nil || m.replying != nil {
			m.cancel()
			return m.composer.Focus()
		}
		return m.quit()
	case "ctrl+n", "alt+down":
		return m.step(1, false)
	case "ctrl+p", "alt+up":
		return m.step(-1, false)
	case "ctrl+g", "alt+a":
		return m.step(1, true)
	case "pgup":
		return m.scroll(max(1, m.historyHeight()-2))
	case "pgdown":
		return m.scroll(-max(1, m.historyHeight()-2))
	case "f1":
		m.help, m.helpAt = true, 0
		return nil
	case "ctrl+r":
		return m.retryHere()
	case "ctrl+x":
		return m.dropHere()
	case "ctrl+l":
		if m.feed != nil && m.status.Phase == client.Waiting {
			m.feed.reconnect()
		}
		return tea.ClearScreen
	case "tab", "shift+tab":
		return m.tab(name)
	case "esc":
		return m.escape()
	}
	switch m.focus {
	case onMessages:
		return m.messageKey(name)
	case onChannels:
		return m.channelKey(name)
	}
	return m.composerKey(k)
}

func (m *model) composerKey(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "enter":
		return m.submit()
	case "up":
		if m.composer.Value() == "" && m.editing == nil {
			if e := m.mine(); e != nil {
				return m.edit(e)
			}
			return nil
		}
	}
	return m.compose(k)
}

func (m *model) tab(name string) tea.Cmd {
	if text := m.composer.Value(); m.focus == onComposer && strings.HasPrefix(text, "/") && !strings.Contains(text, " ") {
		if c := matching(text); len(c) > 0 {
			m.composer.SetValue("/" + c[0].name + " ")
			m.composer.MoveToEnd()
		}
		return nil
	}
	by := focus(1)
	if name == "shift+tab" {
		by = 2
	}
	m.focus = (m.focus + by) % 3
	if m.focus == onMessages && (m.here == nil || !m.here.lines.choose(-1)) {
		m.focus = (m.focus + by) % 3
	}
	if m.focus == onMessages {
		m.reveal(m.here)
	} else if m.here != nil {
		m.here.lines.chosen = 0
	}
	if m.focus == onComposer {
		return m.composer.Focus()
	}
	m.composer.Blur()
	return nil
}

// escape takes back one thing: the notice, the edit or reply, the choice, the scrolling.
func (m *model) escape() tea.Cmd {
	switch {
	case m.said.text != "":
		m.said = notice{}
	case m.editing != nil || m.focus == onMessages:
		m.cancel()
	case m.replying != nil:
		m.replying = nil
	case m.here != nil && m.here.lines.scroll > 0:
		return m.scroll(-m.here.lines.scroll)
	}
	m.focus = onComposer
	return m.composer.Focus()
}

func (m *model) messageKey(name string) tea.Cmd {
	ch := m.here
	if ch == nil {
		return m.escape()
	}
	switch name {
	case "up", "k":
		if !ch.lines.choose(-1) {
			return m.scroll(m.historyHeight() / 2)
		}
		m.reveal(ch)
		return m.scroll(0)
	case "down", "j":
		if !ch.lines.choose(1) {
			return m.escape()
		}
		m.reveal(ch)
		return m.scroll(0)
	case "r", "enter":
		return m.reply(chosen(ch))
	case "e":
		return m.edit(chosen(ch))
	case "d", "delete":
		return m.remove(chosen(ch))
	}
	return nil
}

// remove deletes a message when it is asked twice.
func (m *model) remove(e *entry) tea.Cmd {
	if e == nil {
		m.wrong("No message to delete.")
		return nil
	}
	if m.deleting != e.id {
		m.deleting = e.id
		m.say("Delete \"" + fitName(cleanLine(e.text), 40) + "\"? d again deletes it.")
		return nil
	}
	ch, id := m.here.id, e.id
	m.cancel()
	m.focus = onComposer
	m.said = notice{}
	return tea.Batch(m.composer.Focus(), m.do("The message was not deleted", "", func(ctx context.Context, a api) error { return a.Delete(ctx, ch, id) }))
}

func (m *model) channelKey(name string) tea.Cmd {
	switch name {
	case "up", "k":
		return m.step(-1, false)
	case "down", "j":
		return m.step(1, false)
	case "enter":
		return m.escape()
	}
	return nil
}

func (m *model) retryHere() tea.Cmd {
	if m.here == nil {
		return nil
	}
	n, cmd := m.retry(m.here)
	if n == 0 {
		m.say("Nothing has failed here.")
	}
	return cmd
}

func (m *model) dropHere() tea.Cmd {
	if m.here != nil && m.here.drop() == 0 {
		m.say("Nothing has failed here.")
	}
	return nil
}
