package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/starling-chat/starling/proto"
)

// A clerk takes rights from members and gives them back, in the owner's name.
type clerk struct {
	town *town
	tell func(string)

	mu   sync.Mutex
	rnd  *rand.Rand
	busy map[seat]bool // rights that are taken now
	done int           // changes that were acknowledged
}

// A seat is a client's membership of a guild.
type seat struct{ guild, client int }

// clerks is how many calls of one flip are made at once.
const clerks = 8

// flip takes rights from count members and gives them back after a while, whatever happens meanwhile. It returns when all is as before, or
// ctx ended.
func (c *clerk) flip(ctx context.Context, way string, count int, keep time.Duration) {
	places := make(chan struct{}, clerks)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range count {
		s, free := c.take()
		if !free {
			return
		}
		wg.Go(func() {
			defer func() { c.mu.Lock(); delete(c.busy, s); c.mu.Unlock() }()
			off, on := c.calls(way, s)
			for _, calls := range [][]call{off, on} {
				for _, f := range calls {
					places <- struct{}{}
					ok := c.insist(ctx, f)
					<-places
					if !ok {
						return
					}
				}
				if &calls[0] == &off[0] && !pause(ctx, keep) {
					return
				}
			}
		})
	}
}

// take finds a seat whose rights nobody changes.
func (c *clerk) take() (seat, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range 100 {
		n := c.rnd.IntN(len(c.town.people))
		in := c.town.people[n].guilds
		s := seat{in[c.rnd.IntN(len(in))], n}
		if !c.busy[s] {
			c.busy[s] = true
			return s, true
		}
	}
	return seat{}, false
}

// A call is one request, and the answers that say that an earlier try of it was heard.
type call struct {
	do   func(context.Context) error
	done []*proto.Error
}

// calls take the rights of a way, and give them back.
func (c *clerk) calls(way string, s seat) (off, on []call) {
	g, user := c.town.guilds[s.guild], c.town.people[s.client].id
	owner := c.town.owner
	add := call{do: func(ctx context.Context) error { return owner.AddBot(ctx, g.id, user) }}
	ban := fmt.Sprintf("/guilds/%s/bans/%s", g.id, user)
	switch way {
	case ByRole:
		off = []call{{do: func(ctx context.Context) error { return owner.GiveRole(ctx, g.id, user, g.outsider) }}}
		on = []call{{do: func(ctx context.Context) error { return owner.TakeRole(ctx, g.id, user, g.outsider) }}}
	case ByOverwrite:
		deny := proto.Overwrite{ID: user, Type: proto.OverwriteMember, Deny: proto.PermViewChannel}
		off = []call{{do: func(ctx context.Context) error { return owner.Overwrite(ctx, g.channels[square], deny) }}}
		on = []call{{func(ctx context.Context) error { return owner.DropOverwrite(ctx, g.channels[square], user) },
			[]*proto.Error{proto.ErrUnknownOverwrite}}}
	case ByKick:
		off = []call{{func(ctx context.Context) error {
			return owner.Call(ctx, "DELETE", fmt.Sprintf("/guilds/%s/members/%s", g.id, user), nil, nil)
		}, []*proto.Error{proto.ErrUnknownMember}}}
		on = []call{add}
	default:
		off = []call{{do: func(ctx context.Context) error { return owner.Call(ctx, "PUT", ban, map[string]any{}, nil) }}}
		on = []call{{func(ctx context.Context) error { return owner.Call(ctx, "DELETE", ban, nil, nil) },
			[]*proto.Error{proto.ErrUnknownBan}}, add}
	}
	return off, on
}

// insist repeats a call until it is answered; false if it is refused for good or ctx ended.
func (c *clerk) insist(ctx context.Context, f call) bool {
	for wait := repeatMin; ; wait = min(2*wait, repeatMax) {
		err := f.do(ctx)
		var e *proto.Error
		switch {
		case err == nil, errors.As(err, &e) && slices.ContainsFunc(f.done, func(d *proto.Error) bool { return d.Code == e.Code && d.Status == e.Status }):
			c.mu.Lock()
			c.done++
			c.mu.Unlock()
			return true
		case ctx.Err() != nil:
			return false
		case e != nil && e.Status < 500 && e.Status != 429:
			c.tell(fmt.Sprintf("rights: %v", err))
			return false
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}
