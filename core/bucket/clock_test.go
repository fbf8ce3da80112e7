package bucket

import (
	"testing"
	"testing/synctest"
	"time"
)

// The log's time follows the beats of hubs, of which the least delayed counts, and goes on between them.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // nothing of what the clock here says
		c := newClock(hub)
		begun := time.Now()
		wants := func(lead time.Duration) {
			t.Helper()
			if got := c.log().Sub(hub.Add(time.Since(begun))); got != lead {
				t.Errorf("the clock leads by %v, want %v", got, lead)
			}
		}
		wants(0)
		time.Sleep(time.Second)
		wants(0)
		c.beat(hub.Add(time.Since(begun) - 3*time.Second)) // late on the way
		wants(0)
		c.beat(hub.Add(time.Since(begun) + 5*time.Millisecond)) // what we had was late
		wants(5 * time.Millisecond)

		// Stopped for a minute: the beats of three hubs come all at once, and none makes the clock go back.
		stopped := time.Now()
		time.Sleep(time.Minute)
		for at := time.Duration(0); at < time.Minute; at += time.Second {
			for range 3 {
				c.beat(hub.Add(stopped.Sub(begun) + at))
				wants(5 * time.Millisecond)
			}
		}

		// The hubs' clocks are set back: by and by it is believed.
		for range beatsKept {
			time.Sleep(time.Second)
			c.beat(hub.Add(time.Since(begun) - time.Hour))
		}
		wants(-time.Hour)
	})
}
