package loadtest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/rule"
	"github.com/starling-chat/starling/proto"
)

var (
	leakSeed = flag.Uint64("leak.seed", uint64(time.Now().UnixNano()), "of TestNothingLeaks")
	leakFor  = flag.Duration("leak.for", 10*time.Second, "how long TestNothingLeaks changes things")
)

// Channels, roles, overwrites and members change at random while somebody talks everywhere: six clients on two edges get what the permission
// rule allows them at the moment of each event, all of it, once, and no word of anything else.
func TestNothingLeaks(t *testing.T) {
	t.Logf("seed %d", *leakSeed)
	w := newTown(t, plain.get(t))
	ctx := within(t, *leakFor+3*patience)
	boss := w.open(0, w.person.Token, client.Options{}, map[string]any{"intents": client.Drop})
	mark := boss.Mark()
	c := &chaos{town: w, ctx: ctx, rnd: rand.New(rand.NewPCG(*leakSeed, 1)), channels: []proto.ID{w.general}}
	const most = client.DefaultIntents
	intents := []int64{most, most &^ proto.IntentMessageContent, most &^ proto.IntentGuildMembers,
		proto.IntentGuilds | proto.IntentGuildMessages | proto.IntentMessageContent, most, most}
	var clients []*session
	for i := range intents {
		b, _ := w.bot(fmt.Sprint("spy", i), i%2 == 0)
		c.bots, c.in = append(c.bots, b.ID), append(c.in, i%2 == 0)
		clients = append(clients, w.open(i%2, b.Token, client.Options{}, map[string]any{"intents": intents[i]}))
	}

	var talk sync.WaitGroup
	stop := make(chan struct{})
	talk.Go(func() { c.talk(stop, rand.New(rand.NewPCG(*leakSeed, 2))) })
	for until := time.Now().Add(*leakFor); time.Now().Before(until) && !t.Failed(); {
		c.change()
	}
	close(stop)
	talk.Wait()

	// Everybody is in at the end and sees one last channel: what comes before its message has come.
	for i := range c.bots {
		if !c.in[i] {
			must(t, w.owner.AddBot(ctx, w.guild.ID, c.bots[i]))
		}
	}
	end := c.newChannel(proto.Overwrite{ID: w.guild.ID, Type: proto.OverwriteRole, Allow: proto.PermViewChannel})
	last := take[proto.Message](t)(w.owner.Say(ctx, end, "end"))
	w.await(boss.Gateway, mark, "the end", says(last))
	log := boss.Since(mark)
	messages, leaks := 0, 0
	for i, s := range clients {
		w.await(s.Gateway, 0, fmt.Sprintf("the end, client %d", i), says(last))
		wit, err := watch(rule.New(boss.guilds[w.guild.ID]), log, c.bots[i])
		must(t, err)
		problems, got := wit.judge(s.Since(0), c.bots[i], w.guild.ID, intents[i])
		for _, p := range problems {
			t.Errorf("client %d (edge %d): %s", i, i%2, p)
		}
		messages, leaks = messages+got, leaks+len(problems)
		t.Logf("client %d: %d of %d messages", i, got, len(wit.messages))
	}
	t.Logf("%d changes, %d messages delivered, %d problems", c.changes, messages, leaks)
}

// chaos changes a guild at random.
type chaos struct {
	*town
	ctx     context.Context
	rnd     *rand.Rand
	roles   []proto.ID
	bots    []proto.ID
	in      []bool
	changes int

	mu       sync.Mutex
	channels []proto.ID
}

func (c *chaos) channel(rnd *rand.Rand) proto.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.channels[rnd.IntN(len(c.channels))]
}

// talk says something in a random channel, again and again; one that was deleted meanwhile is no error.
func (c *chaos) talk(stop chan struct{}, rnd *rand.Rand) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		if _, err := c.owner.At(c.m.HTTP(1)).Say(c.ctx, c.channel(rnd), fmt.Sprint("secret ", i)); err != nil {
			if e, ok := apiError(err); !ok || e.Code != proto.ErrUnknownChannel.Code {
				c.t.Error(err)
				return
			}
		}
	}
}

