package ownership

import (
	"context"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// beatFor tells the other cores that this one lives.
func (c *Claims) beatFor(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.beat(false)
		}
	}
}

func (c *Claims) beat(fresh bool) {
	c.mu.Lock()
	b := &pb.CoreBeat{Core: c.me.core, Boot: c.me.boot, Leaving: c.leaving || c.drained, Drained: c.drained && !c.leaving, Fresh: fresh}
	c.mu.Unlock()
	body, err := gproto.Marshal(b)
	if err != nil {
		panic(err) // a name and a number
	}
	_ = c.cfg.Bus.Publish(relay.CoreBeatSubject(c.cfg.Region), body) // the next one says the same
}

func (c *Claims) onBeat(_ string, body []byte) {
	var b pb.CoreBeat
	if gproto.Unmarshal(body, &b) != nil || b.Core == "" || b.Boot == 0 {
		return
	}
	if b.Core == c.me.core {
		if b.Boot != c.me.boot {
			c.log.Error("another core has this core's name", "core", b.Core)
		}
		return
	}
	c.mu.Lock()
	changed := c.members.hear(holder{b.Core, b.Boot}, b.Leaving, b.Drained, time.Now())
	c.mu.Unlock()
	if changed {
		c.nudge()
	}
	if b.Fresh {
		c.beat(false)
	}
}
