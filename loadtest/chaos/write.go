package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

const (
	repeatMin = 50 * time.Millisecond // before a message that was not acknowledged is sent again
	repeatMax = 500 * time.Millisecond
	nonceLife = 4 * time.Minute // an enforced nonce counts for five: what is not answered by then stays open
	heldBack  = 4096            // messages that may wait for their answers at once
	bareShare = 10              // one message in so many goes without a nonce
)

// A note is one message that somebody wrote.
type note struct {
	place
	key     string // content, and nonce
	nonce   bool
	sent    time.Time // for the first time
	acked   time.Time
	id      proto.ID // acknowledged; 0: not
	repeats int      // tries but the first
}

// A desk is where messages are written, at a steady rate, each from a goroutine of its own: an answer that takes long holds up nobody else.
type desk struct {
	town *town
	rate float64
	tell func(string)

	mu      sync.Mutex
	notes   []*note
	acked   int
	waiting int
	late    int            // messages not written because too many waited
	refused map[string]int // answers instead of an acknowledgement, by status
}

// run writes until quit is closed, then waits for the answers under way, or ctx.
func (d *desk) run(ctx context.Context, quit <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for sent := 0; ; {
		select {
		case <-quit:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(begun).Seconds() * d.rate); sent < due; sent++ {
			n := d.begin(sent)
			if n == nil {
				continue
			}
			wg.Go(func() { d.send(ctx, n) })
		}
	}
}

// begin makes the next note; guilds take turns, and of ten messages five are for all, four for the den, one for the vault.
func (d *desk) begin(i int) *note {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == heldBack {
		d.late++
		return nil
	}
	where := place{guild: i % len(d.town.guilds)}
	switch turn := (i/len(d.town.guilds) + i) % 10; {
	case turn == 9:
		where.room = vault
	case turn > 4:
		where.room = den
	}
	return d.addLocked(where, i%bareShare != bareShare/2)
}

func (d *desk) addLocked(where place, nonce bool) *note {
	n := &note{place: where, key: fmt.Sprintf("m%d", len(d.notes)), nonce: nonce, sent: time.Now()}
	d.notes = append(d.notes, n)
	d.waiting++
	return n
}

// bell is a last message in every square; it returns when each is acknowledged.
func (d *desk) bell(ctx context.Context) []*note {
	var wg sync.WaitGroup
	defer wg.Wait()
	bells := make([]*note, len(d.town.guilds))
	for i := range bells {
		d.mu.Lock()
		n := d.addLocked(place{guild: i, room: square}, true)
		d.mu.Unlock()
		bells[i] = n
		wg.Go(func() { d.send(ctx, n) })
	}
	return bells
}

// send repeats a message until it is acknowledged. With the nonce enforced there is one of it; without, there may be more.
func (d *desk) send(ctx context.Context, n *note) {
	defer func() { d.mu.Lock(); d.waiting--; d.mu.Unlock() }()
	w := d.town.owner
	if n.room != vault {
		w = d.town.writers[(n.guild+n.room)%len(d.town.writers)]
	}
	path := "/channels/" + d.town.guilds[n.guild].channels[n.room].String() + "/messages"
	body := map[string]any{"content": n.key}
	if n.nonce {
		body["nonce"], body["enforce_nonce"] = n.key, true
	}
	for wait := repeatMin; time.Since(n.sent) < nonceLife; wait = min(2*wait, repeatMax) {
		a, err := w.Raw(ctx, "POST", path, body)
		if ctx.Err() != nil {
			return
		}
		if err == nil && a.Status == 200 {
			d.acknowledge(n, a)
			return
		}
		if !d.refuse(n, a, err) || !pause(ctx, wait) {
			return
		}
	}
}

func (d *desk) acknowledge(n *note, a *client.Answer) {
	var m proto.Message
	if err := json.Unmarshal(a.Body, &m); err != nil || m.ID == 0 || m.Content != n.key {
		d.tell(fmt.Sprintf("message %s: answered with %.200s (%v)", n.key, a.Body, err))
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n.id, n.acked = m.ID, time.Now()
	d.acked++
}

// refuse counts what came instead of the message; true if another try may help.
func (d *desk) refuse(n *note, a *client.Answer, err error) bool {
	what, again := "no answer", true
	if err == nil {
		what = fmt.Sprint(a.Status)
		again = a.Status >= 500 || a.Status == 429
	}
	d.mu.Lock()
	d.refused[what]++
	n.repeats++
	d.mu.Unlock()
	if !again {
		d.tell(fmt.Sprintf("message %s: refused with %d %.200s", n.key, a.Status, a.Body))
	}
	return again
}

// now is how many are acknowledged and how many wait.
func (d *desk) now() (acked, waiting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acked, d.waiting
}

// all notes, when nothing runs any more.
func (d *desk) all() []*note { return slices.Clip(d.notes) }
