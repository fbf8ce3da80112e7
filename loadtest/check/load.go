package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

const (
	repeatMin = 50 * time.Millisecond // before a message that was not acknowledged is sent again
	repeatMax = 500 * time.Millisecond
	nonceLife = 4 * time.Minute // an enforced nonce counts for five: what is not answered by then stays open
)

// A note is one message of the load.
type note struct {
	key     string // its content and nonce
	channel proto.ID
	phase   int
	sent    time.Time     // for the first time
	answer  time.Duration // from then until it was acknowledged
	id      proto.ID      // 0: not acknowledged
}

// A load sends messages at a steady rate, each from a goroutine of its own: an answer that takes long holds up nobody else.
type load struct {
	plan   Plan
	town   *town
	tell   func(string)
	ctx    context.Context // of the sends
	cancel context.CancelFunc
	quit   chan struct{} // closed: no new messages
	once   sync.Once
	ended  chan struct{} // closed: nothing is under way

	mu       sync.Mutex
	phases   []phase
	notes    []*note
	refusals []map[string]int // by phase: what was answered instead
	late     int              // messages held back because too many wait
}

// A phase of the run.
type phase struct {
	name  string
	begun time.Time
}

func startLoad(p Plan, t *town, tell func(string), name string) *load {
	l := &load{plan: p, town: t, tell: tell, quit: make(chan struct{}), ended: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.phase(name)
	go l.run()
	return l
}

func (l *load) phase(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phases = append(l.phases, phase{name, time.Now()})
	l.refusals = append(l.refusals, map[string]int{})
}

// run sends what is due since it last looked, so that the rate holds on a busy machine, too.
func (l *load) run() {
	defer close(l.ended)
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, l.plan.HeldBack)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for sent := 0; ; {
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
		for due := int(time.Since(begun).Seconds() * l.plan.Rate); sent < due; sent++ {
			select {
			case places <- struct{}{}:
			default:
				l.mu.Lock()
				l.late++
				l.mu.Unlock()
				continue
			}
			i, n := sent, l.begin(sent)
			wg.Go(func() {
				defer func() { <-places }()
				l.send(n, i)
			})
		}
	}
}

func (l *load) begin(i int) *note {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &note{key: fmt.Sprintf("m%d", i), channel: l.town.channels[i%len(l.town.channels)], phase: len(l.phases) - 1, sent: time.Now()}
	l.notes = append(l.notes, n)
	return n
}

// send repeats a message until it is acknowledged; with the nonce enforced there is one of it. Writers and edges take turns at different
// paces, so that each writer comes to each edge.
func (l *load) send(n *note, i int) {
	w := l.town.writers[i/len(l.town.channels)%len(l.town.writers)]
	path := "/channels/" + n.channel.String() + "/messages"
	body := map[string]any{"content": n.key, "nonce": n.key, "enforce_nonce": true}
	wait := repeatMin
	for try := i; time.Since(n.sent) < nonceLife; try++ {
		a, err := w.At(l.plan.Edges[try%len(l.plan.Edges)]).Raw(l.ctx, "POST", path, body)
		if l.ctx.Err() != nil {
			return
		}
		if err == nil && a.Status == 200 {
			l.acknowledged(n, a)
			return
		}
		if !l.refused(n, a, err) || !pause(l.ctx, wait) {
			return
		}
		wait = min(2*wait, repeatMax)
	}
}

func (l *load) acknowledged(n *note, a *client.Answer) {
	var m proto.Message
	if err := json.Unmarshal(a.Body, &m); err != nil || m.ID == 0 || m.Content != n.key || m.ChannelID != n.channel {
		l.tell(fmt.Sprintf("message %s: answered with %.200s (%v)", n.key, a.Body, err))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n.id, n.answer = m.ID, time.Since(n.sent)
}

// refused counts what came instead of the message; true if another try may help.
func (l *load) refused(n *note, a *client.Answer, err error) bool {
	what, again := fmt.Sprintf("no answer (%v)", innermost(err)), true
	if err == nil {
		what = fmt.Sprint(a.Status)
		again = a.Status >= 500 || a.Status == 429
	}
	l.mu.Lock()
	l.refusals[len(l.phases)-1][what]++
	l.mu.Unlock()
	if !again {
		l.tell(fmt.Sprintf("message %s: refused with %d %.200s", n.key, a.Status, a.Body))
	}
	return again
}

// innermost is what an error says without where it came from.
func innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// newest is the highest acknowledged id of each channel.
func (l *load) newest() map[proto.ID]proto.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := map[proto.ID]proto.ID{}
	for _, n := range l.notes {
		if n.id != 0 {
			newest[n.channel] = max(newest[n.channel], n.id)
		}
	}
	return newest
}

// end sends nothing new and waits for what is under way, or ctx.
func (l *load) end(ctx context.Context) {
	l.once.Do(func() { close(l.quit) })
	select {
	case <-l.ended:
	case <-ctx.Done():
	}
	l.stop()
}

// stop gives up what is under way.
func (l *load) stop() {
	l.once.Do(func() { close(l.quit) })
	l.cancel()
	<-l.ended
}
