package relay

import (
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// FuzzDecodeEntry: what comes from the network is refused or bounded, and encodes to something that decodes again.
func FuzzDecodeEntry(f *testing.F) {
	for _, e := range []*pb.Entry{
		{Incarnation: 1, Epoch: 2, Counter: 3, LastId: 4, AppendId: 5, TimeMs: 6, TakeOver: true},
		{Incarnation: 1, Epoch: 2, Counter: 3, Events: []*pb.Event{{Type: "MESSAGE_CREATE", Mentions: []uint64{1, 2}, Body: []byte("{}")}}},
	} {
		b, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if (e == nil) == (err == nil) {
			t.Fatalf("got %v, %v", e, err)
		}
		if err == nil && (e.Counter == 0 || e.Epoch == 0 || e.Incarnation == 0) {
			t.Fatalf("got %v", e)
		}
		_, _ = decodeEvent(b)
	})
}

// FuzzDecodeDigest: no bucket beyond the last, whatever the bytes.
func FuzzDecodeDigest(f *testing.F) {
	b, err := proto.Marshal(&pb.Digest{
		Owner: "core", Incarnation: 1, Owned: []byte{1, 2}, Positions: []*pb.Position{{Bucket: 1023, Sequence: 5, Counter: 6}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDigest(b)
		if err != nil {
			return
		}
		for bucket := range 1024 {
			_, _ = d.has(bucket)
		}
		if len(d.positions) > 1024 {
			t.Fatalf("got %d positions", len(d.positions))
		}
	})
}

// FuzzHeaders: headers of entries and of direct gets, and subjects.
func FuzzHeaders(f *testing.F) {
	f.Add("5", "4", "", "live.local.7", "2026-01-01T00:00:00Z")
	f.Add("5", "0", "204", "ev.local.1023", "")
	f.Add("-1", "18446744073709551616", "404", "a.b.1024", "x")
	f.Add("5", "4", "", ".0.0", "")
	f.Fuzz(func(t *testing.T, seq, last, status, subject, at string) {
		h := nats.Header{}
		h.Set("Nats-Sequence", seq)
		h.Set("Nats-Last-Sequence", last)
		h.Set("Nats-Time-Stamp", at)
		if status != "" {
			h.Set("Status", status)
		}
		if s, p, err := parseRepublished(h); err == nil && p >= s {
			t.Fatalf("got %d after %d", s, p)
		}
		_, _, _ = parseStored(&nats.Msg{Header: h})
		_, _, _ = parseStored(&nats.Msg{})
		if kind, bucket, ok := parseBucketSubject(subject); ok && (bucket < 0 || bucket > 1023 || kind == "") {
			t.Fatalf("%q: got %q %d", subject, kind, bucket)
		}
		_, _ = (&apiError{Description: subject}).lastSequence()
	})
}
