package loadtest

import (
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/loadtest/shape"
	"github.com/starling-chat/starling/proto"
)

// Sends beyond 5 in 5 s are answered 429 with every header, per user and channel; another user and another channel are free.
func TestRateLimit(t *testing.T) {
	w := newTown(t, limited.get(t))
	ctx := within(t, patience)
	_, r := w.bot("lim", true)
	path := "/channels/" + w.general.String() + "/messages"
	var refused *client.Answer
	for i := range 12 {
		a := take[*client.Answer](t)(r.At(w.m.HTTP(i%2)).Raw(ctx, "POST", path, map[string]any{"content": "x"}))
		if !shape.HasLimit(a.Header) {
			t.Errorf("send %d: no rate-limit headers: %v", i, a.Header)
		}
		if a.Status == 429 {
			refused = a
			break
		}
		if a.Status != 200 {
			t.Fatalf("send %d: %d %s", i, a.Status, a.Body)
		}
	}
	if refused == nil {
		t.Fatal("12 sends at once and no 429")
	}
	if got := refused.Header.Get("X-RateLimit-Remaining"); got != "0" {
		t.Errorf("remaining %q with a 429, want 0", got)
	}
	take[proto.Message](t)(w.owner.Say(ctx, w.general, "another user"))
	side := take[proto.Channel](t)(w.owner.Channel(ctx, w.guild.ID, "side"))
	take[proto.Message](t)(r.Say(ctx, side.ID, "another channel"))

	var body struct {
		RetryAfter float64 `json:"retry_after"`
	}
	must(t, jsonInto(refused.Body, &body))
	select {
	case <-time.After(time.Duration(body.RetryAfter*float64(time.Second)) + 50*time.Millisecond):
	case <-ctx.Done():
		t.Fatalf("retry_after %v", body.RetryAfter)
	}
	take[proto.Message](t)(r.Say(ctx, w.general, "after the wait"))
}

// Ctrl-C: op 7 for who is connected, exit code 0; the next start on the same data knows everything.
func TestDrainAndRestart(t *testing.T) {
	m := own(t, mesh.Options{})
	w := newTown(t, m)
	bot, r := w.bot("dora", true)
	s := w.open(1, bot.Token, client.Options{}, nil)
	ctx := within(t, 3*patience)
	sent := take[proto.Message](t)(r.Say(ctx, w.general, "before"))
	drained := make(chan error, 1)
	go func() { drained <- m.Drain(ctx) }()
	w.await(s.Gateway, 0, "op 7", op(proto.OpReconnect))
	must(t, s.Close(4000))
	must(t, <-drained)

	must(t, m.Start(within(t, 60*time.Second)))
	again := w.open(1, bot.Token, client.Options{}, nil)
	if _, ok := again.guilds[w.guild.ID]; !ok {
		t.Error("the guild is gone")
	}
	got := take[proto.Message](t)(r.Message(ctx, w.general, sent.ID))
	if got.Content != "before" {
		t.Errorf("got %q, want before", got.Content)
	}
	next := take[proto.Message](t)(r.Say(ctx, w.general, "after"))
	w.await(again.Gateway, 0, "message", says(next))
	if next.ID <= sent.ID {
		t.Errorf("ids fall: %s after %s", next.ID, sent.ID)
	}
	must(t, w.owner.As("Bearer "+w.person.Token).Call(ctx, "GET", "/users/@me", nil, nil)) // the signing key is kept
}
