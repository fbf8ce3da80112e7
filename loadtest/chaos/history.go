package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/proto"
)

// contSignal lets a server that is frozen end.
const contSignal = syscall.SIGCONT

const pageSize = 100

// history pages through every channel, newest first, and gives it oldest first.
func (l *lab) history(ctx context.Context) (map[proto.ID][]proto.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, pageLimit)
	defer cancel()
	newest := map[proto.ID]proto.ID{}
	for _, n := range l.desk.notes {
		if n.id != 0 {
			channel := l.town.guilds[n.guild].channels[n.room]
			newest[channel] = max(newest[channel], n.id)
		}
	}
	var mu sync.Mutex
	past := map[proto.ID][]proto.Message{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for channel := range l.town.home {
		g.Go(func() error {
			l.caught(ctx, channel, newest[channel])
			all, err := l.channel(ctx, channel)
			mu.Lock()
			defer mu.Unlock()
			past[channel] = all
			return err
		})
	}
	return past, g.Wait()
}

// caught waits until history has the newest message: delivery goes before history. That it never comes is for the verdict to say.
func (l *lab) caught(ctx context.Context, channel, id proto.ID) {
	for begun := time.Now(); id != 0 && time.Since(begun) < healLimit; {
		if _, err := l.town.owner.Message(ctx, channel, id); err == nil || !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

func (l *lab) channel(ctx context.Context, channel proto.ID) ([]proto.Message, error) {
	var all []proto.Message
	for query := fmt.Sprintf("limit=%d", pageSize); ; {
		var page []proto.Message
		var err error
		for tries := 0; tries < 40; tries++ {
			if page, err = l.town.owner.History(ctx, channel, query); err == nil || !pause(ctx, 250*time.Millisecond) {
				break
			}
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < pageSize {
			slices.Reverse(all)
			return all, nil
		}
		query = fmt.Sprintf("limit=%d&before=%s", pageSize, page[len(page)-1].ID)
	}
}

// shown compares which channels a client is shown at the end with what it may see then.
func (c *court) shown(name string, guilds []int, v func(guild int) *view, r *record) {
	for _, g := range guilds {
		view := v(g)
		if len(view.last) == 0 {
			continue
		}
		for room, channel := range c.town.guilds[g].channels {
			if may := view.agreed(channel, view.last); may != disputed && r.shown[channel] != (may == must) {
				c.tell("%s: channel %s, room %d of guild %d, is shown: %v", name, channel, room, g, r.shown[channel])
			}
		}
	}
}
