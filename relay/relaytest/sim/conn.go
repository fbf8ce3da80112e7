package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/starling-chat/starling/relay"
)

// A Conn is a connection of a core or edge. It implements relay.Wire.
type Conn struct {
	Bus *relay.Bus

	w    *World
	name string
	edge bool // behind a leaf: interest takes time to reach the hubs
	link relay.WireEvents

	// Under the world's lock.
	connected bool
	cut       bool // the leaf's link to the hubs is, not the connection to the leaf
	dead      bool
	subs      []*sub
}

// Connect makes a connection of a core, or of an edge behind a leaf.
func (w *World) Connect(name string, edge bool) *Conn {
	c := &Conn{w: w, name: name, edge: edge, connected: true}
	c.Bus, c.link = relay.Over(Region, c, nil)
	w.conns = append(w.conns, c)
	return c
}

// Break ends the connection: what was on its way to it is lost.
func (c *Conn) Break() {
	c.w.mu.Lock()
	was := c.connected && !c.dead
	c.connected = false
	c.w.mu.Unlock()
	if was {
		c.w.Note("%s: connection lost", c.name)
		c.link.Lost(nats.ErrStaleConnection)
	}
}

// Cut takes the leaf from the hubs without a word.
func (c *Conn) Cut() {
	c.w.Note("%s: link cut", c.name)
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.cut = true
	for _, s := range c.subs {
		s.active = false
	}
}

// Mend makes connection and link anew.
func (c *Conn) Mend() {
	c.w.mu.Lock()
	back, joined, dead := !c.connected, c.cut, c.dead
	c.connected, c.cut = true, false
	var idle []*sub
	for _, s := range c.subs {
		if !s.active {
			idle = append(idle, s)
		}
	}
	c.w.mu.Unlock()
	if dead {
		return
	}
	if back || joined {
		c.w.Note("%s: connected", c.name)
	}
	if joined {
		for _, s := range idle {
			s.tell()
		}
	}
	if back {
		c.link.Back()
	}
}

// Well tells whether the connection stands, all the way.
func (c *Conn) Well() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.connected && !c.cut
}

// Kill ends the process of the connection: nothing leaves or reaches it any more.
func (c *Conn) Kill() {
	c.w.Note("%s: killed", c.name)
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.dead = true
}

// Dead tells whether it was killed.
func (c *Conn) Dead() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.dead
}

// hears tells whether something that comes from the hubs reaches the process.
func (c *Conn) hears() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.connected && !c.cut && !c.dead
}

// send has serve run at the hubs.
func (c *Conn) send(key string, serve func()) error {
	c.w.mu.Lock()
	connected, dead := c.connected, c.dead
	c.w.mu.Unlock()
	switch {
	case dead:
		return nil
	case !connected:
		return nats.ErrReconnectBufExceeded
	}
	c.w.fly(&flight{key: c.name + " > " + key, kind: request, land: func() {
		c.w.mu.Lock()
		cut := c.cut
		c.w.mu.Unlock()
		if !cut {
			serve()
		}
	}})
	return nil
}

// back has take run at the connection.
func (c *Conn) back(key string, take func()) {
	c.w.fly(&flight{key: c.name + " < " + key, kind: answer, land: func() {
		if c.hears() {
			take()
		}
	}})
}

type asked[T any] struct {
	value T
	err   error
}

// ask sends a request and waits for its answer. serve runs at the hubs; it replies at most once, some time.
func ask[T any](ctx context.Context, c *Conn, key string, serve func(reply func(T, error))) (T, error) {
	var none T
	in := make(chan asked[T], 1)
	err := c.send(key, func() {
		serve(func(v T, err error) { c.back(key, func() { in <- asked[T]{v, err} }) })
	})
	if err != nil {
		return none, err
	}
	select {
	case a := <-in:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-c.w.done:
		return none, nats.ErrConnectionClosed
	}
}

// RequestMsgWithContext implements relay.Wire.
func (c *Conn) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	return ask(ctx, c, c.number(describe(m)), func(reply func(*nats.Msg, error)) {
		if s, op := c.w.api(m.Subject); op != "" {
			c.w.serveAPI(s, op, m.Data, reply)
			return
		}
		if s := c.w.storing(m.Subject); s != nil {
			s.append(m, reply)
			return
		}
		c.w.forward(m, reply)
	})
}

// forward hands a request to whoever subscribes to its subject.
func (w *World) forward(m *nats.Msg, reply func(*nats.Msg, error)) {
	w.mu.Lock()
	w.asked++
	inbox := fmt.Sprintf("_R.%d", w.asked)
	answered := false
	w.replies[inbox] = func(body []byte) {
		if !answered {
			answered = true
			reply(&nats.Msg{Data: body}, nil)
		}
	}
	w.mu.Unlock()
	if n := w.spread(describe(m), &nats.Msg{Subject: m.Subject, Reply: inbox, Data: m.Data}, request); n == 0 {
		reply(nil, nats.ErrNoResponders)
	}
}

// spread sends a message to all subscribers and counts them.
func (w *World) spread(key string, m *nats.Msg, k kind) (n int) {
	for _, c := range w.conns {
		if !c.hears() {
			continue
		}
		w.mu.Lock()
		subs := slices.Clone(c.subs)
		w.mu.Unlock()
		for _, s := range subs {
			if s.subject != m.Subject || !s.isActive() {
				continue
			}
			n++
			f := &flight{key: c.name + " < " + key, kind: k, land: func() { s.deliver(m) }}
			if k == live || k == digest {
				f.queue = c.name + " < " + m.Subject
			}
			w.fly(f)
		}
	}
	return n
}

