package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func (w *town) invite(code string) proto.InviteCreate {
	return proto.InviteCreate{Code: code, ChannelID: w.lobby.ID, GuildID: w.guild.ID, Inviter: w.alice, MaxUses: 2, MaxAge: 60, CreatedAt: proto.Time(born)}
}

func testInvite(t *testing.T, w *town) {
	expires := proto.Time(born.Add(time.Minute))
	want := proto.Invite{Code: "gull", Guild: proto.InviteGuild{ID: w.guild.ID, Name: w.guild.Name},
		Channel: proto.InviteChannel{ID: w.lobby.ID, Name: w.lobby.Name}, Inviter: w.alice, MaxUses: 2, MaxAge: 60,
		CreatedAt: proto.Time(born), ExpiresAt: &expires}
	forever := w.invite("tern")
	forever.MaxAge, forever.MaxUses = 0, 0
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventInviteCreate, w.invite("gull"))), of(w.guild.ID, event(proto.EventInviteCreate, forever)))
	same(t, "invite", must[proto.Invite](t)(w.d.Invite(w.ctx, "gull", born.Add(time.Minute-1))), want)
	_, err := w.d.Invite(w.ctx, "gull", born.Add(time.Minute))
	notFound(t, "invite that is too old", err)
	_, err = w.d.Invite(w.ctx, "GULL", born)
	notFound(t, "another code", err)

	used := of(w.guild.ID, event(proto.EventInternalInviteUsed, map[string]string{"code": "gull"}))
	a := w.apply(t, w.guilds, used)
	ok(t, w.d.Apply(w.ctx, []core.Applied{a})) // counts once
	want.Uses = 1
	same(t, "invite used once", must[proto.Invite](t)(w.d.Invite(w.ctx, "gull", born)), want)
	w.apply(t, w.guilds, used)
	_, err = w.d.Invite(w.ctx, "gull", born)
	notFound(t, "invite that is used up", err)
	for range 3 {
		w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventInternalInviteUsed, map[string]string{"code": "tern"})))
	}
	if i := must[proto.Invite](t)(w.d.Invite(w.ctx, "tern", born.AddDate(9, 0, 0))); i.Uses != 3 || i.ExpiresAt != nil {
		t.Errorf("invite for ever: %+v", i)
	}
	if all := must[[]proto.Invite](t)(w.d.Invites(w.ctx, w.guild.ID)); len(all) != 2 || all[0].Code != "gull" || all[1].Code != "tern" {
		t.Errorf("invites: %+v", all)
	}

	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventInviteDelete, map[string]string{"code": "tern"})))
	_, err = w.d.Invite(w.ctx, "tern", born)
	notFound(t, "deleted invite", err)
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventChannelDelete, w.lobby)))
	if all := must[[]proto.Invite](t)(w.d.Invites(w.ctx, w.guild.ID)); len(all) != 0 {
		t.Errorf("invites to a deleted channel: %+v", all)
	}
}

