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

const (
	helloLimit = 5 * time.Second  // for what answers at once when an edge lives
	startLimit = 30 * time.Second // for READY and its guilds
	redial     = 100 * time.Millisecond
)

// A heard message, by one live client.
type heard struct {
	channel, id proto.ID
	key         string
	at          time.Time
	stretch     int // rises where the client lost its place: what came between two stretches it need not have heard
}

// A listener is one live client: it stays connected, resumes where it was cut off, and identifies anew where that is refused.
type listener struct {
	n      int
	edges  []string
	guilds map[proto.ID]bool
	token  string
	log    *client.Log
	ready  chan struct{} // closed when it hears all guilds for the first time

	session string // owned by run, as what follows
	mark    int
	ok      bool // ready is closed

	mu      sync.Mutex
	heard   []heard
	last    map[proto.ID]proto.ID // newest message by channel
	stretch int
	resumed int
	lost    int // sessions that could not be resumed
	guildly int // times that a guild went away
	more    chan struct{}
}

func newListener(n int, edges []string, t *town, tell func(string)) *listener {
	l := &listener{n: n, edges: edges, guilds: map[proto.ID]bool{}, token: t.ears[n].Token, ready: make(chan struct{}),
		last: map[proto.ID]proto.ID{}, more: make(chan struct{})}
	l.log = client.NewLog(func(p string) { tell(fmt.Sprintf("live client %d: %s", n, p)) })
	for _, g := range t.guilds {
		l.guilds[g] = false
	}
	return l
}

// run listens until ctx ends. It stays at its edge as long as that takes connections.
func (l *listener) run(ctx context.Context) {
	for edge := l.n; ctx.Err() == nil; pause(ctx, redial) {
		g, err := l.dial(ctx, edge)
		if err != nil {
			edge++
			continue
		}
		stop := context.AfterFunc(ctx, g.Cut)
		_ = l.listen(ctx, g) // every end means: connect again
		stop()
		g.Cut()
	}
}

func (l *listener) dial(ctx context.Context, edge int) (*client.Gateway, error) {
	ctx, cancel := context.WithTimeout(ctx, helloLimit)
	defer cancel()
	url := "ws" + l.edges[edge%len(l.edges)][len("http"):] + "/gateway"
	return client.Dial(ctx, url, client.Options{Log: l.log})
}

var errReconnect = errors.New("the server asked for another connection")

// listen takes up a session on a new connection and hears until the connection ends.
func (l *listener) listen(ctx context.Context, g *client.Gateway) error {
	if err := l.next(ctx, g, helloLimit, proto.OpHello); err != nil {
		return err
	}
	if l.session != "" {
		if err := g.Resume(l.token, l.session, l.log.S()); err != nil {
			return err
		}
	} else if err := g.Identify(l.token, nil); err != nil {
		return err
	}
	answer, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for settled := false; ; {
		await := ctx
		if !settled {
			await = answer
		}
		if _, err := g.Await(await, l.mark, func(client.Event) bool { return true }); err != nil {
			return err
		}
		for _, e := range l.log.Since(l.mark) {
			l.mark++
			if err := l.event(ctx, g, e); err != nil {
				return err
			}
			settled = settled || e.T == "READY" || e.T == "RESUMED"
		}
	}
}

// next waits for a frame and takes in what comes before it.
func (l *listener) next(ctx context.Context, g *client.Gateway, limit time.Duration, op proto.Opcode) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := g.Await(ctx, l.mark, func(e client.Event) bool { return proto.Opcode(e.Op) == op })
	return err
}

// event takes one frame in.
func (l *listener) event(ctx context.Context, g *client.Gateway, e client.Event) error {
	switch proto.Opcode(e.Op) {
	case proto.OpReconnect:
		return errReconnect
	case proto.OpInvalidSession:
		l.lose()
		if !pause(ctx, time.Second) { // clients wait one to five
			return ctx.Err()
		}
		return g.Identify(l.token, nil)
	}
	switch e.T {
	case "READY":
		var ready proto.Ready
		if err := e.Into(&ready); err != nil {
			return err
		}
		l.session = ready.SessionID
	case "RESUMED":
		l.mu.Lock()
		l.resumed++
		l.mu.Unlock()
	case "GUILD_CREATE", "GUILD_DELETE":
		return l.guild(e)
	case "MESSAGE_CREATE":
		var m proto.Message
		if err := e.Into(&m); err != nil {
			return err
		}
		l.hear(m, e.At)
	}
	return nil
}

// lose notes that the place in the stream is lost.
func (l *listener) lose() {
	l.session = ""
	for g := range l.guilds {
		l.guilds[g] = false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ok {
		l.lost++
	}
	l.stretch++
}

// guild follows which guilds are there.
func (l *listener) guild(e client.Event) error {
	var g struct {
		ID proto.ID `json:"id"`
	}
	if err := e.Into(&g); err != nil {
		return err
	}
	if _, ours := l.guilds[g.ID]; !ours {
		return nil
	}
	there := e.T == "GUILD_CREATE"
	if l.guilds[g.ID] && !there {
		l.mu.Lock()
		l.guildly++
		l.stretch++
		l.mu.Unlock()
	}
	l.guilds[g.ID] = there
	for _, there := range l.guilds {
		if !there {
			return nil
		}
	}
	if !l.ok {
		l.ok = true
		close(l.ready)
	}
	return nil
}

func (l *listener) hear(m proto.Message, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, heard{channel: m.ChannelID, id: m.ID, key: m.Content, at: at, stretch: l.stretch})
	l.last[m.ChannelID] = max(l.last[m.ChannelID], m.ID)
	close(l.more)
	l.more = make(chan struct{})
}

// await waits until the listener has heard messages at or beyond the given ones.
func (l *listener) await(ctx context.Context, newest map[proto.ID]proto.ID) error {
	for {
		l.mu.Lock()
		behind := proto.ID(0)
		for channel, id := range newest {
			if l.last[channel] < id {
				behind = channel
			}
		}
		more, last := l.more, l.last[behind]
		l.mu.Unlock()
		if behind == 0 {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("live client %d: heard channel %s up to %s only, want %s", l.n, behind, last, newest[behind])
		}
	}
}
