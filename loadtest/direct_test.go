package loadtest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/bwmarrin/discordgo"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// direct opens the channel with another user.
func direct(ctx context.Context, r *client.REST, other proto.ID) (ch proto.DirectChannel, err error) {
	err = r.Call(ctx, "POST", "/users/@me/channels", map[string]any{"recipient_id": other}, &ch)
	return ch, err
}

func directs(ctx context.Context, r *client.REST) (list []proto.DirectChannel, err error) {
	err = r.Call(ctx, "GET", "/users/@me/channels", nil, &list)
	return list, err
}

// readyWith is READY as far as direct channels go.
type readyWith struct {
	PrivateChannels []proto.DirectChannel `json:"private_channels"`
}

// listed is the direct channel of a session's READY; nil if it is not there.
func listed(t *testing.T, s *session, id proto.ID) *proto.DirectChannel {
	t.Helper()
	var r readyWith
	must(t, s.Since(0)[1].Into(&r))
	for _, ch := range r.PrivateChannels {
		if ch.ID == id {
			return &ch
		}
	}
	return nil
}

func isDirect(name string, id proto.ID) func(client.Event) bool {
	return about(name, func(ch proto.DirectChannel) bool { return ch.ID == id && ch.Type == proto.ChannelDM })
}

// Two people at two edges: the channel comes with the first message, goes when it is closed, and comes back with the next, once each time.
func TestDirect(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	ann, annREST := w.human("ann")
	ben, benREST := w.human("ben")
	benREST = benREST.At(w.m.HTTP(1))
	a := w.open(0, ann.Token, client.Options{}, nil)
	b := w.open(1, ben.Token, client.Options{Compress: "zlib-stream"}, nil)
	deaf := w.open(1, ben.Token, client.Options{}, map[string]any{"intents": client.DefaultIntents &^ proto.IntentDirectMessages})

	ch := take[proto.DirectChannel](t)(direct(ctx, annREST, ben.User.ID))
	w.await(a.Gateway, 0, "CHANNEL_CREATE of who opened", isDirect("CHANNEL_CREATE", ch.ID))
	if n := b.Count(0, event("CHANNEL_CREATE")); n != 0 {
		t.Errorf("Ben hears of a channel that nobody has written in")
	}
	var first proto.Message
	for i := range 5 {
		m := take[proto.Message](t)(annREST.Say(ctx, ch.ID, fmt.Sprint("hello ", i)))
		if i == 0 {
			first = m
		}
		w.await(b.Gateway, 0, "MESSAGE_CREATE", says(m))
		w.await(a.Gateway, 0, "MESSAGE_CREATE", says(m))
	}
	created := func(s *session, want int) {
		t.Helper()
		events, at, creates, messages := s.Since(0), -1, 0, map[proto.ID]int{}
		for i, e := range events {
			var m proto.Message
			switch {
			case isDirect("CHANNEL_CREATE", ch.ID)(e):
				creates++
				at = i
			case e.T == "MESSAGE_CREATE" && e.Into(&m) == nil && m.ChannelID == ch.ID:
				messages[m.ID]++
				if at < 0 {
					t.Error("MESSAGE_CREATE before CHANNEL_CREATE")
				}
			}
		}
		if creates != want {
			t.Errorf("%d CHANNEL_CREATE, want %d", creates, want)
		}
		for id, n := range messages {
			if n != 1 {
				t.Errorf("message %s came %d times", id, n)
			}
		}
	}
	created(b, 1)

	take[proto.Message](t)(annREST.Edit(ctx, ch.ID, first.ID, "edited"))
	w.await(b.Gateway, 0, "MESSAGE_UPDATE", about("MESSAGE_UPDATE", func(m proto.Message) bool { return m.ID == first.ID && m.Content == "edited" }))
	must(t, annREST.Delete(ctx, ch.ID, first.ID))
	w.await(b.Gateway, 0, "MESSAGE_DELETE", about("MESSAGE_DELETE", func(d proto.MessageDelete) bool { return d.ID == first.ID && d.GuildID == 0 }))
	must(t, annREST.Type(ctx, ch.ID))
	w.await(b.Gateway, 0, "TYPING_START", about("TYPING_START", func(d proto.TypingStart) bool { return d.ChannelID == ch.ID && d.UserID == ann.User.ID }))

	late := w.open(0, ben.Token, client.Options{}, nil)
	if got := listed(t, late, ch.ID); got == nil || got.Recipients[0].ID != ann.User.ID || got.LastMessageID == nil {
		t.Errorf("READY lists %+v", got)
	}
	must(t, benREST.Call(ctx, "DELETE", "/channels/"+ch.ID.String(), nil, nil))
	for _, s := range []*session{b, late} {
		w.await(s.Gateway, 0, "CHANNEL_DELETE", isDirect("CHANNEL_DELETE", ch.ID))
	}
	if list := take[[]proto.DirectChannel](t)(directs(ctx, benREST)); len(list) != 0 {
		t.Errorf("closed, and listed: %+v", list)
	}
	again := take[proto.Message](t)(annREST.Say(ctx, ch.ID, "still there?"))
	for _, s := range []*session{b, late} {
		w.await(s.Gateway, 0, "MESSAGE_CREATE after a close", says(again))
	}
	created(b, 2)
	created(late, 1)
	if n := a.Count(0, isDirect("CHANNEL_DELETE", ch.ID)); n != 0 {
		t.Error("Ann's channel was closed as well")
	}
	if n := deaf.Count(0, event("MESSAGE_CREATE")); n != 0 {
		t.Errorf("%d messages without the intent", n)
	}

	// Blocked: nothing more, and no word of why; what Ben hears of himself, Ann does not.
	must(t, benREST.Call(ctx, "PUT", fmt.Sprintf("/users/@me/relationships/%s", ann.User.ID), map[string]any{"type": 2}, nil))
	w.await(b.Gateway, 0, "RELATIONSHIP_ADD", event("RELATIONSHIP_ADD"))
	_, err := annREST.Say(ctx, ch.ID, "hello?")
	fails(t, err, proto.ErrNotReachable)
	must(t, benREST.Call(ctx, "DELETE", fmt.Sprintf("/users/@me/relationships/%s", ann.User.ID), nil, nil))
	m := take[proto.Message](t)(annREST.Say(ctx, ch.ID, "friends again"))
	w.await(b.Gateway, 0, "MESSAGE_CREATE", says(m))
	if n := a.Count(0, func(e client.Event) bool { return e.T == "RELATIONSHIP_ADD" || e.T == "RELATIONSHIP_REMOVE" }); n != 0 {
		t.Error("Ann was told of the block")
	}
}

