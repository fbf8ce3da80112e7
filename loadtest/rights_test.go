package loadtest

import (
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A channel is hidden from Vic by an overwrite and given back, then hidden and given by a role: CHANNEL_DELETE and CHANNEL_CREATE come
// at once, and while it is hidden nothing of it reaches him. What he may see of another channel, in the same bucket's order, proves that
// nothing is on its way.
func TestHiddenChannel(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 2*patience)
	bot, r := w.bot("vic", true)
	s := w.open(1, bot.Token, client.Options{}, nil)
	square := take[proto.Channel](t)(w.owner.Channel(ctx, w.guild.ID, "square")).ID
	w.await(s.Gateway, 0, "CHANNEL_CREATE", about("CHANNEL_CREATE", func(c proto.Channel) bool { return c.ID == square }))

	hidden := func(what string, hide func()) {
		t.Helper()
		mark := s.Mark()
		hide()
		w.await(s.Gateway, mark, what+": CHANNEL_DELETE", about("CHANNEL_DELETE", func(c proto.Channel) bool { return c.ID == w.general }))
		mark = s.Mark()
		secret := take[proto.Message](t)(w.owner.Say(ctx, w.general, "secret"))
		open := take[proto.Message](t)(w.owner.Say(ctx, square, "open"))
		w.await(s.Gateway, mark, what+": message elsewhere", says(open))
		if s.Count(0, says(secret)) != 0 {
			t.Errorf("%s: a message of a hidden channel arrived", what)
		}
		_, err := r.Say(ctx, w.general, "let me in")
		fails(t, err, proto.ErrMissingAccess)
		_, err = r.History(ctx, w.general, "limit=5")
		fails(t, err, proto.ErrMissingAccess)
	}
	shown := func(what string, show func()) {
		t.Helper()
		mark := s.Mark()
		show()
		w.await(s.Gateway, mark, what+": CHANNEL_CREATE", about("CHANNEL_CREATE", func(c proto.Channel) bool { return c.ID == w.general }))
		m := take[proto.Message](t)(w.owner.Say(ctx, w.general, "welcome back"))
		w.await(s.Gateway, mark, what+": message", says(m))
		take[proto.Message](t)(r.Say(ctx, w.general, "thanks"))
	}
	everyone := proto.Overwrite{ID: w.guild.ID, Type: proto.OverwriteRole, Deny: proto.PermViewChannel}
	own := proto.Overwrite{ID: bot.ID, Type: proto.OverwriteMember, Deny: proto.PermViewChannel}

	hidden("everyone denied", func() { must(t, w.owner.Overwrite(ctx, w.general, everyone)) })
	shown("everyone's overwrite gone", func() { must(t, w.owner.DropOverwrite(ctx, w.general, w.guild.ID)) })
	hidden("member denied", func() { must(t, w.owner.Overwrite(ctx, w.general, own)) })
	shown("member's overwrite gone", func() { must(t, w.owner.DropOverwrite(ctx, w.general, bot.ID)) })

	role := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "insider", 0))
	must(t, w.owner.Overwrite(ctx, w.general, proto.Overwrite{ID: role.ID, Type: proto.OverwriteRole, Allow: proto.PermViewChannel}))
	hidden("everyone denied again", func() { must(t, w.owner.Overwrite(ctx, w.general, everyone)) })
	shown("role given", func() { must(t, w.owner.GiveRole(ctx, w.guild.ID, bot.ID, role.ID)) })
	hidden("role taken", func() { must(t, w.owner.TakeRole(ctx, w.guild.ID, bot.ID, role.ID)) })

	shown("role given again", func() { must(t, w.owner.GiveRole(ctx, w.guild.ID, bot.ID, role.ID)) })

	// What changes while Vic is away holds at RESUME: he reads what was said before the channel was hidden, and nothing after.
	s.Cut()
	mark := s.Mark()
	before := take[proto.Message](t)(w.owner.Say(ctx, w.general, "before"))
	must(t, w.owner.TakeRole(ctx, w.guild.ID, bot.ID, role.ID))
	after := take[proto.Message](t)(w.owner.Say(ctx, w.general, "after"))
	g := w.dial(1, client.Options{Log: s.Log})
	must(t, g.Resume(bot.Token, s.ready.SessionID, s.S()))
	w.await(g, mark, "RESUMED", event("RESUMED"))
	open := take[proto.Message](t)(w.owner.Say(ctx, square, "open"))
	w.await(g, mark, "message elsewhere after RESUMED", says(open))
	if s.Count(mark, says(before)) != 1 || s.Count(mark, event("CHANNEL_DELETE")) != 1 || s.Count(mark, says(after)) != 0 {
		t.Errorf("RESUME gave %d of the message before, %d CHANNEL_DELETE, %d of the message after; want 1, 1, 0", s.Count(mark, says(before)),
			s.Count(mark, event("CHANNEL_DELETE")), s.Count(mark, says(after)))
	}

	// A session that starts while the channel is hidden does not see it.
	fresh := w.open(0, bot.Token, client.Options{}, nil)
	for _, c := range fresh.guilds[w.guild.ID].Channels {
		if c.ID == w.general {
			t.Error("GUILD_CREATE shows a hidden channel")
		}
	}
}

