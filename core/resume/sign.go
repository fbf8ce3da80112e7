package resume

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/proto/pb"
)

// A session_id is prefix and, in base64url, what follows: 64 characters at most where the edge's name has no more than 11, or 15 on an edge that has
// numbered little.
//
//	mac      8 bytes of HMAC-SHA256 over user, login and all that follows
//	key      8
//	boot     8
//	base     uvarint
//	intents  uvarint
//	shard    uvarint
//	shards   uvarint
//	large    1: large_threshold
//	edge     the rest
//
// Whose session it is it does not say, but the mac does: only with a token of the same user and login does it open. So a forger would have to guess
// 64 bits, asking a core for each guess, and would win a session of his own.
const (
	prefix     = "s" // some clients take what begins with a digit for a number
	macSize    = 8
	maxSession = 512 // bytes of a session_id that are looked at
	maxName    = 63
)

// ErrSession says that a session_id is none of ours, or not this user's.
var ErrSession = errors.New("not a session_id of these cores for this user")

// A Signer makes session_ids that say where a session began, which nobody else can. Any goroutine may call it.
type Signer struct{ secret [32]byte }

// NewSigner signs with a secret that all cores of the region know.
func NewSigner(secret [32]byte) *Signer { return &Signer{secret} }

// Sign is the session_id of a session that begins. An origin that Open would not give is an error.
func (s *Signer) Sign(o *pb.SessionOrigin) (string, error) {
	if len(o.Edge) == 0 || len(o.Edge) > maxName || o.Base < 0 || o.Intents < 0 || o.Large > 255 {
		return "", fmt.Errorf("sign session: edge %.80q, base %d, intents %d, large %d", o.Edge, o.Base, o.Intents, o.Large)
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64), o.Key)
	b = binary.BigEndian.AppendUint64(b, o.Boot)
	b = binary.AppendUvarint(b, uint64(o.Base))
	b = binary.AppendUvarint(b, uint64(o.Intents))
	b = binary.AppendUvarint(b, uint64(o.Shard))
	b = binary.AppendUvarint(b, uint64(o.Shards))
	b = append(b, byte(o.Large))
	return s.seal(o.User, o.Login, append(b, o.Edge...)), nil
}

func (s *Signer) seal(user, login uint64, body []byte) string {
	return prefix + base64.RawURLEncoding.EncodeToString(append(s.mac(user, login, body), body...))
}

// Open reads a session_id of a user who logged in so (0 for bots); ErrSession if nobody with the secret signed it for them.
func (s *Signer) Open(session string, user, login uint64) (*pb.SessionOrigin, error) {
	if len(session) > maxSession || len(session) == 0 || session[:1] != prefix {
		return nil, ErrSession
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(session[1:])
	if err != nil || len(b) < macSize+16 || !hmac.Equal(b[:macSize], s.mac(user, login, b[macSize:])) {
		return nil, ErrSession
	}
	b = b[macSize:]
	o := &pb.SessionOrigin{User: user, Login: login, Key: binary.BigEndian.Uint64(b), Boot: binary.BigEndian.Uint64(b[8:])}
	b = b[16:]
	var numbers [4]uint64
	for i := range numbers {
		n, size := binary.Uvarint(b)
		if size <= 0 || n >= 1<<63 {
			return nil, ErrSession
		}
		numbers[i], b = n, b[size:]
	}
	if len(b) < 2 {
		return nil, ErrSession
	}
	o.Base, o.Intents, o.Shard, o.Shards = int64(numbers[0]), int64(numbers[1]), uint32(numbers[2]), uint32(numbers[3])
	o.Large, o.Edge = uint32(b[0]), string(b[1:])
	return o, nil
}

func (s *Signer) mac(user, login uint64, body []byte) []byte {
	h := hmac.New(sha256.New, s.secret[:])
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, user), login))
	h.Write(body)
	return h.Sum(nil)[:macSize]
}
