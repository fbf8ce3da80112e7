package chat

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

// page is an answer with history.
type page struct {
	feed     *feed // asked during
	channel  proto.ID
	before   proto.ID // 0: the newest
	messages []client.Message
	err      error
}

const maxTimelines = 32 // channels whose history is kept

// show goes to a channel. What was written in the one before waits there.
func (m *model) show(ch *channel) tea.Cmd {
	if ch == m.here {
		return m.load(ch)
	}
	if m.here != nil {
		m.drafts[m.here.id] = ""
		if m.editing == nil {
			m.drafts[m.here.id] = m.composer.Value()
		}
		m.here.lines.newFrom = 0
	}
	m.cancel()
	m.here = ch
	m.composer.SetValue(m.drafts[ch.id])
	m.composer.MoveToEnd()
	ch.lines.newFrom = 0
	m.bound()
	if ch.lines.loaded {
		m.markNew(ch)
	}
	cmd := m.load(ch)
	if ch.lines.loaded {
		m.seen(ch)
	}
	return cmd
}

// markNew finds where the unread part begins.
func (m *model) markNew(ch *channel) {
	read := m.world.marks.read[ch.id]
	for _, e := range ch.lines.entries {
		if e.id > read && e.author != m.world.me {
			ch.lines.newFrom = e.id
			return
		}
	}
}

// bound forgets the history of channels other than the one shown when there are too many.
func (m *model) bound() {
	n := 0
	for _, ch := range m.world.channels {
		if ch.lines.loaded {
			n++
		}
	}
	for _, ch := range m.world.channels {
		if n > maxTimelines && ch.lines.loaded && ch != m.here {
			ch.lines = timeline{}
			n--
		}
	}
}

// load asks for the newest page, unless it is there or on its way.
func (m *model) load(ch *channel) tea.Cmd {
	if ch.lines.loaded || ch.lines.loading {
		return nil
	}
	return m.ask(ch, 0)
}

// above asks for the page before what is loaded.
func (m *model) loadAbove(ch *channel) tea.Cmd {
	t := &ch.lines
	if !t.loaded {
		return m.load(ch)
	}
	if t.loading || t.whole || len(t.entries) == 0 {
		return nil
	}
	return m.ask(ch, t.entries[0].id)
}

func (m *model) ask(ch *channel, before proto.ID) tea.Cmd {
	ch.lines.loading, ch.lines.trouble = true, ""
	api, ctx, f, id := m.api, m.ctx, m.feed, ch.id
	return func() tea.Msg {
		messages, err := api.History(ctx, id, before, pageSize)
		return page{f, id, before, messages, err}
	}
}

func (m *model) onPage(p page) tea.Cmd {
	ch := m.world.channels[p.channel]
	if ch == nil || p.feed != m.feed {
		return nil
	}
	t := &ch.lines
	t.loading = false
	if p.err != nil {
		t.trouble = "Messages could not be loaded: " + words(p.err)
		return nil
	}
	slices.Reverse(p.messages)
	var entries []*entry
	for _, msg := range p.messages {
		ch.settle(nonceOf(msg))
		entries = append(entries, m.world.entry(ch, msg))
	}
	short := len(entries) < pageSize
	if p.before != 0 {
		if len(t.entries) == 0 || t.entries[0].id != p.before { // replaced meanwhile
			return nil
		}
		t.older(entries, short)
		return nil
	}
	t.newest(entries, short)
	if n := len(t.entries); n > 0 {
		ch.last = max(ch.last, t.entries[n-1].id)
	}
	if ch == m.here {
		m.markNew(ch)
		m.seen(ch)
	}
	return nil
}

// scroll moves the window up (by > 0) or down and asks for more where the loaded part ends.
func (m *model) scroll(by int) tea.Cmd {
	ch := m.here
	if ch == nil {
		return nil
	}
	t := &ch.lines
	t.scroll = max(0, t.scroll+by)
	_, top := m.history(ch, m.mainWidth(), m.historyHeight())
	switch {
	case by > 0 && (top || !t.loaded):
		return m.loadAbove(ch)
	case t.scroll == 0 && t.detached:
		t.loaded = false
		return m.load(ch)
	}
	m.seen(ch)
	return nil
}

// step goes to the channel by places further in the list; unread alone, if asked.
func (m *model) step(by int, unread bool) tea.Cmd {
	all := m.world.order()
	if len(all) == 0 {
		return nil
	}
	i := slices.Index(all, m.here)
	for range all {
		i = (i + by + len(all)) % len(all)
		if !unread || m.world.news(all[i]) && all[i] != m.here {
			return m.show(all[i])
		}
	}
	m.say("Nothing is unread.")
	return nil
}
