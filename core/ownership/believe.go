package ownership

import (
	"context"
	"fmt"

	"github.com/starling-chat/starling/proto"
)

// Believe has this core take a bucket for its own whatever the records say, or no longer. It is a switch for tests of the fence: with it two
// cores execute a bucket's commands at once, and the log alone keeps one of them from writing.
func (c *Claims) Believe(ctx context.Context, n int, believes bool) error {
	if n < 0 || n >= proto.Buckets {
		return fmt.Errorf("bucket %d: want 0 to %d", n, proto.Buckets-1)
	}
	c.mu.Lock()
	e := &c.table[n]
	if e.busy {
		c.mu.Unlock()
		return fmt.Errorf("bucket %d: %w", n, ErrMoving)
	}
	mine := e.mine
	e.believed, e.mine = believes, mine || believes
	c.mu.Unlock()
	c.log.Warn("test switch: a bucket is this core's by belief alone", "bucket", n, "believes", believes)
	defer c.nudge() // what is believed no more is dropped where the record names another
	if mine || !believes {
		return nil
	}
	c.owner.Claim(n, true)
	return c.owner.Serve(n)
}
