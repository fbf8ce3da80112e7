package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-chat/starling/core"
)

// Cache implements core.Cache: cache:{GROUP}:at is the position that Void was told last, cache:{GROUP}/KEY is a position and what reflects it.
// Whoever reads compares them, so that it does not matter what is kept late.
type Cache struct{ client goredis.UniversalClient }

// voidedTTL outlives whatever may be kept that is older.
const voidedTTL = 2 * core.CacheLate

// voidScript compares positions as text: they are of one width.
var voidScript = newScript(`
local at = redis.call('GET', KEYS[1])
if at and ARGV[1] < at then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

const positionLen = 41

func position(epoch, counter uint64) string { return fmt.Sprintf("%020d.%020d", epoch, counter) }

func voidedKey(group string) string     { return "cache:{" + group + "}:at" }
func cacheKey(group, key string) string { return "cache:{" + group + "}/" + key }

// Cached implements core.Cache.
func (c *Cache) Cached(ctx context.Context, group string, keys ...string) ([][]byte, error) {
	names := make([]string, 1, 1+len(keys))
	names[0] = voidedKey(group)
	for _, key := range keys {
		names = append(names, cacheKey(group, key))
	}
	values, err := c.client.MGet(ctx, names...).Result()
	if err != nil {
		return nil, wrap("cached", err)
	}
	at, _ := values[0].(string)
	found := make([][]byte, len(keys))
	for i := range keys {
		if v, _ := values[i+1].(string); len(v) >= positionLen && v[:positionLen] >= at {
			found[i] = []byte(v[positionLen:])
		}
	}
	return found, nil
}

// Keep implements core.Cache.
func (c *Cache) Keep(ctx context.Context, group, key string, epoch, counter uint64, body []byte, ttl time.Duration) error {
	value := append([]byte(position(epoch, counter)), body...)
	return wrap("keep", c.client.Set(ctx, cacheKey(group, key), value, min(ttl, core.CacheLate)).Err())
}

// Void implements core.Cache.
func (c *Cache) Void(ctx context.Context, group string, epoch, counter uint64) error {
	_, err := voidScript.one(ctx, c.client, []string{voidedKey(group)}, position(epoch, counter), voidedTTL.Milliseconds())
	return wrap("void", err)
}
