package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-chat/starling/core"
)

// Cache implements core.Cache: cache:{GROUP} is a hash of what is kept, cache:{GROUP}:at the position that Void was told last.
type Cache struct{ client goredis.UniversalClient }

// keepScript stores a value unless the group has moved on. Positions are of a fixed width: they compare as text.
var keepScript = newScript(`
local at = redis.call('GET', KEYS[2])
if at and ARGV[1] < at then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`)

var voidScript = newScript(`
local at = redis.call('GET', KEYS[2])
if at and ARGV[1] <= at then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
return 1
`)

func cacheKey(group string) string { return "cache:{" + group + "}" }

func cacheKeys(group string) []string { return []string{cacheKey(group), cacheKey(group) + ":at"} }

func position(epoch, counter uint64) string { return fmt.Sprintf("%020d.%020d", epoch, counter) }

// Cached implements core.Cache.
func (c *Cache) Cached(ctx context.Context, group, key string) ([]byte, error) {
	b, err := c.client.HGet(ctx, cacheKey(group), key).Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, core.ErrNotFound
	}
	return b, wrap("cached", err)
}

// Keep implements core.Cache. All of a group lives as long as what was kept last.
func (c *Cache) Keep(ctx context.Context, group, key string, epoch, counter uint64, body []byte, ttl time.Duration) error {
	_, err := keepScript.one(ctx, c.client, cacheKeys(group), position(epoch, counter), key, body, ttl.Milliseconds())
	return wrap("keep", err)
}

// Void implements core.Cache.
func (c *Cache) Void(ctx context.Context, group string, epoch, counter uint64) error {
	_, err := voidScript.one(ctx, c.client, cacheKeys(group), position(epoch, counter), core.CacheLate.Milliseconds())
	return wrap("void", err)
}
