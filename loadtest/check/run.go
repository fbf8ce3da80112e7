package check

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A Plan says what a run is made of. Zero fields get the defaults.
type Plan struct {
	Edges             []string // http://host:port of each
	Guilds            int      // default 2
	Channels          int      // of each guild; default 2
	Writers           int      // accounts that write; default 8
	Listeners         int      // live clients, dealt out to the edges; default two at each
	Rate              float64  // messages a second of all writers together; default 200
	HeldBack          int      // messages that may wait for their answers at once, before new ones are held back; default 4096
	MayLoseConnection bool     // edges die: sessions that cannot be resumed are a figure, not a problem
}

func (p *Plan) setDefaults() {
	or := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	or(&p.Guilds, 2)
	or(&p.Channels, 2)
	or(&p.Writers, 8)
	or(&p.Listeners, 2*len(p.Edges))
	or(&p.HeldBack, 4096)
	if p.Rate == 0 {
		p.Rate = 200
	}
}

// A Run is a load that goes on from Open to Finish. Its methods are for one goroutine.
type Run struct {
	plan      Plan
	town      *town
	load      *load
	listeners []*listener
	stop      context.CancelFunc // of the listeners
	hearing   sync.WaitGroup

	mu       sync.Mutex
	problems []string
	told     map[string]bool
}

// Open makes guilds and accounts, connects the live clients, and starts the load in a phase of the given name. ctx bounds the start alone.
func Open(ctx context.Context, p Plan, phase string) (*Run, error) {
	if len(p.Edges) == 0 {
		return nil, errors.New("check: no edges")
	}
	p.setDefaults()
	r := &Run{plan: p, told: map[string]bool{}}
	var err error
	if r.town, err = settle(ctx, p, r.tell); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	for i := range p.Listeners {
		l := newListener(i, p.Edges, r.town, r.tell)
		r.listeners = append(r.listeners, l)
		r.hearing.Go(func() { l.run(running) })
	}
	for _, l := range r.listeners {
		select {
		case <-l.ready:
		case <-ctx.Done():
			r.Close()
			return nil, fmt.Errorf("check: live client %d is not ready: %w", l.n, ctx.Err())
		}
	}
	r.load = startLoad(p, r.town, r.tell, phase)
	return r, nil
}

// Phase begins another phase: messages count for the one that they were first sent in.
func (r *Run) Phase(name string) { r.load.phase(name) }

// Settled waits until every channel has a message in history: the mesh is whole, and does not still start.
func (r *Run) Settled(ctx context.Context) error {
	for len(r.load.newest()) < len(r.town.channels) {
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("check: nothing is acknowledged: %w", ctx.Err())
		}
	}
	_, err := r.Caught(ctx)
	return err
}

// Caught waits until history holds the newest message acknowledged so far of every channel, and tells how long that took. An owner writes
// history in the order of its log; that all of it is there is for Finish to find.
func (r *Run) Caught(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	for channel, id := range r.load.newest() {
		for {
			err := r.try(ctx, func(ctx context.Context) error {
				_, err := r.town.owner.Message(ctx, channel, id)
				return err
			})
			if err == nil {
				break
			}
			if !pause(ctx, 50*time.Millisecond) {
				return time.Since(begun), fmt.Errorf("channel %s: message %s is not in history after %v: %w", channel, id,
					time.Since(begun).Round(time.Millisecond), err)
			}
		}
	}
	return time.Since(begun), nil
}

// try bounds one look: a server that is away may hold a call for longer than what is looked for takes.
func (r *Run) try(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return f(ctx)
}

// Owner is a client of the account that owns the guilds, for what a story does beside the load.
func (r *Run) Owner() *client.REST { return r.town.owner }

// Guilds and Channels that the load is in.
func (r *Run) Guilds() []proto.ID   { return r.town.guilds }
func (r *Run) Channels() []proto.ID { return r.town.channels }

// Newest is the highest id of each channel that was acknowledged so far.
func (r *Run) Newest() map[proto.ID]proto.ID { return r.load.newest() }

// Finish ends the load, waits until what is under way is answered and heard, and judges. The error lists everything that is wrong; the
// figures are of use with it, too.
func (r *Run) Finish(ctx context.Context) (*Figures, error) {
	defer r.Close()
	r.load.end(ctx)
	for _, l := range r.listeners {
		if err := l.await(ctx, r.load.newest()); err != nil {
			r.tell(err.Error())
		}
	}
	r.stop()
	r.hearing.Wait()
	if _, err := r.Caught(ctx); err != nil { // messages of the last moment: delivery goes before history
		r.tell(err.Error())
	}
	past, err := r.history(ctx)
	if err != nil {
		return nil, fmt.Errorf("check: history: %w", err)
	}
	r.judge(past)
	f := r.figures()
	r.mu.Lock()
	defer r.mu.Unlock()
	f.Problems = r.problems
	var errs []error
	for i, p := range r.problems {
		if i == 20 {
			errs = append(errs, fmt.Errorf("and %d more", len(r.problems)-i))
			break
		}
		errs = append(errs, errors.New(p))
	}
	return f, errors.Join(errs...)
}

// Close ends everything without judging. After Finish it does nothing.
func (r *Run) Close() {
	if r.load != nil {
		r.load.stop()
	}
	r.stop()
	r.hearing.Wait()
	r.town.owner.HTTP.CloseIdleConnections()
}

// tell notes a problem, each once.
func (r *Run) tell(problem string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.told[problem] {
		r.told[problem] = true
		r.problems = append(r.problems, problem)
	}
}

func (r *Run) tellf(format string, args ...any) { r.tell(fmt.Sprintf(format, args...)) }

// pause waits; false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
