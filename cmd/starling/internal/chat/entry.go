package chat

import (
	"regexp"
	"time"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

// A delivery is how far a message of ours has come.
type delivery int

const (
	arrived delivery = iota // also of all others' messages
	queued                  // behind others of the same channel
	sending
	waiting // for its next try, at entry.again
	failed  // until somebody asks for another try
)

// An entry is one message as shown. Its text is clean.
type entry struct {
	id      proto.ID // 0 until the server has given one
	author  proto.ID
	name    string
	text    string
	at      time.Time
	edited  bool
	mention bool // of me
	reply   proto.ID
	quote   string // what it is a reply to, in one line
	notice  bool   // of what somebody did: not his words

	// Of messages of ours that are not known to have arrived.
	draft client.Draft
	state delivery
	why   string    // waiting, failed
	again time.Time // waiting
	first time.Time // of the first try ever
	begun time.Time // of the first try since somebody asked for it
	tries int

	cache  []string // rendered for width and variant
	width  int
	folded bool // without a header
}

const goneQuote = "a message that is gone"

var tokens = regexp.MustCompile(`<(@[!&]?|#)(\d{1,19})>`)

// resolve writes mentions as people know them.
func (w *world) resolve(g *guild, s string) string {
	return tokens.ReplaceAllStringFunc(s, func(m string) string {
		part := tokens.FindStringSubmatch(m)
		id, err := proto.ParseID(part[2])
		if err != nil {
			return m
		}
		switch part[1] {
		case "#":
			if ch := w.channels[id]; ch != nil {
				return "#" + ch.name
			}
		case "@&":
			if g != nil && g.roles[id] != "" {
				return "@" + g.roles[id]
			}
		default:
			if n, ok := w.names[id]; ok {
				return "@" + n
			}
		}
		return m
	})
}

// entry makes what is shown of a message.
func (w *world) entry(ch *channel, m client.Message) *entry {
	for _, u := range m.Mentions {
		w.know(u)
	}
	w.know(m.Author)
	e := &entry{id: m.ID, author: m.Author.ID, name: w.nameOf(m.Author.ID), at: time.Time(m.Timestamp), edited: m.EditedTimestamp != nil,
		text: clean(w.resolve(ch.guild, m.Content))}
	if m.Type == proto.MessagePinned {
		e.text, e.notice = "pinned a message", true
	}
	if m.Member != nil && m.Member.Nick != nil && *m.Member.Nick != "" {
		e.name = cleanLine(*m.Member.Nick)
	}
	if m.Author.ID != w.me {
		e.mention = m.MentionEveryone
		for _, u := range m.Mentions {
			e.mention = e.mention || u.ID == w.me
		}
	}
	if m.Reference != nil && m.Type == proto.MessageReply {
		e.reply, e.quote = m.Reference.MessageID, goneQuote
		if r := m.Referenced; r != nil {
			w.know(r.Author)
			e.quote = w.nameOf(r.Author.ID) + ": " + cleanLine(w.resolve(ch.guild, r.Content))
		} else if r := ch.lines.find(e.reply); r != nil {
			e.quote = r.name + ": " + cleanLine(r.text)
		}
	}
	return e
}
