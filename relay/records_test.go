package relay_test

import (
	"context"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Who stops watching a table that has more to tell leaves nothing behind.
func TestWatchThatEndsEarly(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	bus := mesh.CoreBus(t)
	records, err := relay.OpenRecords(soon(t), bus, "NESTS")
	if err != nil {
		t.Fatal(err)
	}
	const many = 600 // more than wait in the watcher's channel
	for i := range many {
		if _, err := records.Put(soon(t), strconv.Itoa(i), []byte("twig"), 0); err != nil {
			t.Fatal(err)
		}
	}
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = records.Watch(ctx, func(relay.Record) {
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
