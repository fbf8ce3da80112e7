package resume

import (
	"errors"
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

func origin() *pb.SessionOrigin {
	return &pb.SessionOrigin{Key: 1<<63 + 5, User: 1 << 62, Login: 99, Edge: "edge-fra-01", Boot: 1_790_000_000_000_000_000, Base: 1 << 34, Intents: 1<<26 - 1,
		Shard: 15, Shards: 16, Large: 250}
}

func TestSession(t *testing.T) {
	s, other := NewSigner([32]byte{1}), NewSigner([32]byte{2})
	id, err := s.Sign(origin())
	if err != nil {
		t.Fatal(err)
	}
	// wire-compat: at most 64 URL-safe characters.
	if len(id) > 64 || id[0] < 'a' || id[0] > 'z' || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("session_id %q of %d bytes", id, len(id))
	}
	open := func(s *Signer, id string) (*pb.SessionOrigin, error) {
		return s.Open(id, origin().User, origin().Login)
	}
	if o, err := open(s, id); err != nil || !gproto.Equal(o, origin()) {
		t.Errorf("got %v, %v", o, err)
	}
	if _, err := open(other, id); !errors.Is(err, ErrSession) {
		t.Errorf("with another secret: %v", err)
	}
	if _, err := s.Open(id, origin().User+1, origin().Login); !errors.Is(err, ErrSession) {
		t.Errorf("by another user: %v", err)
	}
	if _, err := s.Open(id, origin().User, origin().Login+1); !errors.Is(err, ErrSession) {
		t.Errorf("after another login: %v", err)
	}
	for i := range id {
		for _, forged := range []string{id[:i], id[:i] + "x" + id[i:], id[:i] + string(id[i]^1) + id[i+1:]} {
			if _, err := open(s, forged); !errors.Is(err, ErrSession) {
				t.Fatalf("%q: got %v", forged, err)
			}
		}
	}
	for name, change := range map[string]func(o *pb.SessionOrigin){
		"an endless name": func(o *pb.SessionOrigin) { o.Edge = strings.Repeat("e", 1000) },
		"no name":         func(o *pb.SessionOrigin) { o.Edge = "" },
		"a base below 0":  func(o *pb.SessionOrigin) { o.Base = -1 },
		"a large 256":     func(o *pb.SessionOrigin) { o.Large = 256 },
	} {
		o := origin()
		change(o)
		if _, err := s.Sign(o); err == nil {
			t.Errorf("%s is signed", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s := NewSigner([32]byte{1})
	id, err := s.Sign(origin())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{id, id[1:], id + "=", "", "s", "s" + strings.Repeat("A", 1000), "sAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add(seed, []byte{})
	}
	f.Add("", []byte("body"))
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		if o, err := s.Open(text, 1<<62, 99); err == nil {
			if again, err := s.Sign(o); err != nil || again != text {
				t.Errorf("%q opens, and is not what is signed: %q, %v", text, again, err)
			}
		}
		// What a core itself has signed, whatever it is, opens or does not, and no more.
		_, _ = s.Open(s.seal(1, 2, body), 1, 2)
	})
}
