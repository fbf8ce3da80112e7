package pebble_test

import (
	"encoding/json"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const channel = proto.ID(7 << 12)

func message(b *testing.B, i int) core.Applied {
	id := proto.ID(1<<22 + i)
	body, err := json.Marshal(proto.Message{ID: id, ChannelID: channel, Author: proto.NewUser(1, "Alice", false),
		Content: "Of the gulls that pass here in October about a third have rings, and of those a third are legible."})
	if err != nil {
		b.Fatal(err)
	}
	return core.Applied{Bucket: 7, Sequence: uint64(i), Entry: &pb.Entry{Epoch: 1, Counter: uint64(i),
		Events: []*pb.Event{{Type: proto.EventMessageCreate, Guild: 7 << 12, Channel: uint64(channel), Id: uint64(id),
			Body: proto.EventBody(body, 7<<12, []byte(`{"nick":null,"avatar":null,"roles":[],"joined_at":"2026-01-02T03:04:05.678000+00:00"}`))}}}}
}

// BenchmarkCreate applies one message an entry, making its body included.
func BenchmarkCreate(b *testing.B) {
	h := openAt(b, b.TempDir())
	defer h.Close()
	b.ReportAllocs()
	for i := 1; b.Loop(); i++ {
		if err := h.Apply(b.Context(), []core.Applied{message(b, i)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPage reads the newest 50 of 10,000 messages.
func BenchmarkPage(b *testing.B) {
	h := openAt(b, b.TempDir())
	defer h.Close()
	for i := range 10_000 {
		if err := h.Apply(b.Context(), []core.Applied{message(b, i+1)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if page, err := h.Before(b.Context(), channel, 0, 50); err != nil || len(page) != 50 {
			b.Fatalf("%d messages, %v", len(page), err)
		}
	}
}
