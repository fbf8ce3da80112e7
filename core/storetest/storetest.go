// Package storetest holds what every store must keep, as suites that the tests of each store run against it: Directory, History, and Kill
// for stores in a file. It knows no store, and it is no fake: it has nothing to run without one.
package storetest

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// born is when everything in these tests happens.
var born = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// everAfter is long after it.
var everAfter = born.AddDate(1, 0, 0)

// A journal plays the owner of one bucket: it issues ids and makes entries as the log would have accepted them.
type journal struct {
	bucket                    int
	incarnation, epoch        uint64
	sequence, counter, issued uint64
}

func newJournal(bucket int) *journal {
	return &journal{bucket: bucket, incarnation: 0xfeed, epoch: 1}
}

// id issues the next id of the bucket.
func (j *journal) id() proto.ID {
	j.issued++
	ms := uint64(born.UnixMilli()-proto.Epoch) + j.issued/1000
	return proto.ID(ms<<22 | uint64(j.bucket)<<12 | j.issued%1000)
}

// entry appends events. Sequences have holes, as other buckets share the stream.
func (j *journal) entry(events ...*pb.Event) core.Applied {
	j.sequence += 3
	j.counter++
	return core.Applied{Bucket: j.bucket, Sequence: j.sequence, Entry: &pb.Entry{
		Incarnation: j.incarnation, Epoch: j.epoch, Counter: j.counter, LastId: uint64(proto.ID(j.issued)), Events: events,
	}}
}

// remake loses the stream, as when the hub's disk is gone: sequences start over, counters do not, and the epoch rises.
func (j *journal) remake() {
	j.sequence = 0
	j.incarnation++
	j.epoch++
}

// event makes an event whose body is the JSON of d; nil means no body.
func event(kind string, d any) *pb.Event {
	e := &pb.Event{Type: kind}
	if d == nil {
		return e
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	e.Body = b
	return e
}

// of places an event in a guild.
func of(guild proto.ID, e *pb.Event) *pb.Event {
	e.Guild = uint64(guild)
	return e
}

// to addresses an event to a user.
func to(user proto.ID, e *pb.Event) *pb.Event {
	e.User = uint64(user)
	return e
}

// seeded gives random numbers whose seed a failing test shows; STORETEST_SEED repeats it.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("STORETEST_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("STORETEST_SEED: %v", err)
		}
		seed = v
	}
	t.Logf("STORETEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// bounded is the context of a test.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same compares by what JSON shows.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, w := shown(t, got), shown(t, want)
	if g != w {
		t.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func shown(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ptr[T any](v T) *T { return &v }
