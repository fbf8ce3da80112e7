package memory

import (
	"context"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
)

const cacheMax = 64 << 20 // bytes of what is kept, with some for each key

// perKey is what a key costs beside its bytes, more or less.
const perKey = 128

// Cache implements core.Cache. Bytes that it gives out are its own: nobody may change them.
type Cache struct {
	now  func() time.Time
	most int

	mu     sync.RWMutex
	groups map[string]*group
	size   int
	deaf   time.Time // until then nothing is kept: positions have been forgotten
}

type group struct {
	at   position // that Void was told of last; zero = never
	told time.Time
	kept map[string]kept
}

type position struct{ epoch, counter uint64 }

func (p position) before(other position) bool {
	return p.epoch < other.epoch || p.epoch == other.epoch && p.counter < other.counter
}

type kept struct {
	body []byte
	ends time.Time
}

// NewCache keeps nothing yet.
func NewCache(now func() time.Time) *Cache {
	return &Cache{now: now, most: cacheMax, groups: make(map[string]*group)}
}

// Cached implements core.Cache.
func (c *Cache) Cached(_ context.Context, group string, keys ...string) ([][]byte, error) {
	found := make([][]byte, len(keys))
	c.mu.RLock()
	defer c.mu.RUnlock()
	g := c.groups[group]
	if g == nil {
		return found, nil
	}
	now := c.now()
	for i, key := range keys {
		if k, there := g.kept[key]; there && k.ends.After(now) {
			found[i] = k.body
		}
	}
	return found, nil
}

// Keep implements core.Cache.
func (c *Cache) Keep(_ context.Context, group, key string, epoch, counter uint64, body []byte, ttl time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	g := c.groupLocked(group)
	if (position{epoch, counter}).before(g.at) || now.Before(c.deaf) {
		return nil
	}
	if old, found := g.kept[key]; found {
		c.size -= len(key) + len(old.body) + perKey
	}
	c.size += len(key) + len(body) + perKey
	g.kept[key] = kept{body, now.Add(ttl)}
	c.boundLocked(now)
	return nil
}

// Void implements core.Cache.
func (c *Cache) Void(_ context.Context, group string, epoch, counter uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	g := c.groupLocked(group)
	if at := (position{epoch, counter}); g.at.before(at) {
		g.at, g.told = at, now
		c.dropLocked(g)
	}
	c.boundLocked(now)
	return nil
}

func (c *Cache) groupLocked(name string) *group {
	g := c.groups[name]
	if g == nil {
		g = &group{kept: make(map[string]kept)}
		c.groups[name] = g
		c.size += len(name) + perKey
	}
	return g
}

// dropLocked removes what a group keeps.
func (c *Cache) dropLocked(g *group) {
	for key, k := range g.kept {
		c.size -= len(key) + len(k.body) + perKey
	}
	clear(g.kept)
}

// boundLocked holds the size down: groups whose position no late Keep can need go first. If that is not enough all go, and nothing is kept
// until what was read under the forgotten positions is too late.
func (c *Cache) boundLocked(now time.Time) {
	if c.size <= c.most {
		return
	}
	for name, g := range c.groups {
		if c.size <= c.most*3/4 {
			return
		}
		if now.Sub(g.told) > core.CacheLate {
			c.dropLocked(g)
			delete(c.groups, name)
			c.size -= len(name) + perKey
		}
	}
	if c.size > c.most {
		clear(c.groups)
		c.size, c.deaf = 0, now.Add(core.CacheLate)
	}
}
