package loadtest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/bwmarrin/discordgo"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// raw has an event's d contain a text.
func raw(name, part string) func(client.Event) bool {
	return func(e client.Event) bool { return e.Op == 0 && e.T == name && strings.Contains(string(e.D), part) }
}

// Ann and Ben, on two edges, reply, react, pin and delete in bulk; both hear of all of it, Cy without the content.
func TestPosts(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 3*patience)
	ann, annREST := w.bot("ann", true)
	ben, benREST := w.bot("ben", true)
	cy, _ := w.bot("cy", true)
	dee, _ := w.bot("dee", true)
	benREST = benREST.At(w.m.HTTP(1))
	const reactions = int64(client.DefaultIntents) | proto.IntentGuildReactions
	a := w.open(0, ann.Token, client.Options{}, map[string]any{"intents": reactions})
	b := w.open(1, ben.Token, client.Options{Compress: "zlib-stream"}, map[string]any{"intents": reactions})
	c := w.open(1, cy.Token, client.Options{}, map[string]any{"intents": proto.IntentGuilds | proto.IntentGuildMessages})
	d := w.open(0, dee.Token, client.Options{}, map[string]any{"intents": proto.IntentGuildReactions})

	// A reply; its author pings, and who lacks the intent sees neither text.
	first := take[proto.Message](t)(annREST.Say(ctx, w.general, "the first words"))
	re := take[proto.Message](t)(benREST.Post(ctx, w.general, map[string]any{"content": "the answer", "message_reference": map[string]any{"message_id": first.ID}}))
	if re.Type != proto.MessageReply || re.Reference == nil || re.Reference.MessageID != first.ID || re.Referenced.Message == nil ||
		re.Referenced.Message.Content != first.Content || len(re.Mentions) != 1 || re.Mentions[0].ID != ann.ID {
		t.Fatalf("reply: %+v", re)
	}
	for _, s := range []*session{a, b} {
		var got proto.Message
		must(t, w.await(s.Gateway, 0, "reply", says(re)).Into(&got))
		if got.Type != proto.MessageReply || got.Referenced.Message == nil || got.Referenced.Message.Content != first.Content {
			t.Errorf("reply in the event: %+v", got)
		}
	}
	if bare := string(w.await(c.Gateway, 0, "reply without content", says(re)).D); strings.Contains(bare, "first words") || strings.Contains(bare, "the answer") {
		t.Errorf("content without the intent: %s", bare)
	}

	// Reactions, twice, from two edges, counted once each.
	const fire = "🔥"
	path := fmt.Sprintf("/channels/%s/messages/%s", w.general, re.ID)
	react := path + "/reactions/" + url.PathEscape(fire)
	for range 2 {
		must(t, annREST.Call(ctx, "PUT", react+"/@me", nil, nil))
		must(t, benREST.Call(ctx, "PUT", react+"/@me", nil, nil))
	}
	for _, s := range []*session{a, b, d} {
		for _, who := range []proto.ID{ann.ID, ben.ID} {
			var got proto.ReactionAdd
			must(t, w.await(s.Gateway, 0, "MESSAGE_REACTION_ADD", about("MESSAGE_REACTION_ADD", func(e proto.ReactionAdd) bool { return e.UserID == who })).Into(&got))
			if got.MessageID != re.ID || got.ChannelID != w.general || got.GuildID != w.guild.ID || got.Emoji.Name != fire || got.MessageAuthorID != ben.ID ||
				got.Member == nil || got.Member.User == nil || got.Member.User.ID != who {
				t.Errorf("MESSAGE_REACTION_ADD: %+v", got)
			}
		}
	}
	if m := take[proto.Message](t)(benREST.Message(ctx, w.general, re.ID)); len(m.Reactions) != 1 || m.Reactions[0].Count != 2 || !m.Reactions[0].Me {
		t.Errorf("reactions: %+v", m.Reactions)
	}
	if m := take[[]proto.Message](t)(w.owner.History(ctx, w.general, "limit=1")); m[0].Reactions[0].Count != 2 || m[0].Reactions[0].Me {
		t.Errorf("reactions as the owner sees them: %+v", m[0].Reactions)
	}
	var users []proto.User
	must(t, benREST.Call(ctx, "GET", react+"?limit=100", nil, &users))
	if len(users) != 2 {
		t.Errorf("users of a reaction: %+v", users)
	}
	fails(t, benREST.Call(ctx, "DELETE", react+"/"+ann.ID.String(), nil, nil), proto.ErrMissingPermission)
	must(t, w.owner.Call(ctx, "DELETE", react+"/"+ann.ID.String(), nil, nil))
	w.await(b.Gateway, 0, "MESSAGE_REACTION_REMOVE", about("MESSAGE_REACTION_REMOVE", func(e proto.ReactionRemove) bool { return e.UserID == ann.ID && e.Emoji.Name == fire }))
	must(t, w.owner.Call(ctx, "DELETE", react, nil, nil))
	w.await(a.Gateway, 0, "MESSAGE_REACTION_REMOVE_EMOJI", raw("MESSAGE_REACTION_REMOVE_EMOJI", fire))
	must(t, benREST.Call(ctx, "PUT", path+"/reactions/"+url.PathEscape("❤️")+"/@me", nil, nil))
	must(t, w.owner.Call(ctx, "DELETE", path+"/reactions", nil, nil))
	w.await(b.Gateway, 0, "MESSAGE_REACTION_REMOVE_ALL", raw("MESSAGE_REACTION_REMOVE_ALL", re.ID.String()))
	if m := take[proto.Message](t)(benREST.Message(ctx, w.general, re.ID)); len(m.Reactions) != 0 {
		t.Errorf("reactions after all: %+v", m.Reactions)
	}
	if n := a.Count(0, event("MESSAGE_REACTION_ADD")); n != 3 {
		t.Errorf("got %d MESSAGE_REACTION_ADD, want 3", n)
	}
	if n := c.Count(0, func(e client.Event) bool { return strings.HasPrefix(e.T, "MESSAGE_REACTION") }); n != 0 {
		t.Errorf("%d reactions without the intent", n)
	}

	// Pins.
	must(t, w.owner.Call(ctx, "PUT", fmt.Sprintf("/channels/%s/messages/pins/%s", w.general, re.ID), nil, nil))
	for _, s := range []*session{a, b, c} {
		w.await(s.Gateway, 0, "pinned", about("MESSAGE_UPDATE", func(m proto.Message) bool { return m.ID == re.ID && m.Pinned }))
		w.await(s.Gateway, 0, "CHANNEL_PINS_UPDATE", about("CHANNEL_PINS_UPDATE", func(p proto.ChannelPinsUpdate) bool { return p.ChannelID == w.general && p.LastPinTimestamp != nil }))
	}
	var pins proto.PinnedMessages
	must(t, benREST.Call(ctx, "GET", fmt.Sprintf("/channels/%s/messages/pins", w.general), nil, &pins))
	if len(pins.Items) != 1 || pins.Items[0].Message.ID != re.ID || pins.Items[0].Message.Referenced.Message == nil || pins.HasMore {
		t.Errorf("pins: %+v", pins)
	}

	// Bulk delete.
	fails(t, annREST.Call(ctx, "POST", fmt.Sprintf("/channels/%s/messages/bulk-delete", w.general), map[string]any{"messages": []proto.ID{first.ID, re.ID}}, nil),
		proto.ErrMissingPermission)
	must(t, w.owner.Call(ctx, "POST", fmt.Sprintf("/channels/%s/messages/bulk-delete", w.general), map[string]any{"messages": []proto.ID{re.ID, first.ID}}, nil))
	for _, s := range []*session{a, b, c} {
		var got proto.MessageDeleteBulk
		must(t, w.await(s.Gateway, 0, "MESSAGE_DELETE_BULK", event("MESSAGE_DELETE_BULK")).Into(&got))
		if len(got.IDs) != 2 || got.IDs[0] != first.ID || got.ChannelID != w.general || got.GuildID != w.guild.ID {
			t.Errorf("MESSAGE_DELETE_BULK: %+v", got)
		}
	}
	left := take[[]proto.Message](t)(benREST.History(ctx, w.general, "limit=10"))
	if len(left) != 1 || left[0].Type != proto.MessagePinned || left[0].Reference.MessageID != re.ID {
		t.Errorf("left: %+v", left) // but for the message that tells of the pin
	}
	fails(t, annREST.Call(ctx, "POST", path+"/crosspost", json.RawMessage(`{}`), nil), &proto.Error{Status: 404})
}