// A bot's token is reset: its session closes with 4004, the old token is worth nothing, the new one opens.
func TestBotReset(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	bot, r := w.bot("rob", true)
	s := w.open(1, bot.Token, client.Options{}, nil)
	token := take[string](t)(w.owner.ResetBot(ctx, bot.ID))
	closes(t, s.Gateway, proto.CloseAuthFailed)
	fails(t, r.Call(ctx, "GET", "/users/@me", nil, nil), proto.ErrUnauthorized)
	g := w.dial(1, client.Options{})
	must(t, g.Resume(bot.Token, s.ready.SessionID, s.S()))
	closes(t, g, proto.CloseAuthFailed)
	must(t, r.As("Bot "+token).Call(ctx, "GET", "/users/@me", nil, nil))
	w.open(0, token, client.Options{}, nil)
}

// Lea logs out of one login: that login's gateway session closes with 4004 and its refresh token is dead; her other login lives on.
func TestLogout(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	lea, anon := name("lea"), w.owner.As("")
	first := take[client.Person](t)(anon.Register(ctx, lea, password))
	second := take[client.Person](t)(anon.Login(ctx, lea, password))
	_, err := anon.Login(ctx, lea, "wrong "+password)
	if e, ok := apiError(err); !ok || e.Status < 400 || e.Status >= 500 {
		t.Errorf("login with a wrong password: %v", err)
	}
	a := w.open(0, first.Token, client.Options{}, nil)
	b := w.open(1, second.Token, client.Options{}, nil)
	must(t, anon.As("Bearer "+first.Token).Logout(ctx, first.RefreshToken))
	closes(t, a.Gateway, proto.CloseAuthFailed)
	err = anon.Call(ctx, "POST", "/auth/refresh", map[string]any{"refresh_token": first.RefreshToken}, nil)
	fails(t, err, proto.ErrUnauthorized)
	must(t, anon.Call(ctx, "POST", "/auth/refresh", map[string]any{"refresh_token": second.RefreshToken}, nil))
	mark := b.Mark()
	must(t, b.Heartbeat())
	w.await(b.Gateway, mark, "ACK of the other login", op(proto.OpHeartbeatAck))
}

// Without the content intent a session reads only its own messages and those that mention it.
func TestContentIntent(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	bot, r := w.bot("carl", true)
	blind := w.open(0, bot.Token, client.Options{}, map[string]any{"intents": proto.IntentGuilds | proto.IntentGuildMessages})
	deaf := w.open(1, bot.Token, client.Options{}, map[string]any{"intents": proto.IntentGuilds})
	for _, tt := range []struct {
		by            *client.REST
		content, want string
	}{
		{w.owner, "hello all", ""},
		{w.owner, "hello <@" + bot.ID.String() + ">", "hello <@" + bot.ID.String() + ">"},
		{r, "my own", "my own"},
	} {
		m := take[proto.Message](t)(tt.by.Say(ctx, w.general, tt.content))
		var got proto.Message
		must(t, w.await(blind.Gateway, 0, "message", says(m)).Into(&got))
		if got.Content != tt.want {
			t.Errorf("%q: got %q, want %q", tt.content, got.Content, tt.want)
		}
	}
	c := take[proto.Channel](t)(w.owner.Channel(ctx, w.guild.ID, "later"))
	w.await(deaf.Gateway, 0, "CHANNEL_CREATE", about("CHANNEL_CREATE", func(got proto.Channel) bool { return got.ID == c.ID }))
	if got := deaf.Count(0, event("MESSAGE_CREATE")); got != 0 {
		t.Errorf("got %d messages without the intent, want 0", got)
	}
}
