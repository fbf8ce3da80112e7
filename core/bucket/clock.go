package bucket

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/starling-chat/starling/relay"
)

// beatSamples is over how many beats the hub's clock is compared. Delay on the way only ever makes us look ahead, so the least counts.
const beatSamples = 5

// A clock tells the owner's time and bounds it by the log's: ids may not lead the time of the hub that stores the log by more than
// proto.Lead. Any goroutine may call it.
type clock struct {
	now func() time.Time

	mu    sync.Mutex
	ahead []time.Duration // by which our clock led the hub's at the last beats
}

// log is the log's own time as far as we know: the hub's, from its beats, carried on by our clock.
func (c *clock) log() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ahead) == 0 {
		return c.now()
	}
	return c.now().Add(-slices.Min(c.ahead))
}

// listen follows the hub's beat.
func (c *clock) listen(bus *relay.Bus) (stop func(), err error) {
	return bus.Subscribe(relay.BeatSubject(bus.Region()), func(_ string, body []byte) {
		if len(body) == 8 { // Unix milliseconds
			c.beat(time.UnixMilli(int64(binary.BigEndian.Uint64(body))))
		}
	})
}

func (c *clock) beat(hub time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = append(c.ahead, c.now().Sub(hub))
	if len(c.ahead) > beatSamples {
		c.ahead = c.ahead[1:]
	}
}
