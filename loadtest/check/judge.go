package check

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
)

const pageSize = 100

// history pages through every channel, newest first, and gives it oldest first.
func (r *Run) history(ctx context.Context) (map[proto.ID][]proto.Message, error) {
	past := map[proto.ID][]proto.Message{}
	for _, channel := range r.town.channels {
		var all []proto.Message
		for query := fmt.Sprintf("limit=%d", pageSize); ; {
			page, err := r.page(ctx, channel, query)
			if err != nil {
				return nil, err
			}
			all = append(all, page...)
			if len(page) < pageSize {
				break
			}
			query = fmt.Sprintf("limit=%d&before=%s", pageSize, page[len(page)-1].ID)
		}
		slices.Reverse(all)
		past[channel] = all
	}
	return past, nil
}

// page reads one page; a server that is away for a moment is asked again.
func (r *Run) page(ctx context.Context, channel proto.ID, query string) ([]proto.Message, error) {
	for tries := 1; ; tries++ {
		page, err := r.town.owner.History(ctx, channel, query)
		if err == nil || tries == 20 || !pause(ctx, 250*time.Millisecond) {
			return page, err
		}
	}
}

// judge compares what was sent, what history holds and what was heard.
func (r *Run) judge(past map[proto.ID][]proto.Message) {
	sent := map[string]*note{}
	for _, n := range r.load.notes {
		sent[n.key] = n
	}
	for channel, messages := range past {
		seen := map[string]proto.ID{}
		last := proto.ID(0)
		for _, m := range messages {
			n := sent[m.Content]
			switch {
			case m.ID <= last:
				r.tellf("history of %s: %s comes after %s", channel, m.ID, last)
			case n == nil || n.channel != channel:
				r.tellf("history of %s: %s, %.40q, nobody sent there", channel, m.ID, m.Content)
			case seen[m.Content] != 0:
				r.tellf("history of %s: message %s twice, as %s and %s", channel, n.key, seen[m.Content], m.ID)
			case n.id != 0 && n.id != m.ID:
				r.tellf("history of %s: message %s is %s, and was acknowledged as %s", channel, n.key, m.ID, n.id)
			}
			seen[m.Content] = m.ID
			last = m.ID
		}
		for _, n := range r.load.notes {
			if n.channel == channel && n.id != 0 && seen[n.key] == 0 {
				r.tellf("history of %s: message %s, acknowledged as %s %v after the start, is lost", channel, n.key, n.id,
					n.sent.Add(n.answer).Sub(r.load.phases[0].begun).Round(time.Millisecond))
			}
		}
	}
	for _, l := range r.listeners {
		r.judgeListener(l, past)
	}
}

// judgeListener compares what one client heard with history, channel by channel: the same messages in the same order, but for what fell
// between two stretches.
func (r *Run) judgeListener(l *listener, past map[proto.ID][]proto.Message) {
	heardIn := map[proto.ID][]heard{}
	for _, h := range l.heard {
		heardIn[h.channel] = append(heardIn[h.channel], h)
	}
	for channel, messages := range past {
		at := map[proto.ID]int{}
		for i, m := range messages {
			at[m.ID] = i
		}
		next, stretch := 0, 0
		for _, h := range heardIn[channel] {
			i, known := at[h.id]
			switch {
			case !known:
				r.tellf("live client %d: heard %s, %.40q, in %s, which is not in history", l.n, h.id, h.key, channel)
				continue
			case i < next:
				r.tellf("live client %d: heard %s in %s again or too late", l.n, h.id, channel)
				continue
			case i > next && h.stretch == stretch:
				r.tellf("live client %d: did not hear %d messages of %s from %s on", l.n, i-next, channel, messages[next].ID)
			}
			next, stretch = i+1, h.stretch
		}
		if next < len(messages) {
			r.tellf("live client %d: did not hear the last %d messages of %s", l.n, len(messages)-next, channel)
		}
	}
	if l.lost+l.guildly > 0 && !r.plan.MayLoseConnection {
		r.tellf("live client %d: lost its session %d times and guilds %d times, with every edge alive", l.n, l.lost, l.guildly)
	}
}