// Messages that come while sessions of the other open, close and open again reach each of them once.
func TestDirectWithoutHole(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	_, annREST := w.human("ann")
	ben, benREST := w.human("ben")
	ch := take[proto.DirectChannel](t)(direct(ctx, annREST, ben.User.ID))
	b := w.open(1, ben.Token, client.Options{}, nil)

	const n = 40
	var sent []proto.Message
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			m, err := annREST.Say(ctx, ch.ID, fmt.Sprint("number ", i))
			if err != nil {
				t.Errorf("message %d: %v", i, err)
				return
			}
			sent = append(sent, m)
		}
	})
	for range 5 { // Ben closes it again and again
		if err := benREST.Call(ctx, "DELETE", "/channels/"+ch.ID.String(), nil, nil); err != nil {
			t.Error(err)
		}
	}
	late := w.open(0, ben.Token, client.Options{}, nil)
	wg.Wait()
	if t.Failed() {
		return
	}
	known := listed(t, late, ch.ID)
	for _, s := range []*session{b, late} {
		w.await(s.Gateway, 0, "the last message", says(sent[n-1]))
		for _, m := range sent {
			if s == late && (known == nil || known.LastMessageID != nil && m.ID <= *known.LastMessageID) {
				continue // said before READY, if READY knew the channel
			}
			if got := s.Count(0, says(m)); got != 1 {
				t.Errorf("%q came %d times", m.Content, got)
			}
		}
	}
}

// A renamed user is renamed everywhere: in own sessions and in guilds.
func TestProfile(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	ann, annREST := w.human("ann")
	ben, _ := w.human("ben")
	a := w.open(0, ann.Token, client.Options{}, nil)
	b := w.open(1, ben.Token, client.Options{}, map[string]any{"intents": proto.IntentsAll})
	next := name("anna")
	must(t, annREST.Call(ctx, "PATCH", "/users/@me", map[string]any{"username": next, "global_name": "Anna"}, nil))
	w.await(a.Gateway, 0, "USER_UPDATE", about("USER_UPDATE", func(u proto.SelfUser) bool { return u.Username == next }))
	w.await(b.Gateway, 0, "GUILD_MEMBER_UPDATE", about("GUILD_MEMBER_UPDATE", func(m proto.GuildMember) bool {
		return m.User.Username == next && m.User.GlobalName != nil && m.GuildID == w.guild.ID
	}))
	m := take[proto.Message](t)(annREST.Say(ctx, w.general, "it is me"))
	if m.Author.Username != next {
		t.Errorf("author: %+v", m.Author)
	}
}

// discordgo opens a channel, writes, is written to and is blocked.
func TestDirectDiscordgo(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	bot, _ := w.bot("tern", true)
	ben, benREST := w.human("ben")
	benREST = benREST.At(w.m.HTTP(1))
	g := w.gopher(0, bot)
	b := w.open(1, ben.Token, client.Options{}, nil)

	ch := take[*discordgo.Channel](t)(g.UserChannelCreate(ben.User.ID.String()))
	if ch.Type != discordgo.ChannelTypeDM || len(ch.Recipients) != 1 || ch.Recipients[0].ID != ben.User.ID.String() {
		t.Fatalf("channel: %+v", ch)
	}
	sent := take[*discordgo.Message](t)(g.ChannelMessageSend(ch.ID, "hello, human"))
	var got proto.Message
	must(t, w.await(b.Gateway, 0, "MESSAGE_CREATE", about("MESSAGE_CREATE", func(m proto.Message) bool { return m.ID.String() == sent.ID })).Into(&got))
	if got.GuildID != nil || !got.Author.Bot {
		t.Errorf("got %+v", got)
	}
	answer := take[proto.Message](t)(benREST.Say(ctx, got.ChannelID, "hello, bot"))
	var heard proto.Message
	must(t, g.expect(0, "private message", says(answer)).Into(&heard))
	if heard.Content != "hello, bot" {
		t.Errorf("content: %q", heard.Content)
	}
	page := take[[]*discordgo.Message](t)(g.ChannelMessages(ch.ID, 10, "", "", ""))
	if len(page) != 2 || page[0].Content != "hello, bot" {
		t.Errorf("page: %+v", page)
	}
	must(t, benREST.Call(ctx, "PUT", "/users/@me/relationships/"+bot.ID.String(), map[string]any{"type": 2}, nil))
	_, err := g.ChannelMessageSend(ch.ID, "are you there?")
	refused, ok := err.(*discordgo.RESTError)
	if !ok || refused.Message == nil || refused.Message.Code != discordgo.ErrCodeCannotSendMessagesToThisUser {
		t.Errorf("blocked: %v", err)
	}
}
