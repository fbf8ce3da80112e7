package check

import (
	"context"
	"fmt"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

const password = "correct horse battery"

// A town is the guilds and accounts of one run.
type town struct {
	owner    *client.REST
	guilds   []proto.ID
	channels []proto.ID
	writers  []*client.REST
	ears     []client.Bot // of the live clients
}

// settle makes the town. Every bot is a member of every guild.
func settle(ctx context.Context, p Plan, tell func(string)) (*town, error) {
	stamp := time.Now().UnixNano() & 0xffffffffff
	rest := client.NewREST(p.Edges[0], tell)
	person, err := rest.Register(ctx, fmt.Sprintf("mayor_%x", stamp), password)
	if err != nil {
		return nil, err
	}
	t := &town{owner: rest.As("Bearer " + person.Token)}
	for i := range p.Guilds {
		g, err := t.owner.Guild(ctx, fmt.Sprintf("Town %d", i))
		if err != nil {
			return nil, err
		}
		t.guilds = append(t.guilds, g.ID)
		for k := range p.Channels {
			ch, err := t.owner.Channel(ctx, g.ID, fmt.Sprintf("square-%d", k))
			if err != nil {
				return nil, err
			}
			t.channels = append(t.channels, ch.ID)
		}
	}
	for i := range p.Writers + p.Listeners {
		bot, err := t.owner.Application(ctx, fmt.Sprintf("folk%d_%x", i, stamp))
		if err != nil {
			return nil, err
		}
		for _, g := range t.guilds {
			if err := t.owner.AddBot(ctx, g, bot.ID); err != nil {
				return nil, err
			}
		}
		if i < p.Writers {
			t.writers = append(t.writers, t.owner.As(bot.Auth()))
		} else {
			t.ears = append(t.ears, bot)
		}
	}
	return t, nil
}
