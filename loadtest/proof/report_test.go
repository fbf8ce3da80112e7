package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name  string
		prove func(context.Context, *report) error
		code  int
		want  string
	}{
		{"holds", func(_ context.Context, r *report) error {
			r.atMost("start", 3*time.Second, 1200*time.Millisecond, "")
			r.zero("lost", 0)
			return nil
		}, 0, "claim | asked | measured | ok\nstart | ≤ 3s | 1.2s | ok\nlost | 0 | 0 | ok\n"},
		{"falls short", func(_ context.Context, r *report) error {
			r.zero("lost", 2)
			return nil
		}, 1, "claim | asked | measured | ok\nlost | 0 | 2 | NOT OK\n"},
		{"breaks", func(context.Context, *report) error { return errors.New("no mesh") }, 1, ""},
	} {
		proofs["test"] = func(ctx context.Context, r *report, _ []string) error { return tt.prove(ctx, r) }
		var out bytes.Buffer
		if code := run(t.Context(), []string{"test"}, &out, io.Discard); code != tt.code || out.String() != tt.want {
			t.Errorf("%s: code %d, got %q; want %d, %q", tt.name, code, out.String(), tt.code, tt.want)
		}
	}
	delete(proofs, "test")
	if code := run(t.Context(), []string{"nonsense"}, io.Discard, io.Discard); code != 2 {
		t.Errorf("unknown proof: code %d, want 2", code)
	}
}

// Marker and number are found in a frame whose other texts look alike.
func TestMarker(t *testing.T) {
	frame := `{"op":0,"s":4,"t":"MESSAGE_CREATE","d":{"author":{"username":"proof 9"},"content":"proof 17","nonce":"proof 3"}}`
	_, after, found := strings.Cut(frame, marker)
	if !found || !strings.HasPrefix(after, "17\"") {
		t.Errorf("after the marker: %q", after)
	}
}
