package cql

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// Alice reads, and Bob beside her. Cathy and Carl come while they do: they share the next read, as theirs may have missed what they know of.
func TestFlights(t *testing.T) {
	var f flights
	var runs atomic.Int32
	begun, land := make(chan int32, 10), make(chan struct{})
	read := func() (any, error) {
		n := runs.Add(1)
		begun <- n
		<-land
		return n, nil
	}
	key := flightKey{read: "before", channel: 1}
	var wg sync.WaitGroup
	want := func(name string, run int32) {
		own := f.join(key, read)
		wg.Go(func() {
			if <-own.done; own.value != run {
				t.Errorf("%s got read %v, want %d", name, own.value, run)
			}
		})
	}
	want("Alice", 1)
	<-begun
	want("Bob", 2)
	<-begun
	want("Cathy", 3)
	want("Carl", 3)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.do(gone, key, read); !errors.Is(err, context.Canceled) {
		t.Errorf("Dave, who had left: %v", err)
	}
	other, err := f.do(t.Context(), flightKey{read: "before", channel: 2}, func() (any, error) { return "other", nil })
	if other != "other" || err != nil {
		t.Errorf("another key: %v, %v", other, err)
	}
	close(land)
	wg.Wait()
	if n := runs.Load(); n != 3 {
		t.Errorf("%d reads, want 3", n)
	}
}

// A thousand readers of one thing cost a handful of reads, and each gets an answer from after its question.
func TestFlightsCrowd(t *testing.T) {
	var f flights
	var now, runs atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			asked := now.Add(1)
			v, err := f.do(t.Context(), flightKey{}, func() (any, error) {
				runs.Add(1)
				return now.Load(), nil
			})
			if err != nil || v.(int64) < asked {
				t.Errorf("asked at %d, answered from %v, %v", asked, v, err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d reads", runs.Load())
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.now) != 0 {
		t.Errorf("%d reads are still listed", len(f.now))
	}
}

func TestNoted(t *testing.T) {
	var n noted
	for i := range notedSize {
		n.add(partition{1, i}, 7)
	}
	if got := len(n.young) + len(n.old); got > notedSize {
		t.Errorf("remembers %d, want at most %d", got, notedSize)
	}
	n.add(partition{1, notedSize - 1}, 3)
	if got := n.last(partition{1, notedSize - 1}); got != 7 {
		t.Errorf("last id: got %d, want 7", got)
	}
	n.add(partition{2, 1}, 9)
	n.forget(1)
	if n.last(partition{1, notedSize - 1}) != 0 || n.last(partition{2, 1}) != 9 {
		t.Error("forgot the wrong channel")
	}
}