// A session that was away hears of reactions and pins on RESUME, each once.
func TestResumePosts(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 2*patience)
	bot, _ := w.bot("rex", true)
	m := take[proto.Message](t)(w.owner.Say(ctx, w.general, "vote"))
	s := w.open(0, bot.Token, client.Options{}, map[string]any{"intents": proto.IntentGuilds | proto.IntentGuildReactions})
	events := s.Since(0)
	seq := events[len(events)-1].S
	s.Cut()
	react := fmt.Sprintf("/channels/%s/messages/%s/reactions/%s/@me", w.general, m.ID, url.PathEscape("🔥"))
	must(t, w.owner.Call(ctx, "PUT", react, nil, nil))
	must(t, w.owner.Call(ctx, "DELETE", react, nil, nil))
	must(t, w.owner.Call(ctx, "PUT", fmt.Sprintf("/channels/%s/pins/%s", w.general, m.ID), nil, nil))
	g := w.dial(0, client.Options{})
	must(t, g.Resume(bot.Token, s.ready.SessionID, seq))
	w.await(g, 0, "RESUMED", event("RESUMED"))
	for _, name := range []string{"MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE", "CHANNEL_PINS_UPDATE"} {
		if n := g.Count(0, event(name)); n != 1 {
			t.Errorf("got %d %s, want 1", n, name)
		}
	}
}

