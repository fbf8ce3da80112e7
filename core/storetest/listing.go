package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func testListing(t *testing.T, w *town) {
	bot := proto.NewUser(w.homes.id(), `50%_"!Bot`, true)
	tricky := proto.NewUser(w.homes.id(), `x","username":"alice`, true)
	w.apply(t, w.homes, to(bot.ID, event(proto.EventInternalUserBorn, core.Account{User: bot, TokenHash: []byte("secret"), OwnerID: w.alice.ID})),
		to(tricky.ID, event(proto.EventInternalUserBorn, core.Account{User: tricky, TokenHash: []byte("secret"), OwnerID: w.bob.ID})))
	var guilds []proto.Guild
	for _, name := range []string{"Tea_0", "Tea_1", "\u00c9lan"} {
		g := newGuild(w.guilds, name, w.bob)
		w.apply(t, w.guilds, of(g.ID, event(proto.EventInternalGuildBorn, g)))
		guilds = append(guilds, g)
	}

	accounts := func(q core.AccountQuery, want ...core.Account) {
		t.Helper()
		if q.Limit == 0 {
			q.Limit = 10
		}
		got := must[[]core.Account](t)(w.d.Accounts(w.ctx, q))
		if want == nil {
			want = []core.Account{}
		}
		same(t, fmt.Sprintf("%+v", q), got, want)
		for _, a := range got {
			if a.PasswordHash != "" || a.TokenHash != nil {
				t.Errorf("%s: hashes are listed", a.User.Username)
			}
		}
	}
	alice, bob := core.Account{User: w.alice}, core.Account{User: w.bob}
	theBot, theTricky := core.Account{User: bot, OwnerID: w.alice.ID}, core.Account{User: tricky, OwnerID: w.bob.ID}
	accounts(core.AccountQuery{}, alice, bob)
	accounts(core.AccountQuery{Limit: 1}, alice)
	accounts(core.AccountQuery{After: w.alice.ID}, bob)
	accounts(core.AccountQuery{After: w.bob.ID})
	accounts(core.AccountQuery{Name: "aL"}, alice)
	accounts(core.AccountQuery{Name: "lice"})
	accounts(core.AccountQuery{Bots: true}, theBot, theTricky)
	accounts(core.AccountQuery{Bots: true, Name: `50%_"!bOT`}, theBot)
	accounts(core.AccountQuery{Bots: true, Name: "5_%"})
	accounts(core.AccountQuery{Bots: true, Name: "alice"})

	list := func(q core.GuildQuery, want ...proto.ID) {
		t.Helper()
		ids := []proto.ID{}
		for _, g := range must[[]proto.Guild](t)(w.d.Guilds(w.ctx, q)) {
			ids = append(ids, g.ID)
			if g.MemberCount != 1 || len(g.Roles)+len(g.Channels)+len(g.Members) > 0 || g.OwnerID == 0 || g.Name == "" {
				t.Errorf("listed as %+v", g)
			}
		}
		same(t, fmt.Sprintf("%+v", q), ids, append([]proto.ID{}, want...))
	}
	list(core.GuildQuery{Limit: 10}, w.guild.ID, guilds[0].ID, guilds[1].ID, guilds[2].ID)
	list(core.GuildQuery{Limit: 2, After: w.guild.ID}, guilds[0].ID, guilds[1].ID)
	list(core.GuildQuery{Limit: 10, Name: "tea_1"}, guilds[1].ID)
	list(core.GuildQuery{Limit: 10, Name: "\u00c9LA"}, guilds[2].ID)
	list(core.GuildQuery{Limit: 10, Name: "%"})

	one := core.Login{ID: 5, User: w.alice.ID, RefreshHash: []byte("r1"), Expires: born.Add(time.Hour)}
	two := core.Login{ID: 6, User: w.alice.ID, RefreshHash: []byte("r2"), Expires: born.Add(time.Hour)}
	ok(t, w.d.AddLogin(w.ctx, two))
	ok(t, w.d.AddLogin(w.ctx, one))
	logins := func(want ...proto.ID) {
		t.Helper()
		ids := []proto.ID{}
		for _, l := range must[[]core.Login](t)(w.d.LoginsOf(w.ctx, w.alice.ID)) {
			if ids = append(ids, l.ID); l.RefreshHash != nil || l.User != w.alice.ID || !l.Expires.Equal(one.Expires) {
				t.Errorf("listed as %+v", l)
			}
		}
		same(t, "logins", ids, append([]proto.ID{}, want...))
	}
	logins(5, 6)
	_ = must[core.Login](t)(w.d.RevokeLogin(w.ctx, []byte("r1")))
	logins(6)
}
