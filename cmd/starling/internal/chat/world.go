package chat

import (
	"cmp"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
)

// A world is what the gateway has told: guilds, their channels, people's names. All text in it is clean.
type world struct {
	me       proto.ID
	name     string // mine
	guilds   []*guild
	channels map[proto.ID]*channel
	names    map[proto.ID]string
	marks    *marks
}

type guild struct {
	id       proto.ID
	name     string
	away     bool // cannot be reached at the moment
	roles    map[proto.ID]string
	channels []*channel // in the order they are shown
}

// A channel that can hold messages.
type channel struct {
	id       proto.ID
	guild    *guild
	name     string
	topic    string
	position int
	last     proto.ID // newest message
	unread   int      // counted while we were there; more may be unread
	mentions int
	lines    timeline
	typers   map[string]time.Time // name → when it is forgotten
	outbox   []*entry             // not yet known to have arrived, in order
}

const maxNames = 50_000 // people remembered by name

func newWorld(m *marks) *world {
	return &world{channels: map[proto.ID]*channel{}, names: map[proto.ID]string{}, marks: m}
}

func (w *world) guild(id proto.ID) *guild {
	for _, g := range w.guilds {
		if g.id == id {
			return g
		}
	}
	return nil
}

// know remembers a user's name.
func (w *world) know(u proto.User) {
	name := u.Username
	if u.GlobalName != nil && *u.GlobalName != "" {
		name = *u.GlobalName
	}
	if len(w.names) >= maxNames {
		clear(w.names)
	}
	w.names[u.ID] = cleanLine(name)
}

// nameOf gives the name to show.
func (w *world) nameOf(id proto.ID) string {
	if n, ok := w.names[id]; ok {
		return n
	}
	return "user " + id.String()
}

// setGuild takes a guild over as GUILD_CREATE has it; what is loaded of its channels stays.
func (w *world) setGuild(c proto.GuildCreate) {
	g := w.guild(c.ID)
	if g == nil {
		g = &guild{id: c.ID}
		w.guilds = append(w.guilds, g)
		slices.SortFunc(w.guilds, func(a, b *guild) int { return cmp.Compare(a.id, b.id) })
	}
	g.name, g.away, g.roles = cleanLine(c.Name), false, map[proto.ID]string{}
	for _, r := range c.Roles {
		g.roles[r.ID] = cleanLine(r.Name)
	}
	for _, m := range c.Members {
		if m.User != nil {
			w.know(*m.User)
		}
	}
	here := map[proto.ID]bool{}
	for _, ch := range c.Channels {
		here[ch.ID] = true
		w.setChannel(g, ch)
	}
	for _, ch := range slices.Clone(g.channels) {
		if !here[ch.id] {
			w.dropChannel(ch.id)
		}
	}
}

// dropGuild forgets a guild that was left or deleted.
func (w *world) dropGuild(id proto.ID) {
	g := w.guild(id)
	if g == nil {
		return
	}
	for _, ch := range g.channels {
		delete(w.channels, ch.id)
	}
	w.guilds = slices.DeleteFunc(w.guilds, func(o *guild) bool { return o == g })
}

func (w *world) setChannel(g *guild, c proto.Channel) {
	if c.Type == proto.ChannelCategory {
		return
	}
	ch := w.channels[c.ID]
	if ch == nil {
		ch = &channel{id: c.ID, guild: g, typers: map[string]time.Time{}}
		w.channels[c.ID] = ch
		g.channels = append(g.channels, ch)
	}
	ch.name, ch.topic, ch.position = cleanLine(c.Name), "", c.Position
	if c.Topic != nil && *c.Topic != "" {
		ch.topic = cleanLine(*c.Topic)
	}
	if c.LastMessageID != nil {
		ch.last = max(ch.last, *c.LastMessageID)
	}
	if _, ok := w.marks.read[ch.id]; !ok { // first seen on this machine: what was before is not news
		w.marks.see(ch.id, max(ch.last, 1))
	}
	slices.SortFunc(g.channels, func(a, b *channel) int {
		return cmp.Or(cmp.Compare(a.position, b.position), cmp.Compare(a.id, b.id))
	})
}

func (w *world) dropChannel(id proto.ID) {
	ch := w.channels[id]
	if ch == nil {
		return
	}
	delete(w.channels, id)
	ch.guild.channels = slices.DeleteFunc(ch.guild.channels, func(o *channel) bool { return o == ch })
}

// news tells whether a channel holds something unread.
func (w *world) news(ch *channel) bool { return ch.last > w.marks.read[ch.id] }

// see marks a channel as read.
func (w *world) see(ch *channel) {
	w.marks.see(ch.id, ch.last)
	ch.unread, ch.mentions = 0, 0
}

// order is every channel as the list shows them.
func (w *world) order() []*channel {
	var all []*channel
	for _, g := range w.guilds {
		all = append(all, g.channels...)
	}
	return all
}