// Publish implements relay.Wire.
func (c *Conn) Publish(subject string, body []byte) error {
	c.w.mu.Lock()
	connected, dead, reply := c.connected, c.dead, c.w.replies[subject]
	c.w.mu.Unlock()
	switch {
	case dead:
		return nil
	case !connected:
		return nats.ErrReconnectBufExceeded
	}
	if reply != nil {
		c.w.fly(&flight{key: c.name + " > answer " + subject, kind: answer, land: func() { reply(body) }})
		return nil
	}
	key := c.name + " > " + c.number(subject)
	c.w.fly(&flight{key: key, kind: local, queue: c.name + " > " + subject, land: func() {
		c.w.spread(key, &nats.Msg{Subject: subject, Data: body}, digest)
	}})
	return nil
}

// PublishMsg implements relay.Wire.
func (c *Conn) PublishMsg(m *nats.Msg) error { return c.Publish(m.Subject, m.Data) }

// PublishRequest implements relay.Wire, for direct gets of many messages.
func (c *Conn) PublishRequest(subject, reply string, body []byte) error {
	key := c.number(describe(&nats.Msg{Subject: subject, Data: body}))
	return c.send(key, func() {
		s, op := c.w.api(subject)
		if op != "DIRECT.GET" || s == nil {
			return
		}
		c.w.answerMany(c, key, reply, s.direct(body))
	})
}

// A sub is a subscription.
type sub struct {
	c       *Conn
	subject string
	take    func(*nats.Msg) bool // false if there is no room

	active bool // under the world's lock: the hubs know of it
	closed chan nats.SubStatus
}

func (c *Conn) subscribe(subject string, take func(*nats.Msg) bool) *sub {
	s := &sub{c: c, subject: subject, take: take, closed: make(chan nats.SubStatus, 1)}
	c.w.mu.Lock()
	c.subs = append(c.subs, s)
	s.active = !c.edge || strings.HasPrefix(subject, "_INBOX") // a request that names it takes the same way
	active := s.active
	c.w.mu.Unlock()
	if !active {
		s.tell()
	}
	return s
}

// tell has the hubs know of the subscription, some time.
func (s *sub) tell() {
	s.c.w.fly(&flight{key: s.c.name + " > interest in " + s.subject, kind: local, land: func() {
		s.c.w.mu.Lock()
		defer s.c.w.mu.Unlock()
		s.active = !s.c.cut
	}})
}

func (s *sub) isActive() bool {
	s.c.w.mu.Lock()
	defer s.c.w.mu.Unlock()
	return s.active
}

// deliver hands over a message that has come.
func (s *sub) deliver(m *nats.Msg) {
	s.c.w.mu.Lock()
	there := slices.Contains(s.c.subs, s)
	s.c.w.mu.Unlock()
	if !there || !s.c.hears() {
		return
	}
	if strings.HasPrefix(m.Subject, "live.") && s.c.w.chance(s.c.w.Chances.Slow) || !s.take(m) {
		s.c.w.Counts.LostLive++
		s.c.w.Note("%s: slow consumer of %s", s.c.name, s.subject)
		s.c.link.Failed(s.subject, nats.ErrSlowConsumer)
	}
}

// Unsubscribe implements relay.Subscription.
func (s *sub) Unsubscribe() error {
	s.c.w.mu.Lock()
	defer s.c.w.mu.Unlock()
	s.c.subs = slices.DeleteFunc(s.c.subs, func(o *sub) bool { return o == s })
	select {
	case s.closed <- nats.SubscriptionClosed:
	default:
	}
	return nil
}

// Drain implements relay.Subscription.
func (s *sub) Drain() error { return s.Unsubscribe() }

// StatusChanged implements relay.Subscription.
func (s *sub) StatusChanged(...nats.SubStatus) <-chan nats.SubStatus { return s.closed }

// ChanSubscribe implements relay.Wire.
func (c *Conn) ChanSubscribe(subject string, in chan *nats.Msg) (relay.Subscription, error) {
	return c.subscribe(subject, func(m *nats.Msg) bool {
		select {
		case in <- m:
			return true
		default:
			return false
		}
	}), nil
}

// Subscribe implements relay.Wire.
func (c *Conn) Subscribe(subject string, h nats.MsgHandler) (relay.Subscription, error) {
	return c.subscribe(subject, func(m *nats.Msg) bool { h(m); return true }), nil
}

// QueueSubscribe implements relay.Wire. A group of one.
func (c *Conn) QueueSubscribe(subject, _ string, h nats.MsgHandler) (relay.Subscription, error) {
	return c.Subscribe(subject, h)
}

// NewRespInbox implements relay.Wire.
func (c *Conn) NewRespInbox() string {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.inboxes++
	return fmt.Sprintf("_INBOX.%d", c.w.inboxes)
}

// Flush implements relay.Wire.
func (c *Conn) Flush() error { return c.FlushWithContext(context.Background()) }

// FlushWithContext implements relay.Wire.
func (c *Conn) FlushWithContext(context.Context) error {
	if !c.IsConnected() {
		return errors.New("not connected")
	}
	return nil
}

// IsConnected implements relay.Wire.
func (c *Conn) IsConnected() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.connected
}

// IsReconnecting implements relay.Wire.
func (c *Conn) IsReconnecting() bool { return !c.IsConnected() }

// ConnectedServerName implements relay.Wire.
func (c *Conn) ConnectedServerName() string { return "hub" }

// ConnectedClusterName implements relay.Wire.
func (c *Conn) ConnectedClusterName() string { return "hubs" }

// Close implements relay.Wire.
func (c *Conn) Close() {}
