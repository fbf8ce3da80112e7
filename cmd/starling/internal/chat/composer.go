package chat

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"

	"github.com/starling-chat/starling/proto"
)

const (
	maxComposer = 6 // rows
	typeEvery   = 8 * time.Second
)

func newComposer() textarea.Model {
	c := textarea.New()
	c.ShowLineNumbers, c.DynamicHeight, c.MinHeight, c.MaxHeight, c.CharLimit, c.MaxContentHeight = false, true, 1, maxComposer, 4000, 500
	c.SetHeight(1)
	c.SetPromptFunc(2, func(p textarea.PromptInfo) string {
		if p.LineNumber == 0 {
			return "› "
		}
		return "  "
	})
	c.KeyMap.InsertNewline = key.NewBinding(key.WithKeys("alt+enter", "shift+enter", "ctrl+j"))
	c.SetVirtualCursor(false)
	style := c.Styles()
	for _, s := range []*textarea.StyleState{&style.Focused, &style.Blurred} {
		s.CursorLine, s.Text, s.Prompt, s.Placeholder, s.EndOfBuffer = plain, plain, accent, dim, plain
	}
	c.SetStyles(style)
	return c
}

// compose hands a message to the composer and tells others that somebody types.
func (m *model) compose(msg tea.Msg) tea.Cmd {
	before := m.composer.Value()
	var cmd tea.Cmd
	m.composer, cmd = m.composer.Update(msg)
	text := m.composer.Value()
	if text == before || text == "" || m.here == nil || m.editing != nil || strings.HasPrefix(text, "/") || m.now.Sub(m.typed[m.here.id]) < typeEvery {
		return cmd
	}
	m.typed[m.here.id] = m.now
	api, ctx, id := m.api, m.ctx, m.here.id
	return tea.Batch(cmd, func() tea.Msg {
		api.Type(ctx, id) // a courtesy
		return nil
	})
}

// submit does what the composer says: a command, an edit, or a message.
func (m *model) submit() tea.Cmd {
	text := strings.TrimSpace(m.composer.Value())
	switch {
	case text == "" && m.editing != nil:
		m.say("An empty message: /delete removes it, esc keeps it as it was.")
		return nil
	case text == "":
		return nil
	case strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") && m.editing == nil:
		m.composer.Reset()
		return m.command(text)
	}
	text = strings.TrimPrefix(text, map[bool]string{true: "/"}[strings.HasPrefix(text, "//")])
	if n := utf8.RuneCountInString(text); n > proto.MaxContent {
		m.wrong(fmt.Sprintf("Too long by %d characters: a message may have %d.", n-proto.MaxContent, proto.MaxContent))
		return nil
	}
	ch := m.here
	if ch == nil {
		m.wrong("No channel to write to. /guild NAME makes a guild, /join CODE joins one.")
		return nil
	}
	m.said = notice{}
	if e := m.editing; e != nil {
		m.cancel()
		if text == e.text {
			return nil
		}
		content := m.address(text)
		return m.do("The edit was not saved", "", func(ctx context.Context, a api) error {
			_, err := a.Edit(ctx, ch.id, e.id, content)
			return err
		})
	}
	if len(ch.outbox) >= maxOutbox {
		m.wrong("Too many messages wait already: ctrl+r tries again, ctrl+x drops what failed.")
		return nil
	}
	reply := m.replying
	m.cancel()
	delete(m.typed, ch.id)
	var more tea.Cmd
	if ch.lines.detached {
		ch.lines.loaded = false
		more = m.load(ch)
	}
	return tea.Batch(m.post(ch, text, reply), more)
}

// cancel leaves editing and replying and empties the composer.
func (m *model) cancel() {
	m.editing, m.replying, m.deleting = nil, nil, 0
	m.composer.Reset()
	if m.here != nil {
		m.here.lines.chosen = 0
	}
	if m.focus == onMessages {
		m.focus = onComposer
	}
}

// edit puts a message of ours into the composer.
func (m *model) edit(e *entry) tea.Cmd {
	if e == nil || e.author != m.world.me || e.id == 0 {
		m.wrong("Only messages of your own can be edited.")
		return nil
	}
	m.editing, m.replying, m.focus = e, nil, onComposer
	m.composer.SetValue(e.text)
	m.composer.MoveToEnd()
	return m.composer.Focus()
}

func (m *model) reply(e *entry) tea.Cmd {
	if e == nil {
		m.wrong("Nothing to reply to.")
		return nil
	}
	m.replying, m.editing, m.focus = e, nil, onComposer
	return m.composer.Focus()
}

// mine is the newest message of ours that has arrived.
func (m *model) mine() *entry {
	if m.here == nil {
		return nil
	}
	for i := len(m.here.lines.entries) - 1; i >= 0; i-- {
		if e := m.here.lines.entries[i]; e.author == m.world.me && !e.notice {
			return e
		}
	}
	return nil
}

var atName = regexp.MustCompile(`(^|\s)@([a-z0-9_.]{2,32})`)

// address turns @name into a mention where exactly that name is known.
func (m *model) address(text string) string {
	return atName.ReplaceAllStringFunc(text, func(s string) string {
		part := atName.FindStringSubmatch(s)
		for _, name := range []string{part[2], strings.TrimRight(part[2], ".")} {
			for id, known := range m.world.names {
				if known == name {
					return part[1] + "<@" + id.String() + ">" + part[2][len(name):]
				}
			}
		}
		return s
	})
}
