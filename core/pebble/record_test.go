package pebble

import (
	"errors"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func TestTruncated(t *testing.T) {
	body, err := encodeMessage(&proto.Message{ID: 1, ChannelID: 2, Author: proto.NewUser(3, "Alice", false)})
	if err != nil {
		t.Fatal(err)
	}
	message := messageRecord(version{1, 2, 3}, body)
	for _, c := range []struct {
		name   string
		whole  []byte
		decode func([]byte) error
	}{
		{"version", version{1, 2, 3}.append(nil), func(b []byte) error { _, err := decodeVersion(b); return err }},
		{"checkpoint", encodeCheckpoint(core.Checkpoint{}), func(b []byte) error { _, err := decodeCheckpoint(7, b); return err }},
		{"id", encodeID(1), func(b []byte) error { _, err := decodeID(b); return err }},
		{"bucket", checkpointKey(7), func(b []byte) error { _, err := decodeBucket(b); return err }},
		{"message header", message[:headerSize], func(b []byte) error { _, err := deleted(b); return err }},
	} {
		if err := c.decode(c.whole); err != nil {
			t.Errorf("%s: whole: %v", c.name, err)
		}
		for n := range c.whole {
			if c.name == "checkpoint" && n == checkpointSize-8 {
				continue // whole, of an older version
			}
			if err := c.decode(c.whole[:n]); !errors.Is(err, errCorrupt) {
				t.Errorf("%s: %d of %d bytes: err = %v, want errCorrupt", c.name, n, len(c.whole), err)
			}
		}
	}
	for n := headerSize; n < len(message); n++ {
		if _, err := decodeMessage(message[:n]); err == nil {
			t.Fatalf("message: %d of %d bytes were taken", n, len(message))
		}
	}
}

// A checkpoint that an older version wrote says nothing of an incarnation.
func TestOldCheckpoint(t *testing.T) {
	want := core.Checkpoint{Bucket: 7, Sequence: 1, Counter: 2, Epoch: 3, LastID: 4}
	whole := encodeCheckpoint(want)
	if got, err := decodeCheckpoint(7, whole[:checkpointSize-8]); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	want.Incarnation = 5
	if got, err := decodeCheckpoint(7, encodeCheckpoint(want)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestVersionOrder(t *testing.T) {
	ordered := []version{{0, 0, 0}, {1, 1, 0}, {1, 1, 1}, {1, 2, 0}, {2, 1, 0}, {2, 1, 5}}
	for i, v := range ordered {
		for j, w := range ordered {
			if got := v.compare(w); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("compare(%v, %v) = %d", v, w, got)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	body, err := encodeMessage(&proto.Message{ID: 1, ChannelID: 2, Author: proto.NewUser(3, "Alice", false)})
	if err != nil {
		f.Fatal(err)
	}
	message := messageRecord(version{1, 2, 3}, body)
	f.Add(message)
	f.Add(encodeCheckpoint(core.Checkpoint{Bucket: 7, Sequence: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeVersion(b)
		_, _ = decodeCheckpoint(7, b)
		if gone, err := deleted(b); err != nil || gone {
			return
		}
		if m, err := decodeMessage(b); err == nil {
			if _, err := encodeMessage(&m); err != nil {
				t.Errorf("decoded, but not encoded again: %v", err)
			}
		}
	})
}
