package loadtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// While Hope identifies, friends write to her, she is renamed, and guilds take her in, as fast as they can. Her client got READY and nothing more
// when its socket broke: what comes with RESUME at another edge goes on from what READY told.
func TestResumeFromReady(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 4*patience)
	hope, hopeREST := w.human("hope")
	var friends []*client.REST
	var channels []proto.ID
	for i := range 3 {
		_, r := w.human(fmt.Sprint("friend", i))
		ch := take[proto.DirectChannel](t)(direct(ctx, r, hope.User.ID))
		take[proto.Message](t)(r.Say(ctx, ch.ID, "hello"))
		friends, channels = append(friends, r), append(channels, ch.ID)
	}
	var codes []string
	for i := range 8 {
		g := take[proto.Guild](t)(w.owner.Guild(ctx, fmt.Sprint("guild ", i)))
		c := take[proto.Channel](t)(w.owner.Channel(ctx, g.ID, "square"))
		codes = append(codes, take[string](t)(w.owner.Invite(ctx, c.ID)))
	}
	names := 0
	for round := range 8 {
		at := round % 2
		var wg sync.WaitGroup
		hammer, stop := context.WithCancel(ctx)
		sent := make([][]proto.Message, len(friends))
		for i, r := range friends {
			wg.Go(func() {
				for n := 0; hammer.Err() == nil && n < 200; n++ {
					m, err := r.Say(ctx, channels[i], fmt.Sprint(round, " ", n))
					if err != nil {
						t.Error(err)
						return
					}
					sent[i] = append(sent[i], m)
				}
			})
		}
		wg.Go(func() {
			for ; hammer.Err() == nil; names++ {
				if err := hopeREST.Call(ctx, "PATCH", "/users/@me", map[string]any{"global_name": fmt.Sprint("Hope ", names)}, nil); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			if err := hopeREST.Join(ctx, codes[round]); err != nil {
				t.Error(err)
			}
		})
		first := w.dial(at, client.Options{})
		must(t, first.Identify(hope.Token, nil))
		ready := w.await(first, 0, "READY", event("READY"))
		stop()
		first.Cut()
		wg.Wait()
		log := client.NewLog(w.tell)
		g := w.dial(1-at, client.Options{Log: log})
		log.Add(ready)
		var r struct {
			proto.Ready
			PrivateChannels []proto.DirectChannel `json:"private_channels"`
		}
		must(t, ready.Into(&r))
		must(t, g.Resume(hope.Token, r.SessionID, ready.S))
		w.await(g, 0, "RESUMED", event("RESUMED"))
		w.hasAll(g, r.Ready, r.PrivateChannels, channels, sent)
		w.hasNames(g, r.User, names)
		g.Cut()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// hasAll wants every message that READY did not know of, once and in order; a channel may be shown anew.
func (w *town) hasAll(g *client.Gateway, ready proto.Ready, known []proto.DirectChannel, channels []proto.ID, sent [][]proto.Message) {
	w.t.Helper()
	for i, id := range channels {
		last := proto.ID(0)
		for _, ch := range known {
			if ch.ID == id && ch.LastMessageID != nil {
				last = *ch.LastMessageID
			}
		}
		var want []proto.ID
		for _, m := range sent[i] {
			if m.ID > last {
				want = append(want, m.ID)
			}
		}
		if len(want) == 0 {
			continue
		}
		w.await(g, 0, "the last message of a friend", says(proto.Message{ID: want[len(want)-1]}))
		if got := heard(g.Log, id); !slices.Equal(got, want) {
			w.t.Errorf("channel %s, which READY knew up to %s: got %v, want %v", id, last, got, want)
		}
	}
	for _, stub := range ready.Guilds {
		w.await(g, 0, "GUILD_CREATE of "+stub.ID.String(), about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == stub.ID }))
	}
}

// hasNames wants every name behind the one that READY told, up to the last of so many.
func (w *town) hasNames(g *client.Gateway, self proto.SelfUser, names int) {
	w.t.Helper()
	at := -1
	if self.GlobalName != nil {
		fmt.Sscanf(*self.GlobalName, "Hope %d", &at)
	}
	last := fmt.Sprint("Hope ", names-1)
	if self.GlobalName != nil && *self.GlobalName == last {
		return
	}
	w.await(g, 0, "the last name", about("USER_UPDATE", func(u proto.SelfUser) bool { return u.GlobalName != nil && *u.GlobalName == last }))
	for _, e := range g.Since(0) {
		var u proto.SelfUser
		if e.T != "USER_UPDATE" || e.Into(&u) != nil || u.GlobalName == nil {
			continue
		}
		var n int
		fmt.Sscanf(*u.GlobalName, "Hope %d", &n)
		if n != at+1 && at >= 0 {
			w.t.Errorf("name %d came after name %d", n, at)
		}
		at = n
	}
}
