package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// Redis is killed under a mesh with limits: whoever writes too fast is told so all the same, now by each core for itself, and nobody else.
func TestLimitsWithoutRedis(t *testing.T) {
	l := shared(t)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	m, err := mesh.New(mesh.Options{Bin: l.bin, RateLimits: true, Args: []string{"--redis", l.Redis.Address}})
	must(t, err)
	defer m.Close()
	must(t, m.Start(ctx))
	rest := client.NewREST(m.HTTP(0), nil)
	defer rest.HTTP.CloseIdleConnections()
	stamp := time.Now().UnixNano() & 0xffffffffff
	person, err := rest.Register(ctx, fmt.Sprintf("olga_%x", stamp), "correct horse battery")
	must(t, err)
	owner := rest.As("Bearer " + person.Token)
	guild, err := owner.Guild(ctx, "Limits")
	must(t, err)
	square, err := owner.Channel(ctx, guild.ID, "square")
	must(t, err)
	flood := func(when string) {
		t.Helper()
		bot, err := owner.Application(ctx, fmt.Sprintf("flood_%s_%x", when, stamp))
		must(t, err)
		must(t, owner.AddBot(ctx, guild.ID, bot.ID))
		sent, limited := count(ctx, owner.As(bot.Auth()), square.ID)
		t.Logf("%s: %d sent, limited %v", when, sent, limited)
		if sent < 5 || !limited {
			t.Errorf("%s: %d messages were taken, limited: %v; want five at once and then the limit", when, sent, limited)
		}
	}
	flood("before")
	must(t, kill(l.Redis))
	flood("without")
	must(t, l.Redis.Again())
	flood("after")
}

// count writes as fast as answers come, until the limit is met.
func count(ctx context.Context, r *client.REST, channel proto.ID) (sent int, limited bool) {
	for sent < 100 && ctx.Err() == nil {
		a, err := r.Raw(ctx, "POST", "/channels/"+channel.String()+"/messages", map[string]any{"content": "again"})
		switch {
		case err != nil || a.Status >= 500:
			return sent, false
		case a.Status == 429:
			return sent, true
		}
		sent++
	}
	return sent, false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
