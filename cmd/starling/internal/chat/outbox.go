package chat

import (
	"context"
	"errors"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

const (
	maxOutbox = 50               // messages of one channel that wait
	patience  = 60 * time.Second // for a server that does not answer, before a message counts as failed
	safe      = 4 * time.Minute  // how long the server surely knows a nonce: it says 5
)

// sent tells how a try went.
type sent struct {
	channel proto.ID
	nonce   string
	message client.Message
	err     error
}

// again is the time of a waiting message's next try.
type again struct {
	channel proto.ID
	nonce   string
}

// post queues a message of ours.
func (m *model) post(ch *channel, content string, reply *entry) tea.Cmd {
	e := &entry{author: m.world.me, name: m.world.nameOf(m.world.me), text: clean(content), at: m.clock(), first: m.clock(), begun: m.clock(), state: queued,
		draft: client.Draft{Content: m.address(content), Nonce: client.NewNonce()}}
	if reply != nil {
		e.reply, e.quote = reply.id, reply.name+": "+cleanLine(reply.text)
		e.draft.Reference = &client.Reference{MessageID: reply.id, ChannelID: ch.id}
	}
	ch.outbox = append(ch.outbox, e)
	ch.lines.scroll = 0
	return m.pump(ch)
}

// pump sends the next message of a channel. One is under way at a time, so that they arrive in the order they were written.
func (m *model) pump(ch *channel) tea.Cmd {
	for _, e := range ch.outbox {
		switch e.state {
		case sending, waiting:
			return nil
		case queued:
			e.state = sending
			e.tries++
			return m.try(ch.id, e.draft, m.clock().Sub(e.first) > safe)
		}
	}
	return nil
}

// try sends a draft. One whose nonce the server may have forgotten is looked for in the history before.
func (m *model) try(ch proto.ID, d client.Draft, old bool) tea.Cmd {
	api, me, ctx := m.api, m.world.me, m.ctx
	return func() tea.Msg {
		if old {
			page, err := api.History(ctx, ch, 0, 100)
			if err != nil {
				return sent{channel: ch, nonce: d.Nonce, err: err}
			}
			for _, msg := range page {
				if msg.Author.ID == me && nonceOf(msg) == d.Nonce {
					return sent{ch, d.Nonce, msg, nil}
				}
			}
		}
		msg, err := api.Send(ctx, ch, d)
		return sent{ch, d.Nonce, msg, err}
	}
}

func nonceOf(m client.Message) string {
	n := string(m.Nonce)
	if len(n) >= 2 && n[0] == '"' {
		return n[1 : len(n)-1]
	}
	return n
}

// settle takes a message of ours out of the outbox.
func (ch *channel) settle(nonce string) bool {
	i := slices.IndexFunc(ch.outbox, func(e *entry) bool { return e.draft.Nonce == nonce })
	if nonce == "" || i < 0 {
		return false
	}
	ch.outbox = slices.Delete(ch.outbox, i, i+1)
	return true
}

func (m *model) onSent(r sent) tea.Cmd {
	ch := m.world.channels[r.channel]
	if ch == nil {
		return nil
	}
	if r.err == nil {
		if ch.settle(r.nonce) && ch.lines.find(r.message.ID) == nil {
			ch.last = max(ch.last, r.message.ID)
			ch.lines.add(m.world.entry(ch, r.message))
			m.seen(ch)
		}
		return m.pump(ch)
	}
	i := slices.IndexFunc(ch.outbox, func(e *entry) bool { return e.draft.Nonce == r.nonce })
	if i < 0 { // the event was faster than the lost answer
		return m.pump(ch)
	}
	e := ch.outbox[i]
	var limit *client.RateLimit
	switch {
	case errors.Is(r.err, context.Canceled):
		return nil
	case errors.As(r.err, &limit):
		e.state, e.why, e.again = waiting, "rate limited", m.clock().Add(limit.After)
	case client.Temporary(r.err) && m.clock().Sub(e.begun) < patience:
		e.state, e.why, e.again = waiting, words(r.err), m.clock().Add(min(time.Second<<min(e.tries-1, 3), 8*time.Second))
	default:
		e.state, e.why = failed, words(r.err)
		return m.pump(ch)
	}
	return tea.Tick(e.again.Sub(m.clock()), func(time.Time) tea.Msg { return again{r.channel, r.nonce} })
}

func (m *model) onAgain(a again) tea.Cmd {
	ch := m.world.channels[a.channel]
	if ch == nil {
		return nil
	}
	for _, e := range ch.outbox {
		if e.draft.Nonce == a.nonce && e.state == waiting && m.clock().After(e.again.Add(-50*time.Millisecond)) {
			e.state = queued
		}
	}
	return m.pump(ch)
}

// hurry sends what waits for a server that is back.
func (m *model) hurry() tea.Cmd {
	var cmds []tea.Cmd
	for _, ch := range m.world.channels {
		for _, e := range ch.outbox {
			if e.state == waiting && e.why != "rate limited" {
				e.state = queued
			}
		}
		cmds = append(cmds, m.pump(ch))
	}
	return tea.Batch(cmds...)
}

// retry gives the failed messages of a channel another try, drop gives them up; both tell how many there were.
func (m *model) retry(ch *channel) (int, tea.Cmd) {
	n := 0
	for _, e := range ch.outbox {
		if e.state == failed {
			e.state, e.tries, e.begun = queued, 0, m.clock()
			n++
		}
	}
	return n, m.pump(ch)
}

func (ch *channel) drop() int {
	n := len(ch.outbox)
	ch.outbox = slices.DeleteFunc(ch.outbox, func(e *entry) bool { return e.state == failed })
	return n - len(ch.outbox)
}

// words is what a person is told of an error; the server's words are not trusted either.
func words(err error) string { return cleanLine(client.Words(err)) }
