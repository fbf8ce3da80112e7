package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/starling-chat/starling/proto"
)

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 2048

// A BotToken is base64(decimal id).x.y as client libraries expect it: the first part without padding, because one library decodes it
// before its first request and takes the number as its application id.
type BotToken struct {
	User   proto.ID
	Secret string // "x.y"
}

func (t BotToken) String() string {
	return base64.RawStdEncoding.EncodeToString([]byte(t.User.String())) + "." + t.Secret
}

// Hash is what is stored of the token.
func (t BotToken) Hash() []byte { return HashSecret(t.Secret) }

// Matches compares with a stored hash, in constant time.
func (t BotToken) Matches(hash []byte) bool {
	return len(hash) == sha256.Size && subtle.ConstantTimeCompare(t.Hash(), hash) == 1
}

// SplitBotToken reads a token whose first part decodes to digits. ok is false for every other token: it is a JWT or nothing at all.
func SplitBotToken(s string) (t BotToken, ok bool) {
	if len(s) > MaxToken {
		return t, false
	}
	first, rest, found := strings.Cut(s, ".")
	if !found {
		return t, false
	}
	digits, err := base64.RawStdEncoding.Strict().DecodeString(first)
	if err != nil {
		return t, false
	}
	id, err := proto.ParseID(string(digits))
	if err != nil {
		return t, false
	}
	x, y, found := strings.Cut(rest, ".")
	if !found || !isTokenPart(x) || !isTokenPart(y) {
		return t, false
	}
	return BotToken{User: id, Secret: rest}, true
}

func isTokenPart(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// BotSecret turns 32 random (or derived) bytes into the "x.y" of a bot's token.
func BotSecret(entropy [32]byte) string {
	s := base64.RawURLEncoding.EncodeToString(entropy[:])
	return s[:6] + "." + s[6:]
}

// HashSecret is the SHA-256 of a secret with 256 bits of entropy, which needs no slow hash: of bot secrets and refresh tokens.
func HashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// RefreshToken turns 32 random (or derived) bytes into the opaque token that a person's client renews its JWT with.
func RefreshToken(entropy [32]byte) string { return base64.RawURLEncoding.EncodeToString(entropy[:]) }

// Strip removes the scheme that clients put before a token, in any case: "Bot " or "Bearer ".
func Strip(s string) string {
	s = strings.TrimSpace(s)
	if scheme, rest, found := strings.Cut(s, " "); found && (strings.EqualFold(scheme, "Bot") || strings.EqualFold(scheme, "Bearer")) {
		return strings.TrimSpace(rest)
	}
	return s
}