func (c *chaos) newChannel(o ...proto.Overwrite) proto.ID {
	var ch proto.Channel
	err := c.owner.Call(c.ctx, "POST", fmt.Sprintf("/guilds/%s/channels", c.guild.ID), map[string]any{"name": fmt.Sprint("room-", c.changes), "type": 0,
		"permission_overwrites": o}, &ch)
	if err != nil {
		c.t.Error(err)
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channels = append(c.channels, ch.ID)
	return ch.ID
}

// overwrite is about the view, for everyone, a role or a bot.
func (c *chaos) overwrite() proto.Overwrite {
	o := proto.Overwrite{ID: c.guild.ID, Type: proto.OverwriteRole}
	switch n := c.rnd.IntN(3); {
	case n == 0:
		if i := c.rnd.IntN(len(c.bots)); c.in[i] { // members only
			o.ID, o.Type = c.bots[i], proto.OverwriteMember
		}
	case n == 1 && len(c.roles) > 0:
		o.ID = c.roles[c.rnd.IntN(len(c.roles))]
	}
	if c.rnd.IntN(2) == 0 {
		o.Allow = proto.PermViewChannel
	} else {
		o.Deny = proto.PermViewChannel
	}
	return o
}

func (c *chaos) permissions() proto.Permissions {
	return []proto.Permissions{0, proto.PermViewChannel, proto.PermSendMessages, proto.PermAdministrator, proto.PermDefault}[c.rnd.IntN(5)]
}

// change makes one change.
func (c *chaos) change() {
	c.changes++
	guild := fmt.Sprintf("/guilds/%s", c.guild.ID)
	bot := c.rnd.IntN(len(c.bots))
	var err error
	switch n := c.rnd.IntN(20); {
	case n < 2 && len(c.channels) < 12:
		c.newChannel(c.overwrite())
	case n == 2 && len(c.channels) > 3:
		c.mu.Lock()
		i := c.rnd.IntN(len(c.channels))
		id := c.channels[i]
		c.channels = append(c.channels[:i:i], c.channels[i+1:]...)
		c.mu.Unlock()
		err = c.owner.Call(c.ctx, "DELETE", "/channels/"+id.String(), nil, nil)
	case n < 9:
		err = c.owner.Overwrite(c.ctx, c.channel(c.rnd), c.overwrite())
	case n == 9:
		err = c.owner.DropOverwrite(c.ctx, c.channel(c.rnd), c.overwrite().ID)
		if e, ok := apiError(err); ok && e.Status == 404 {
			err = nil // there was none
		}
	case n == 10 && len(c.roles) < 8:
		var r proto.Role
		if r, err = c.owner.Role(c.ctx, c.guild.ID, fmt.Sprint("role-", c.changes), c.permissions()); err == nil {
			c.roles = append(c.roles, r.ID)
		}
	case n == 11 && len(c.roles) > 2:
		i := c.rnd.IntN(len(c.roles))
		err = c.owner.Call(c.ctx, "DELETE", guild+"/roles/"+c.roles[i].String(), nil, nil)
		c.roles = append(c.roles[:i:i], c.roles[i+1:]...)
	case n == 12 && len(c.roles) > 0:
		err = c.owner.Call(c.ctx, "PATCH", guild+"/roles/"+c.roles[c.rnd.IntN(len(c.roles))].String(), map[string]any{"permissions": c.permissions()}, nil)
	case n == 13:
		p := proto.PermDefault
		if c.rnd.IntN(2) == 0 {
			p &^= proto.PermViewChannel
		}
		err = c.owner.Call(c.ctx, "PATCH", guild+"/roles/"+c.guild.ID.String(), map[string]any{"permissions": p}, nil)
	case n < 18 && len(c.roles) > 0 && c.in[bot]:
		act := c.owner.GiveRole
		if c.rnd.IntN(2) == 0 {
			act = c.owner.TakeRole
		}
		err = act(c.ctx, c.guild.ID, c.bots[bot], c.roles[c.rnd.IntN(len(c.roles))])
	case n >= 18 && c.in[bot]:
		err = c.owner.Call(c.ctx, "DELETE", fmt.Sprintf("%s/members/%s", guild, c.bots[bot]), nil, nil)
		c.in[bot] = false
	case n >= 18:
		err = c.owner.AddBot(c.ctx, c.guild.ID, c.bots[bot])
		c.in[bot] = true
	}
	if err != nil {
		c.t.Errorf("change %d: %v", c.changes, err)
	}
}
