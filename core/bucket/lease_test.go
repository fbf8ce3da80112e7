package bucket

import (
	"context"
	"testing"
	"time"
)

// Whoever waits for a bucket to be taken over waits no longer once it is let go.
func TestTakenOfABucketLetGo(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	if err := o.slots.Acquire(t.Context(), takeOvers); err != nil { // no take-over comes to anything
		t.Fatal(err)
	}
	defer o.slots.Release(takeOvers)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	const n = 7
	o.buckets[n].start()
	waited := make(chan error, 1)
	go func() { waited <- o.Taken(ctx, n) }()
	o.Release(n)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
