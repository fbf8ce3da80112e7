package relay

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// BenchmarkDecode is what an entry of one message costs an edge none of whose sessions may see it: it is decoded and dropped.
func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"id":"1","content":"` + strings.Repeat("a", 800) + `"}`)
	raw, err := proto.Marshal(&pb.Entry{Incarnation: 1, Epoch: 1, Counter: 1, LastId: 1 << 60, AppendId: 1 << 60, TimeMs: 1 << 40,
		Events: []*pb.Event{{Type: "MESSAGE_CREATE", Guild: 1 << 60, Channel: 1 << 60, Id: 1 << 60, Author: 1 << 60, Command: make([]byte, 16),
			Required: 1 << 10, Body: body, BodyNoContent: body[:len(body)-120], Status: 200}}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeEntry(raw); err != nil {
			b.Fatal(err)
		}
	}
}