func testAccount(t *testing.T, w *town) {
	want := core.Account{User: w.alice, PasswordHash: "$argon2id$alice"}
	same(t, "by id", must[core.Account](t)(w.d.Account(w.ctx, w.alice.ID)), want)
	same(t, "password", must[core.Account](t)(w.d.Account(w.ctx, w.alice.ID)).PasswordHash, want.PasswordHash) // which JSON does not show
	same(t, "user", must[proto.User](t)(w.d.User(w.ctx, w.alice.ID)), w.alice)
	same(t, "by name", must[core.Account](t)(w.d.AccountByName(w.ctx, "aLiCe")), want)
	_, err := w.d.AccountByName(w.ctx, "carol")
	notFound(t, "nobody", err)
	_, err = w.d.Account(w.ctx, w.guild.ID)
	notFound(t, "no user", err)

	bot := proto.NewUser(w.homes.id(), "Carol", true) // bots take no name from anyone
	twin := proto.NewUser(w.homes.id(), "Carol", true)
	w.apply(t, w.homes, to(bot.ID, event(proto.EventInternalUserBorn, core.Account{User: bot, TokenHash: []byte{0, 1}, OwnerID: w.alice.ID})),
		to(twin.ID, event(proto.EventInternalUserBorn, core.Account{User: twin, TokenHash: []byte{2}, OwnerID: w.alice.ID})))
	same(t, "bots", must[[]proto.User](t)(w.d.BotsOf(w.ctx, w.alice.ID)), []proto.User{bot, twin})
	_, err = w.d.AccountByName(w.ctx, "carol")
	notFound(t, "bot by name", err)
	ok(t, w.d.Reserve(w.ctx, "carol", []byte("c"), "", born))
	w.apply(t, w.homes, to(bot.ID, event(proto.EventInternalTokenReset, core.TokenReset{TokenHash: []byte{9}})))
	same(t, "bot", must[core.Account](t)(w.d.Account(w.ctx, bot.ID)), core.Account{User: bot, TokenHash: []byte{9}, OwnerID: w.alice.ID})

	renamed := w.alice
	renamed.Username, renamed.Avatar = "Alicia", ptr("a1")
	w.apply(t, w.homes, to(w.alice.ID, event(proto.EventUserUpdate, renamed.Self())))
	want.User = renamed
	same(t, "by new name", must[core.Account](t)(w.d.AccountByName(w.ctx, "alicia")), want)
	_, err = w.d.AccountByName(w.ctx, "alice")
	notFound(t, "by old name", err)
	ok(t, w.d.Reserve(w.ctx, "alice", []byte("d"), "", born))
}

func testReserve(t *testing.T, w *town) {
	one, two := []byte("command 1"), []byte("command 2")
	taken := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, core.ErrTaken) {
			t.Fatalf("%s: err = %v, want ErrTaken", what, err)
		}
	}
	taken("Alice's name", w.d.Reserve(w.ctx, "ALICE", one, "", born))
	ok(t, w.d.Reserve(w.ctx, "Dora", one, "", born))
	ok(t, w.d.Reserve(w.ctx, "dora", one, "", born.Add(time.Second)))
	taken("a reserved name", w.d.Reserve(w.ctx, "DORA", two, "", born.Add(time.Minute)))
	ok(t, w.d.Reserve(w.ctx, "dora", two, "", born.Add(time.Second+time.Minute)))
	taken("a name that fell to another", w.d.Reserve(w.ctx, "dora", one, "", born.Add(time.Second+time.Minute)))

	hold := func(command []byte) bool { return must[bool](t)(w.d.Hold(w.ctx, "Dora", command, born.Add(time.Hour))) }
	_, err := w.d.Hold(w.ctx, "dora", one, born)
	taken("a hold of what fell to another", err)
	if hold(two) {
		t.Error("a password that nobody gave")
	}
	ok(t, w.d.Reserve(w.ctx, "dora", two, "$argon2id$dora", born.Add(time.Hour)))
	w.reopen()
	if !hold(two) {
		t.Error("the password is not with the reservation")
	}
	ok(t, w.d.Reserve(w.ctx, "dora", two, "", born.Add(time.Hour))) // neither shortens the hold nor drops the password
	taken("a held name", w.d.Reserve(w.ctx, "dora", one, "$argon2id$one", born.Add(25*time.Hour)))

	dora := proto.NewUser(w.homes.id(), "Dora", false)
	birth := to(dora.ID, event(proto.EventInternalUserBorn, core.Account{User: dora, PasswordHash: "$argon2id$no event has it"}))
	birth.Command = two
	for range 2 { // a birth may be applied again, from a log made anew for example
		w.apply(t, w.homes, birth)
		same(t, "Dora's password", must[core.Account](t)(w.d.Account(w.ctx, dora.ID)).PasswordHash, "$argon2id$dora")
	}
	_, err = w.d.Hold(w.ctx, "dora", two, born)
	taken("a hold of what is somebody's", err)
	taken("a name whose user is born", w.d.Reserve(w.ctx, "dora", one, "", born.Add(time.Hour)))
	ok(t, w.d.Reserve(w.ctx, "dora", two, "", born.Add(time.Hour))) // the retry of the birth itself
	same(t, "Dora", must[core.Account](t)(w.d.AccountByName(w.ctx, "dora")).User, dora)

	thief := proto.NewUser(w.homes.id(), "dora", false) // cannot happen, must not fail, takes nothing
	w.apply(t, w.homes, to(thief.ID, event(proto.EventInternalUserBorn, core.Account{User: thief})))
	same(t, "Dora still", must[core.Account](t)(w.d.AccountByName(w.ctx, "dora")).User, dora)
}

