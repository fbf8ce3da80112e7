package relay

import (
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// Commands serves the commands of buckets that come and go, through one dispatcher. Any goroutine may call it.
type Commands struct {
	bus  *Bus
	in   chan *nats.Msg
	quit chan struct{}
	done chan struct{}

	mu   sync.Mutex
	subs map[int]Subscription
}

// NewCommands serves no bucket yet. h must not block; reply may be called once, from any goroutine.
func (b *Bus) NewCommands(h func(bucket int, body []byte, reply func([]byte))) *Commands {
	c := &Commands{bus: b, in: make(chan *nats.Msg, commandBacklog), quit: make(chan struct{}), done: make(chan struct{}),
		subs: map[int]Subscription{}}
	go func() {
		defer close(c.done)
		work(c.in, c.quit, func(m *nats.Msg) {
			commandsWaiting.Set(float64(len(c.in)))
			_, bucket, ok := parseBucketSubject(m.Subject)
			if !ok || m.Reply == "" {
				return
			}
			h(bucket, m.Data, func(answer []byte) { _ = b.nc.Publish(m.Reply, answer) })
		})
	}()
	return c
}

// Add serves more buckets; the hub sends their commands here when it returns.
func (c *Commands) Add(buckets ...int) error {
	if err := c.subscribe(buckets); err != nil {
		return err
	}
	if err := c.bus.nc.Flush(); err != nil && !c.bus.nc.IsReconnecting() {
		return fmt.Errorf("serve commands: %w", err)
	}
	return nil
}

func (c *Commands) subscribe(buckets []int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range buckets {
		if c.subs[n] != nil {
			continue
		}
		s, err := c.bus.nc.ChanSubscribe(CommandSubject(c.bus.region, n), c.in)
		if err != nil {
			return fmt.Errorf("serve commands of bucket %d: %w", n, err)
		}
		c.subs[n] = s
	}
	return nil
}

// Remove serves a bucket no longer. What the hub sent before still comes.
func (c *Commands) Remove(bucket int) {
	c.mu.Lock()
	s := c.subs[bucket]
	delete(c.subs, bucket)
	c.mu.Unlock()
	if s != nil {
		_ = s.Drain() // an error says that the connection is closed
	}
}

// Stop returns when h has had every command that had been sent here.
func (c *Commands) Stop() {
	c.mu.Lock()
	subs := make([]Subscription, 0, len(c.subs))
	for _, s := range c.subs {
		subs = append(subs, s)
	}
	clear(c.subs)
	c.mu.Unlock()
	c.bus.drain(subs...)
	close(c.quit)
	<-c.done
}

// ServeCommands serves the commands of a fixed set of buckets.
func (b *Bus) ServeCommands(buckets []int, h func(bucket int, body []byte, reply func([]byte))) (stop func(), err error) {
	c := b.NewCommands(h)
	if err := c.Add(buckets...); err != nil {
		c.Stop()
		return nil, err
	}
	return c.Stop, nil
}
