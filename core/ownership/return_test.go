package ownership_test

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// one is Claims of a single bucket.
type one int

func (n one) Run(ctx context.Context, o *bucket.Owner, ready func()) error {
	o.Claim(int(n), true)
	if err := o.Taken(ctx, int(n)); err == nil {
		ready()
	}
	<-ctx.Done()
	return nil
}

// A bucket goes to another core and comes back, while its core is cut off and hears of neither. It begins anew with it, so that nobody waits until it
// has found out by writing.
func TestBackWithoutAWord(t *testing.T) {
	w := newWorld(t)
	const n = 7
	a := w.start("core-a")
	s := w.write(0)
	birth := func(name string) time.Duration {
		id := make([]byte, 16)
		for core.BirthBucket(id) != n {
			rand.Read(id)
		}
		begun := time.Now()
		s.birth(id, name)
		return time.Since(begun)
	}
	birth("alice")

	bus := w.mesh.CoreBus(t)
	log, err := relay.OpenLog(t.Context(), bus, 1)
	if err != nil {
		t.Fatal(err)
	}
	rival := bucket.New(bucket.Config{Name: "core-x", Region: relaytest.Region, Log: log, Bus: bus, Directory: w.dir, History: w.hist, Claims: one(n)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	records, err := relay.OpenRecords(ctx, a.bus, "OWNERS")
	if err != nil {
		t.Fatal(err)
	}
	var parts sync.WaitGroup
	t.Cleanup(func() { cancel(); parts.Wait() })
	own := make(chan relay.Record, 1)
	parts.Go(func() {
		_ = records.Watch(ctx, func(r relay.Record) {
			if r.Key == strconv.Itoa(n) {
				select {
				case own <- r:
				default:
				}
			}
		})
	})
	rec := <-own
	a.claims.Missing(func(now func(int, uint64)) {
		other, err := gproto.Marshal(&pb.Owner{Core: "core-x", Boot: 1})
		if err != nil {
			t.Fatal(err)
		}
		at, err := records.Put(ctx, strconv.Itoa(n), other, rec.Revision)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		there, leave := context.WithCancel(ctx)
		go func() { done <- rival.Run(there) }()
		<-rival.Ready()
		leave()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if at, err = records.Put(ctx, strconv.Itoa(n), rec.Value, at); err != nil {
			t.Fatal(err)
		}
		now(n, at)
	})
	if took := birth("bob"); took > 2*time.Second {
		t.Errorf("whoever wrote waited for %v", took)
	}
	s.check()
}
