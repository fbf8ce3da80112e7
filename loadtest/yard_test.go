package loadtest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A yard is two guilds side by side and all sorts of people around the first, for the sweep of TestIDOR.
type yard struct {
	home, other   *town
	near, far     *site
	callers       []*caller
	deputyRole    proto.ID
	lent          proto.Permissions // what the deputy's role holds
	dm, dmMessage string            // between the other guild's owner and its member
}

// A site is one guild's ids: one for each parameter that a path may have, and for what bodies name.
type site struct {
	home   *town  // nil for the second guild: nobody but its owner is at home there
	owner  string // the name of its owner among the callers
	path   map[string]string
	banned string
	bodies map[string]any // of operations whose body names ids
}

func newYard(t *testing.T) *yard {
	t.Helper()
	m := plain.get(t)
	y := &yard{home: newTown(t, m), other: newTown(t, m)}
	for _, w := range []*town{y.home, y.other} {
		w.tell = func(string) {} // the documents count here
		w.owner.Tell = w.tell
	}
	y.near, y.far = newSite(t, y.home, "owner"), newSite(t, y.other, "foreign owner")
	y.near.home = y.home
	y.settle(t)
	return y
}

func newSite(t *testing.T, w *town, owner string) *site {
	t.Helper()
	ctx := within(t, patience)
	victim, _ := w.bot("victim", true)
	out, _ := w.bot("out", true)
	app, _ := w.bot("app", false)
	role := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "reader", 0))
	must(t, w.owner.GiveRole(ctx, w.guild.ID, victim.ID, role.ID))
	must(t, w.owner.Overwrite(ctx, w.general, proto.Overwrite{ID: role.ID, Type: proto.OverwriteRole, Deny: proto.PermMentionEveryone}))
	must(t, w.owner.Call(ctx, "PUT", fmt.Sprintf("/guilds/%s/bans/%s", w.guild.ID, out.ID), map[string]any{}, nil))
	first := take[proto.Message](t)(w.owner.Say(ctx, w.general, "first"))
	second := take[proto.Message](t)(w.owner.Say(ctx, w.general, "second"))
	return &site{owner: owner, banned: out.ID.String(),
		path: map[string]string{"guild": w.guild.ID.String(), "channel": w.general.String(), "message": first.ID.String(),
			"role": role.ID.String(), "user": victim.ID.String(), "overwrite": role.ID.String(), "application": app.ID.String(),
			"code": take[string](t)(w.owner.Invite(ctx, w.general)), "emoji": url.PathEscape(thumb)},
		bodies: map[string]any{
			"moveChannels": []any{map[string]any{"id": w.general, "position": 5}},
			"moveRoles":    []any{map[string]any{"id": role.ID, "position": 1}},
			"bulkDelete":   map[string]any{"messages": []any{first.ID, second.ID}},
		}}
}

// settle brings in the callers, and takes every right but to see from everybody in the first guild.
func (y *yard) settle(t *testing.T) {
	t.Helper()
	w, ctx := y.home, within(t, 2*patience)
	see := proto.PermViewChannel
	person := func(base string) (client.Person, *client.REST) {
		p := take[client.Person](t)(w.owner.As("").Register(ctx, name(base), password))
		return p, w.owner.As("Bearer " + p.Token)
	}
	add := func(c *caller) { y.callers = append(y.callers, c) }

	add(&caller{name: "owner", rest: w.owner, seat: new(proto.PermAll)})
	add(&caller{name: "foreign owner", rest: y.other.owner})

	admin, adminREST := w.human("adam")
	role := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "admins", proto.PermAdministrator))
	must(t, w.owner.GiveRole(ctx, w.guild.ID, admin.User.ID, role.ID))
	add(&caller{name: "admin", rest: adminREST, seat: new(proto.PermAdministrator)})

	deputy, deputyREST := w.human("dora")
	role = take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "deputies", 0))
	must(t, w.owner.GiveRole(ctx, w.guild.ID, deputy.User.ID, role.ID))
	y.deputyRole = role.ID
	add(&caller{name: "deputy", rest: deputyREST, deputy: true, seat: new(proto.Permissions)})

	_, member := w.human("mia")
	add(&caller{name: "member", rest: member, seat: &see})

	blind, blindREST := w.human("bill")
	must(t, w.owner.Overwrite(ctx, w.general, proto.Overwrite{ID: blind.User.ID, Type: proto.OverwriteMember, Deny: proto.PermViewChannel}))
	add(&caller{name: "member without the channel", rest: blindREST, blind: true, seat: &see})

	_, bot := w.bot("rob", true)
	add(&caller{name: "bot", rest: bot, bot: true, seat: &see})

	_, stranger := person("stan")
	add(&caller{name: "stranger", rest: stranger})

	banned, bannedREST := w.human("bert")
	must(t, w.owner.Call(ctx, "PUT", fmt.Sprintf("/guilds/%s/bans/%s", w.guild.ID, banned.User.ID), map[string]any{}, nil))
	add(&caller{name: "banned", rest: bannedREST})

	add(&caller{name: "nobody", rest: w.owner.As(""), noToken: true})
	add(&caller{name: "garbage", rest: w.owner.As("Bot MTIz.abc.def"), noToken: true})

	must(t, w.owner.Call(ctx, "PATCH", fmt.Sprintf("/guilds/%s/roles/%s", w.guild.ID, w.guild.ID), map[string]any{"permissions": see}, nil))

	p, rest := person("petra")
	dm, err := y.other.owner.Raw(ctx, "POST", "/users/@me/channels", map[string]any{"recipient_id": p.User.ID})
	must(t, err)
	var ch struct{ ID proto.ID }
	must(t, jsonInto(dm.Body, &ch))
	y.dm = ch.ID.String()
	must(t, rest.Join(ctx, y.far.path["code"])) // they share a guild: she may write to her
	y.dmMessage = y.whisper(t, rest, ch.ID)
	for i, c := range y.callers { // she who is in the direct message may read it: the sweep asks all others
		if c.name == "foreign owner" {
			y.callers[i].inDM = true
		}
	}
}

// whisper sends a direct message. That both are in one guild is known a moment after the join has been answered.
func (y *yard) whisper(t *testing.T, by *client.REST, channel proto.ID) string {
	t.Helper()
	ctx := within(t, patience)
	for {
		m, err := by.Say(ctx, channel, "between us")
		if err == nil {
			return m.ID.String()
		}
		if e, ok := apiError(err); !ok || e.Code != 50007 {
			t.Fatal(err)
		}
		await(ctx, 50*time.Millisecond)
		must(t, ctx.Err())
	}
}

// state is all that the owners see of their guilds, as text.
func (y *yard) state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, s := range []struct {
		w *town
		p map[string]string
	}{{y.home, y.near.path}, {y.other, y.far.path}} {
		g, c := "/guilds/"+s.p["guild"], "/channels/"+s.p["channel"]
		for _, path := range []string{g, g + "/channels", g + "/roles", g + "/members?limit=100", g + "/bans", g + "/invites", c + "/messages",
			"/applications"} {
			a, err := s.w.owner.Raw(within(t, patience), "GET", path, nil)
			must(t, err)
			if a.Status != 200 {
				t.Fatalf("%s: %d %s", path, a.Status, a.Body)
			}
			all.Write(a.Body)
		}
	}
	return all.String()
}
