package chat

import (
	"context"

	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
)

// A feed carries what the gateway tells to Update, in order. The gateway waits while it is full.
type feed struct {
	ctx       context.Context
	events    chan any // client.Dispatch, client.Status, or the error that ended it all
	reconnect func()   // ends a wait for the next try
}

const maxBatch = 256

// batch is events of a feed, oldest first.
type batch struct {
	feed   *feed
	events []any
}

// ended tells that a feed will tell no more.
type ended struct {
	feed *feed
	err  error
}

func newFeed(ctx context.Context) *feed {
	return &feed{ctx: ctx, events: make(chan any, maxBatch), reconnect: func() {}}
}

// tell waits for room.
func (f *feed) tell(e any) {
	select {
	case f.events <- e:
	case <-f.ctx.Done():
	}
}

// next waits for events and gives as many as there are.
func (f *feed) next() tea.Cmd {
	return func() tea.Msg {
		b := batch{feed: f}
		select {
		case e := <-f.events:
			b.events = append(b.events, e)
		case <-f.ctx.Done():
			return nil
		}
		for len(b.events) < maxBatch {
			select {
			case e := <-f.events:
				b.events = append(b.events, e)
			default:
				return b
			}
		}
		return b
	}
}

// listenTo runs the gateway of a real client. The way to reconnect is told first of all.
func listenTo(ctx context.Context, a api, f *feed) {
	c, ok := a.(*client.Client)
	if !ok {
		return
	}
	g := c.NewGateway(client.DefaultIntents, func(d client.Dispatch) { f.tell(d) }, func(s client.Status) { f.tell(s) })
	f.tell(reconnector(g.Reconnect))
	if err := g.Run(ctx); err != nil {
		f.tell(err)
	}
}

type reconnector func()
