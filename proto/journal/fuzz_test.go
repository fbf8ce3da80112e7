package journal

import (
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// Whatever an edge writes, an index takes it or refuses it, and what it says stays within what it was told.
func FuzzAdd(f *testing.F) {
	for _, r := range []*pb.JournalRecord{
		{Boot: 1, Number: 1, To: 10, Snapshot: &pb.JournalSnapshot{Buckets: []uint32{1, 1023}, Sequences: []uint64{5, 1 << 63},
			Waiting: []*pb.JournalPlace{{Session: 5}, {Session: 5, Place: 3, Shown: true}}}},
		{Boot: 1, Number: 2, From: 10, To: 14, Events: []*pb.JournalEvent{{Index: 11, Width: 3, Bucket: 1, Sequence: 9, Event: 1 << 31}},
			Starts: []*pb.JournalStart{{Index: 12, Bucket: 1, Sequence: 1}, {Index: -5, Bucket: 2}}, Places: []*pb.JournalPlace{{Index: 1 << 62, Session: 5, Place: 3}}},
		{Boot: 1, Number: 3, From: 14, To: 14, Snapshot: &pb.JournalSnapshot{Part: 1, Parts: 2, Waiting: []*pb.JournalPlace{{Session: 5}}}},
		{Boot: 1, Number: 1<<64 - 1, From: 1 << 60, To: 1 << 61},
	} {
		b, err := gproto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b, int64(12))
	}
	f.Fuzz(func(t *testing.T, one, two []byte, index int64) {
		x := New()
		for _, b := range [][]byte{one, two} {
			r := new(pb.JournalRecord)
			if gproto.Unmarshal(b, r) == nil {
				_ = x.Add(r, time.Unix(1, 0))
			}
		}
		for _, also := range []*Base{nil, {Index: index / 2, Positions: []Position{{Bucket: 1, Sequence: 3}}}} {
			got := x.At(index, 5, also)
			if got.Status == Known && got.Covered < index || got.Status == Beyond && got.Covered >= index || got.Status == Gone && got.Positions != nil {
				t.Errorf("at %d of %d: got %+v", index, x.End(), got)
			}
			for i, p := range got.Positions {
				if i > 0 && got.Positions[i-1].Bucket >= p.Bucket {
					t.Errorf("positions out of order: %v", got.Positions)
				}
			}
		}
		x.Expire(time.Unix(2, 0))
		if x.At(index, 5, nil).Status != Gone || x.Weight() != 0 {
			t.Error("something is left of it")
		}
	})
}
