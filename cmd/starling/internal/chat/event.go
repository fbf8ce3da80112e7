package chat

import (
	"encoding/json"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

const typingLife = 10 * time.Second

func (m *model) onBatch(b batch) tea.Cmd {
	if b.feed != m.feed {
		return nil
	}
	var cmds []tea.Cmd
	for _, e := range b.events {
		switch e := e.(type) {
		case reconnector:
			m.feed.reconnect = e
		case client.Status:
			cmds = append(cmds, m.onStatus(e))
		case client.Dispatch:
			cmds = append(cmds, m.onDispatch(e))
		case error:
			return tea.Batch(append(cmds, m.onEnded(ended{b.feed, e}))...)
		}
	}
	return tea.Batch(append(cmds, b.feed.next())...)
}

func (m *model) onStatus(s client.Status) tea.Cmd {
	m.status = s
	if s.Phase != client.Online {
		return nil
	}
	m.online = true
	if s.Resumed {
		return m.hurry()
	}
	for _, ch := range m.world.channels { // something may have been missed: what is loaded is replaced when it is looked at
		ch.lines.loaded = false
	}
	return m.hurry()
}

// onDispatch applies one event. What cannot be decoded is passed over: a newer server may say more than we know.
func (m *model) onDispatch(d client.Dispatch) tea.Cmd {
	if h := handlers[d.Type]; h != nil {
		return h(m, d.Data)
	}
	return nil
}

// handlers by event.
var handlers = map[string]func(*model, []byte) tea.Cmd{
	proto.EventReady:         on((*model).onReady),
	proto.EventGuildCreate:   on((*model).onGuild),
	proto.EventGuildUpdate:   on((*model).onGuildUpdate),
	proto.EventGuildDelete:   on((*model).onGuildDelete),
	proto.EventChannelCreate: on((*model).onChannel),
	proto.EventChannelUpdate: on((*model).onChannel),
	proto.EventChannelDelete: on((*model).onChannelDelete),
	proto.EventMessageCreate: on((*model).onMessage),
	proto.EventMessageUpdate: on((*model).onMessageUpdate),
	proto.EventMessageDelete: on((*model).onMessageDelete),
	proto.EventTypingStart:   on((*model).onTyping),
	proto.EventMessageDeleteBulk: on(func(m *model, d struct {
		IDs       []proto.ID `json:"ids"`
		ChannelID proto.ID   `json:"channel_id"`
	}) tea.Cmd {
		for _, id := range d.IDs {
			m.onMessageDelete(proto.MessageDelete{ID: id, ChannelID: d.ChannelID})
		}
		return nil
	}),
}

func on[T any](h func(*model, T) tea.Cmd) func(*model, []byte) tea.Cmd {
	return func(m *model, d []byte) tea.Cmd {
		var v T
		if json.Unmarshal(d, &v) != nil {
			return nil
		}
		return h(m, v)
	}
}

// readyGuilds is what of READY is read: who we are, and which guilds there are.
type readyGuilds struct {
	User   proto.User        `json:"user"`
	Guilds []proto.GuildStub `json:"guilds"`
}

func (m *model) onReady(r readyGuilds) tea.Cmd {
	m.world.me = r.User.ID
	m.world.know(r.User)
	m.world.name = m.world.nameOf(r.User.ID)
	for _, g := range slices.Clone(m.world.guilds) { // left while we were away
		if !slices.ContainsFunc(r.Guilds, func(s proto.GuildStub) bool { return s.ID == g.id }) {
			m.onGuildDelete(proto.GuildStub{ID: g.id})
		}
	}
	return nil
}

func (m *model) onGuild(c proto.GuildCreate) tea.Cmd {
	m.world.setGuild(c)
	g := m.world.guild(c.ID)
	if m.goal == c.ID && len(g.channels) > 0 {
		m.goal = 0
		return m.show(g.channels[0])
	}
	return m.settled()
}

// settled looks after what is shown when guilds or channels have changed.
func (m *model) settled() tea.Cmd {
	if m.here != nil && m.world.channels[m.here.id] != m.here {
		m.here = nil
	}
	if m.here == nil {
		if all := m.world.order(); len(all) > 0 {
			return m.show(all[0])
		}
		return nil
	}
	return m.load(m.here)
}

func (m *model) onGuildUpdate(u proto.Guild) tea.Cmd {
	if g := m.world.guild(u.ID); g != nil {
		g.name = cleanLine(u.Name)
	}
	return nil
}

func (m *model) onGuildDelete(s proto.GuildStub) tea.Cmd {
	if g := m.world.guild(s.ID); g != nil && s.Unavailable {
		g.away = true
		return nil
	}
	m.world.dropGuild(s.ID)
	return m.settled()
}

func (m *model) onChannel(c proto.Channel) tea.Cmd {
	if g := m.world.guild(c.GuildID); g != nil {
		m.world.setChannel(g, c)
	}
	return m.settled()
}

func (m *model) onChannelDelete(c proto.Channel) tea.Cmd {
	m.world.dropChannel(c.ID)
	return m.settled()
}

func (m *model) onMessage(msg client.Message) tea.Cmd {
	ch := m.world.channels[msg.ChannelID]
	if ch == nil {
		return nil
	}
	e := m.world.entry(ch, msg)
	delete(ch.typers, e.name)
	delete(ch.typers, m.world.nameOf(e.author))
	before := ch.lines.scroll
	if e.author == m.world.me {
		ch.settle(nonceOf(msg))
		m.world.marks.see(ch.id, msg.ID) // who writes has read
	} else if msg.ID > ch.last {
		ch.unread++
		if e.mention {
			ch.mentions++
		}
	}
	ch.last = max(ch.last, msg.ID)
	ch.lines.add(e)
	if ch == m.here && before > 0 { // hold still what is being read
		ch.lines.scroll += len(m.rows(ch, m.above(ch, e), e, m.mainWidth()))
	}
	m.seen(ch)
	return m.pump(ch)
}

// above is the entry before e.
func (m *model) above(ch *channel, e *entry) *entry {
	if i, _ := ch.lines.at(e.id); i > 0 {
		return ch.lines.entries[i-1]
	}
	return nil
}

func (m *model) onMessageUpdate(msg client.Message) tea.Cmd {
	if ch := m.world.channels[msg.ChannelID]; ch != nil && ch.lines.find(msg.ID) != nil {
		ch.lines.put(m.world.entry(ch, msg))
	}
	return nil
}

func (m *model) onMessageDelete(d proto.MessageDelete) tea.Cmd {
	if ch := m.world.channels[d.ChannelID]; ch != nil {
		ch.lines.remove(d.ID)
		for _, e := range ch.lines.entries {
			if e.reply == d.ID {
				e.quote, e.cache = goneQuote, nil
			}
		}
	}
	if m.editing != nil && m.editing.id == d.ID {
		m.cancel()
		m.say("The message you were editing has been deleted.")
	}
	return nil
}

const maxTypers = 20 // of one channel

func (m *model) onTyping(t proto.TypingStart) tea.Cmd {
	ch := m.world.channels[t.ChannelID]
	if ch == nil || t.UserID == m.world.me || len(ch.typers) >= maxTypers {
		return nil
	}
	if t.Member != nil && t.Member.User != nil {
		m.world.know(*t.Member.User)
	}
	ch.typers[m.world.nameOf(t.UserID)] = m.now.Add(typingLife)
	return nil
}

// seen marks a channel as read while it is looked at.
func (m *model) seen(ch *channel) {
	if ch == m.here && !m.away && ch.lines.scroll == 0 && m.form == nil {
		m.world.see(ch)
	}
}
