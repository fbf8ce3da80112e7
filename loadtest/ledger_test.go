package loadtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A ledger knows what every message may look like after a kill: what was answered is certain, what was not may have happened or not, until
// a look at history settles it for good. Messages are told apart by their key, the first word of their content, which no two share.
type ledger struct {
	mu      sync.Mutex
	byKey   map[string]*note
	touched []*note             // since the last check
	heard   map[proto.ID]string // keys of messages that came over the gateway since the last check
}

// A note is one message. Its writer alone sends commands about it.
type note struct {
	key     string
	channel proto.ID
	author  proto.ID
	id      proto.ID // 0 until known
	text    string   // certain content, "" while it is not known to be there
	gone    bool     // certainly not there

	pending     bool   // the last command about it was not answered
	pendingText string // it may have this content; "" for a deletion
}

func newLedger() *ledger { return &ledger{byKey: map[string]*note{}, heard: map[proto.ID]string{}} }

func key(content string) string {
	k, _, _ := strings.Cut(content, " ")
	return k
}

// begin notes a command before it is sent: text is the content that it would make, "" for a deletion.
func (l *ledger) begin(n *note, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.pending, n.pendingText = true, text
	l.byKey[n.key] = n
	l.touched = append(l.touched, n)
}

// done notes that the last command about n was answered.
func (l *ledger) done(n *note, id proto.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.id, n.text, n.gone, n.pending = id, n.pendingText, n.pendingText == "", false
}

func (l *ledger) hear(m proto.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[m.ID] = key(m.Content)
}

// check compares history with the ledger and settles what was pending. With all it reads everything, otherwise what was touched.
func (l *ledger) check(ctx context.Context, r *client.REST, channels []proto.ID, all bool) (problems []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	look := l.touched
	if all {
		look = nil
		for _, n := range l.byKey {
			look = append(look, n)
		}
	}
	floor := map[proto.ID]proto.ID{} // by channel: the lowest id to read down to
	for _, n := range look {
		if low, ok := floor[n.channel]; n.id != 0 && (!ok || n.id < low) {
			floor[n.channel] = n.id
		}
	}
	found := map[string]proto.Message{}
	for _, ch := range channels {
		low := floor[ch]
		if all {
			low = 0
		}
		if err := pages(ctx, r, ch, low, func(m proto.Message) {
			k := key(m.Content)
			if _, twice := found[k]; twice {
				bad("%s is in history twice: %s and %s", k, found[k].ID, m.ID)
			}
			found[k] = m
			n := l.byKey[k]
			switch {
			case n == nil:
				bad("phantom: %s %q was never sent", m.ID, m.Content)
			case n.channel != ch || n.author != m.Author.ID || n.id != 0 && n.id != m.ID:
				bad("%s: got %s by %s in %s, want %s by %s in %s", k, m.ID, m.Author.ID, ch, n.id, n.author, n.channel)
			case n.gone && !n.pending:
				bad("%s: is in history, but was deleted or never made it", k)
			}
		}, bad); err != nil {
			return problems, err
		}
	}
	for _, n := range look {
		l.settle(n, found, bad)
	}
	for id, k := range l.heard {
		if n := l.byKey[k]; n == nil || n.id != id {
			bad("%s (%s) came over the gateway but is not in history", k, id)
		}
	}
	l.touched = nil
	clear(l.heard)
	return problems, nil
}

func (l *ledger) settle(n *note, found map[string]proto.Message, bad func(string, ...any)) {
	m, there := found[n.key]
	may := map[string]bool{n.text: true} // "" = not there
	if n.pending {
		may[n.pendingText] = true
	}
	got := ""
	if there {
		got = m.Content
	}
	if !may[got] {
		bad("%s (%s): history has %q, want one of %q (pending %v)", n.key, n.id, got, slices.Sorted(maps.Keys(may)), n.pending)
	}
	if there {
		n.id = m.ID
	}
	n.text, n.gone, n.pending = got, !there, false
}

// pages reads a channel newest first down to low and checks that ids fall.
func pages(ctx context.Context, r *client.REST, channel, low proto.ID, each func(proto.Message), bad func(string, ...any)) error {
	query, last := "limit=100", proto.ID(0)
	for {
		page, err := r.History(ctx, channel, query)
		if err != nil {
			return err
		}
		for _, m := range page {
			if last != 0 && m.ID >= last {
				bad("history of %s: %s after %s", channel, m.ID, last)
			}
			last = m.ID
			each(m)
		}
		if len(page) < 100 || last < low {
			return nil
		}
		query = fmt.Sprintf("limit=100&before=%s", last)
	}
}