// discordgo's own calls for all of it.
func TestDiscordgoPosts(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 3*patience)
	annBot, _ := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	mods := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "mods", proto.PermManageMessages)).ID
	must(t, w.owner.GiveRole(ctx, w.guild.ID, annBot.ID, mods))
	ann, ben := w.gopher(0, annBot), w.gopher(1, benBot)
	channel := w.general.String()
	first := ann.say(w.general, "who replies?")
	re := take[*discordgo.Message](t)(ben.ChannelMessageSendReply(channel, "I do", first.Reference()))
	if re.Type != discordgo.MessageTypeReply || re.ReferencedMessage == nil || re.ReferencedMessage.ID != first.ID {
		t.Errorf("reply: %+v", re)
	}
	quiet := take[*discordgo.Message](t)(ben.ChannelMessageSendComplex(channel, &discordgo.MessageSend{Content: "quietly", Reference: first.Reference(),
		AllowedMentions: &discordgo.MessageAllowedMentions{Parse: []discordgo.AllowedMentionType{}}}))
	if len(quiet.Mentions) != 0 {
		t.Errorf("a quiet reply mentions %+v", quiet.Mentions)
	}
	ann.expect(0, "reply", saysID(re.ID))
	must(t, ann.MessageReactionAdd(channel, re.ID, "👍🏽"))
	must(t, ben.MessageReactionAdd(channel, re.ID, "👍🏽"))
	users := take[[]*discordgo.User](t)(ben.MessageReactions(channel, re.ID, "👍🏽", 10, "", ""))
	if len(users) != 2 {
		t.Errorf("reactions: %+v", users)
	}
	got := take[*discordgo.Message](t)(ben.ChannelMessage(channel, re.ID))
	if len(got.Reactions) != 1 || got.Reactions[0].Count != 2 || !got.Reactions[0].Me || got.Reactions[0].Emoji.Name != "👍🏽" {
		t.Errorf("message: %+v", got.Reactions)
	}
	must(t, ben.MessageReactionRemove(channel, re.ID, "👍🏽", "@me"))
	must(t, ann.MessageReactionsRemoveAll(channel, re.ID))
	must(t, ann.ChannelMessagePin(channel, first.ID))
	ben.expect(0, "CHANNEL_PINS_UPDATE", event("CHANNEL_PINS_UPDATE"))
	if pinned := take[[]*discordgo.Message](t)(ben.ChannelMessagesPinned(channel)); len(pinned) != 1 || pinned[0].ID != first.ID || !pinned[0].Pinned {
		t.Errorf("pinned: %+v", pinned)
	}
	must(t, ann.ChannelMessageUnpin(channel, first.ID))
	must(t, ann.ChannelMessagesBulkDelete(channel, []string{first.ID, re.ID, quiet.ID}))
	ben.expect(0, "MESSAGE_DELETE_BULK", event("MESSAGE_DELETE_BULK"))
}
