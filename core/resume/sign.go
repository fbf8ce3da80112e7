package resume

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxSession = 512 // bytes of a session_id that are looked at
	macSize    = 16
	prefix     = "s" // some clients take what begins with a digit for a number
)

// ErrSession says that a session_id is none of ours.
var ErrSession = errors.New("not a session_id of these cores")

// A Signer makes session_ids that say where a session began, which nobody else can. Any goroutine may call it.
type Signer struct{ secret [32]byte }

// NewSigner signs with a secret that all cores of the region know.
func NewSigner(secret [32]byte) *Signer { return &Signer{secret} }

// Sign is the session_id of a session that begins.
func (s *Signer) Sign(o *pb.SessionOrigin) (string, error) {
	b, err := gproto.MarshalOptions{Deterministic: true}.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("sign session: %w", err)
	}
	id := prefix + base64.RawURLEncoding.EncodeToString(append(b, s.mac(b)...))
	if len(id) > maxSession {
		return "", fmt.Errorf("sign session: %d bytes", len(id))
	}
	return id, nil
}

// Open reads a session_id; ErrSession if nobody with the secret signed it.
func (s *Signer) Open(session string) (*pb.SessionOrigin, error) {
	if len(session) > maxSession || len(session) == 0 || session[:1] != prefix {
		return nil, ErrSession
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(session[1:])
	if err != nil || len(b) <= macSize {
		return nil, ErrSession
	}
	b, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if !hmac.Equal(mac, s.mac(b)) {
		return nil, ErrSession
	}
	o := new(pb.SessionOrigin)
	if err := gproto.Unmarshal(b, o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSession, err)
	}
	return o, nil
}

func (s *Signer) mac(b []byte) []byte {
	h := hmac.New(sha256.New, s.secret[:])
	h.Write(b)
	return h.Sum(nil)[:macSize]
}
