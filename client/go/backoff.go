package client

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = 1 * time.Second
	mostPause  = 30 * time.Second
)

// pause before the n-th try (from 1) to reach the server again: doubled each time, half of it chance, so that the clients of an edge that
// died do not come back as one.
func pause(n int) time.Duration {
	d := mostPause
	if n < 6 {
		d = firstPause << (n - 1)
	}
	return jitter(min(d, mostPause))
}

// jitter is between half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