func testReserveRace(t *testing.T, w *town) {
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 16 {
		wg.Go(func() {
			switch err := w.d.Reserve(w.ctx, "Erin", fmt.Append(nil, i), "", born); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, core.ErrTaken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d commands got the name, want 1", won.Load())
	}
}

func testLogin(t *testing.T, w *town) {
	l := core.Login{ID: w.homes.id(), User: w.alice.ID, RefreshHash: []byte("r1"), Expires: born.Add(time.Hour)}
	old := core.Login{ID: w.homes.id(), User: w.alice.ID, RefreshHash: []byte("old"), Expires: born}
	ok(t, w.d.AddLogin(w.ctx, old))
	ok(t, w.d.AddLogin(w.ctx, l))
	alive := func(want bool) {
		t.Helper()
		if got := must[bool](t)(w.d.LoginAlive(w.ctx, l.ID)); got != want {
			t.Fatalf("alive: got %t, want %t", got, want)
		}
	}
	alive(true)
	if must[bool](t)(w.d.LoginAlive(w.ctx, w.bob.ID)) {
		t.Error("a login that never was is alive")
	}
	_, err := w.d.RotateLogin(w.ctx, []byte("old"), []byte("x"), born, born.Add(time.Hour))
	notFound(t, "expired", err)
	_, err = w.d.RotateLogin(w.ctx, []byte("unknown"), []byte("x"), born, born.Add(time.Hour))
	notFound(t, "unknown", err)

	got := must[core.Login](t)(w.d.RotateLogin(w.ctx, []byte("r1"), []byte("r2"), born, born.Add(2*time.Hour)))
	if got.ID != l.ID || got.User != w.alice.ID || string(got.RefreshHash) != "r2" || !got.Expires.Equal(born.Add(2*time.Hour)) {
		t.Fatalf("rotated: %+v", got)
	}
	_, err = w.d.RotateLogin(w.ctx, []byte("r1"), []byte("r3"), born, born.Add(time.Hour))
	notFound(t, "rotated before", err)
	w.reopen()
	alive(true)

	got = must[core.Login](t)(w.d.RevokeLogin(w.ctx, []byte("r2")))
	if got.ID != l.ID || got.User != w.alice.ID {
		t.Fatalf("revoked: %+v", got)
	}
	alive(false)
	_, err = w.d.RotateLogin(w.ctx, []byte("r2"), []byte("r4"), born, born.Add(time.Hour))
	notFound(t, "revoked before", err)
	_, err = w.d.RevokeLogin(w.ctx, []byte("r1"))
	notFound(t, "revoke by a hash that was rotated", err)

	l.ID, l.RefreshHash = w.homes.id(), []byte("r5")
	ok(t, w.d.AddLogin(w.ctx, l))
	revoke := to(w.alice.ID, event(proto.EventInternalSessionRevoke, nil))
	revoke.Id = uint64(l.ID)
	w.apply(t, w.homes, revoke)
	alive(false)
}

func testRotateRace(t *testing.T, w *town) {
	ok(t, w.d.AddLogin(w.ctx, core.Login{ID: w.homes.id(), User: w.alice.ID, RefreshHash: []byte("r"), Expires: born.Add(time.Hour)}))
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 16 {
		wg.Go(func() {
			switch _, err := w.d.RotateLogin(w.ctx, []byte("r"), fmt.Append(nil, i), born, born.Add(time.Hour)); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, core.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d rotations of one token, want 1", won.Load())
	}
}
