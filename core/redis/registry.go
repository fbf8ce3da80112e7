package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-chat/starling/core"
)

// Registry implements core.Registry: session:{ID} is eight bytes of generation and the body.
type Registry struct{ client goredis.UniversalClient }

// registerScript is a compare-and-set. A record that is what was to be written counts as written: the answer to the first try was lost.
var registerScript = newScript(`
local now = redis.call('GET', KEYS[1])
local n = now and string.sub(now, 1, 8) or string.rep('\0', 8)
if n ~= ARGV[1] and now ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`)

var forgetScript = newScript(`
local now = redis.call('GET', KEYS[1])
if not now or string.sub(now, 1, 8) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
`)

func sessionKey(session string) string { return "session:{" + session + "}" }

func generation(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// Registration implements core.Registry.
func (r *Registry) Registration(ctx context.Context, session string) (core.Registration, error) {
	b, err := r.client.Get(ctx, sessionKey(session)).Bytes()
	if errors.Is(err, goredis.Nil) {
		return core.Registration{}, core.ErrNotFound
	}
	if err != nil {
		return core.Registration{}, wrap("registration", err)
	}
	if len(b) < 8 {
		return core.Registration{}, fmt.Errorf("redis: registration of %d bytes", len(b))
	}
	return core.Registration{N: binary.BigEndian.Uint64(b), Body: b[8:]}, nil
}

// Register implements core.Registry.
func (r *Registry) Register(ctx context.Context, session string, n uint64, to core.Registration, ttl time.Duration) error {
	won, err := registerScript.one(ctx, r.client, []string{sessionKey(session)}, generation(n), append(generation(to.N), to.Body...), ttl.Milliseconds())
	return stale("register", won, err)
}

// Forget implements core.Registry.
func (r *Registry) Forget(ctx context.Context, session string, n uint64) error {
	won, err := forgetScript.one(ctx, r.client, []string{sessionKey(session)}, generation(n))
	return stale("forget", won, err)
}

func stale(what string, won any, err error) error {
	if err == nil && won != int64(1) {
		return core.ErrStale
	}
	return wrap(what, err)
}
