package edge

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/starling-chat/starling/proto"
)

// bareToken removes the scheme that some libraries send inside IDENTIFY and RESUME too.
func bareToken(t string) string {
	t = strings.TrimSpace(t)
	for _, scheme := range []string{"Bot ", "Bearer "} {
		if len(t) > len(scheme) && strings.EqualFold(t[:len(scheme)], scheme) {
			return strings.TrimSpace(t[len(scheme):])
		}
	}
	return t
}

// claimedUser reads whose token it says it is, unverified: good enough to know which bucket to listen to while a core verifies it.
// Bot tokens begin with the id in base64, JWTs name it as "sub".
func claimedUser(token string) (proto.ID, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return 0, false
	}
	if b, err := base64.RawStdEncoding.DecodeString(parts[0]); err == nil {
		if id, err := proto.ParseID(string(b)); err == nil {
			return id, true
		}
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return 0, false
	}
	var claims struct {
		Sub string `json:"sub"`
	}
	if json.Unmarshal(b, &claims) != nil {
		return 0, false
	}
	id, err := proto.ParseID(claims.Sub)
	return id, err == nil
}

type tokenHash [sha256.Size]byte

func hashToken(t string) tokenHash { return sha256.Sum256([]byte(t)) }

// refusals remembers for a few seconds which tokens the cores refused: clients with a dead token come back at once, and for ever.
type refusals struct {
	mu   sync.Mutex
	till map[tokenHash]time.Time
}

const (
	refusalLife = 5 * time.Second
	maxRefusals = 4096
)

func (r *refusals) add(h tokenHash) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.till == nil {
		r.till = map[tokenHash]time.Time{}
	}
	if len(r.till) >= maxRefusals {
		for k, t := range r.till {
			if now.After(t) {
				delete(r.till, k)
			}
		}
		if len(r.till) >= maxRefusals {
			return
		}
	}
	r.till[h] = now.Add(refusalLife)
}

func (r *refusals) has(h tokenHash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.till[h]
	if ok && time.Now().After(t) {
		delete(r.till, h)
		return false
	}
	return ok
}
