package redis

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const doubtsMax = 1 << 17

// doubts are the users of whom a report was sent and not answered: perhaps it counts, and nobody was told of the change. What is heard of them
// next is told as a change.
type doubts struct {
	some  atomic.Bool
	mu    sync.Mutex
	users map[proto.ID]struct{}
}

func (d *doubts) add(user proto.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users == nil {
		d.users = make(map[proto.ID]struct{})
	}
	if len(d.users) < doubtsMax {
		d.users[user] = struct{}{}
	}
	d.some.Store(true)
}

func (d *doubts) remove(user proto.ID) bool {
	if !d.some.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, found := d.users[user]
	delete(d.users, user)
	d.some.Store(len(d.users) > 0)
	return found
}

// doubt is what others may have been told of a user, so that it differs from what is so.
func doubt(after core.Presence) core.Presence {
	before := core.Presence{User: after.User}
	if after.Status == "" {
		before.Status = proto.StatusOnline
	}
	return before
}

// merged is what a user's reports come to now; offline if Redis does not say.
func (p *Presences) merged(ctx context.Context, user proto.ID) core.Presence {
	if found, err := p.page(ctx, []proto.ID{user}); err == nil && len(found) == 1 {
		return found[0]
	}
	return core.Presence{User: user}
}
