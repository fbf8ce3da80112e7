package resume

import (
	"errors"
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

func origin() *pb.SessionOrigin {
	return &pb.SessionOrigin{Key: 1<<63 + 5, User: 1 << 62, Login: 99, Edge: "edge-fra-01", Boot: 1_790_000_000_000_000_000, Base: -5, Intents: 1<<21 - 1,
		Shard: 15, Shards: 16, Large: 250, TimeMs: 1_790_000_000_000}
}

func TestSession(t *testing.T) {
	s, other := NewSigner([32]byte{1}), NewSigner([32]byte{2})
	id, err := s.Sign(origin())
	if err != nil {
		t.Fatal(err)
	}
	if len(id) > 160 || id[0] < 'a' || id[0] > 'z' || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("session_id %q of %d bytes", id, len(id))
	}
	if o, err := s.Open(id); err != nil || !gproto.Equal(o, origin()) {
		t.Errorf("got %v, %v", o, err)
	}
	if _, err := other.Open(id); !errors.Is(err, ErrSession) {
		t.Errorf("with another secret: %v", err)
	}
	for i := range id {
		for _, forged := range []string{id[:i], id[:i] + "x" + id[i:], id[:i] + string(id[i]^1) + id[i+1:]} {
			if _, err := s.Open(forged); !errors.Is(err, ErrSession) {
				t.Fatalf("%q: got %v", forged, err)
			}
		}
	}
	o := origin()
	o.Edge = strings.Repeat("e", 1000)
	if _, err := s.Sign(o); err == nil {
		t.Error("an endless name is signed")
	}
}

func FuzzOpen(f *testing.F) {
	s := NewSigner([32]byte{1})
	id, err := s.Sign(origin())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{id, id[1:], id + "=", "", "s", "s" + strings.Repeat("A", 1000), "sAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := s.Open(text)
		if err != nil {
			return
		}
		again, err := s.Sign(o)
		if err != nil || again != text {
			t.Errorf("%q opens, and is not what is signed: %q, %v", text, again, err)
		}
	})
}
