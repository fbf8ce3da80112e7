package bucket

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/relay"
)

// beatsKept is over how many beats the log's time is told. Delay on the way only ever makes a beat look late, so the one that looks earliest
// counts; a process that was stopped finds a minute of beats of three hubs waiting, all late, and must not believe them alone.
const beatsKept = 256

// A clock tells the log's own time: that of the hubs that store it, from their beats, carried on by what has passed here since. What the
// clock on this machine's wall says counts for nothing, and steps of it are not seen. Any goroutine may call it.
type clock struct {
	begun time.Time                 // has a monotonic reading, by which all that passes here is measured
	best  atomic.Pointer[time.Time] // the latest of hubs; read several times for each command and call, so never behind a lock

	mu   sync.Mutex
	hubs []time.Time // by the last beats: what a hub's clock said at begun
}

// newClock starts with the log's time now.
func newClock(log time.Time) *clock {
	log = log.Round(0)
	c := &clock{begun: time.Now(), hubs: []time.Time{log}}
	c.best.Store(&log)
	return c
}

// log is the log's own time, as far as is known.
func (c *clock) log() time.Time { return c.best.Load().Add(time.Since(c.begun)) }

// listen follows the hubs' beat.
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
	if len(c.hubs) >= beatsKept {
		c.hubs = slices.Delete(c.hubs, 0, 1)
	}
	c.hubs = append(c.hubs, hub.Add(-time.Since(c.begun)))
	best := slices.MaxFunc(c.hubs, time.Time.Compare)
	c.best.Store(&best)
}
