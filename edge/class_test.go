package edge

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/starling-chat/starling/proto"
)

// Whatever happens to roles, overwrites, owner and members, every place is in a class that may exactly what proto's rule says of its member.
func TestClassesFollowTheRule(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 30 {
		w := newRandomGuild(r)
		for range 40 {
			w.mutate()
			w.check(t)
		}
	}
}

const guildID proto.ID = 1000

type randomGuild struct {
	r      *rand.Rand
	l      *loop
	g      *guild
	places []*membership
}

func newRandomGuild(r *rand.Rand) *randomGuild {
	l := &loop{encoder: &encoder{}, guilds: map[proto.ID]*guild{}, users: map[proto.ID]*user{}, gen: &generation{}}
	g := &guild{id: guildID, loaded: true, roles: map[proto.ID]proto.Role{}, channels: map[proto.ID]*proto.Channel{}, own: map[proto.ID]int{},
		members: map[proto.ID]*member{}, full: true, classes: map[string]*class{}, meta: proto.NewGuild(guildID, "g", 1)}
	w := &randomGuild{r: r, l: l, g: g}
	g.roles[guildID] = proto.Role{ID: guildID, Permissions: proto.PermDefault}
	for u := proto.ID(1); u <= 12; u++ {
		row := proto.Member{User: &proto.User{ID: u}}
		g.members[u] = &member{row: &row}
		s := &session{user: u, gen: l.gen, guilds: map[proto.ID]*membership{}, intents: proto.IntentsAll, ring: ring{maxEvents: 1 << 16, maxBytes: 1 << 24}}
		m := &membership{session: s, guild: g}
		s.guilds[guildID] = m
		g.place(m)
		w.places = append(w.places, m)
	}
	return w
}

func (w *randomGuild) permissions() proto.Permissions {
	p := proto.Permissions(0)
	for _, bit := range []proto.Permissions{proto.PermViewChannel, proto.PermSendMessages, proto.PermManageGuild, proto.PermMentionEveryone} {
		if w.r.IntN(2) == 0 {
			p |= bit
		}
	}
	if w.r.IntN(20) == 0 {
		p |= proto.PermAdministrator
	}
	return p
}

func (w *randomGuild) mutate() {
	g, l := w.g, w.l
	switch w.r.IntN(6) {
	case 0: // a role
		id := guildID + proto.ID(w.r.IntN(5))
		l.change(g, g.memberships(), nil, func() {
			g.roles[id] = proto.Role{ID: id, Permissions: w.permissions()}
			for _, c := range g.classes {
				c.forgetAll()
			}
		})
	case 1, 2: // a channel
		ch := &proto.Channel{ID: 2000 + proto.ID(w.r.IntN(6)), Overwrites: []proto.Overwrite{}}
		if w.r.IntN(2) == 0 {
			parent := 2100 + proto.ID(w.r.IntN(2))
			ch.ParentID = &parent
		}
		if w.r.IntN(5) == 0 {
			ch = &proto.Channel{ID: 2100 + proto.ID(w.r.IntN(2)), Type: proto.ChannelCategory}
		}
		seen := map[proto.ID]bool{}
		for range w.r.IntN(5) {
			o := proto.Overwrite{ID: guildID + proto.ID(w.r.IntN(5)), Type: proto.OverwriteRole, Allow: w.permissions(), Deny: w.permissions()}
			if w.r.IntN(3) == 0 {
				o.Type, o.ID = proto.OverwriteMember, proto.ID(1+w.r.IntN(12))
			}
			if !seen[o.ID] {
				ch.Overwrites = append(ch.Overwrites, o)
			}
			seen[o.ID] = true
		}
		l.change(g, g.memberships(), ownEvent(proto.EventChannelUpdate, ch), func() {
			g.setChannel(ch)
			for _, c := range g.classes {
				c.forget(ch.ID)
			}
		})
	case 3: // a channel goes
		id := 2000 + proto.ID(w.r.IntN(6))
		l.change(g, g.memberships(), nil, func() {
			g.dropChannel(id)
			for _, c := range g.classes {
				c.forget(id)
			}
		})
	case 4: // a member's roles
		u := proto.ID(1 + w.r.IntN(12))
		row := proto.Member{User: &proto.User{ID: u}}
		for range w.r.IntN(4) {
			row.Roles = append(row.Roles, guildID+1+proto.ID(w.r.IntN(4)))
		}
		l.change(g, []*membership{w.places[u-1]}, nil, func() { g.members[u] = &member{row: &row} })
	case 5: // the owner
		l.change(g, g.memberships(), nil, func() { g.meta.OwnerID = proto.ID(1 + w.r.IntN(12)) })
	}
}

func (w *randomGuild) check(t *testing.T) {
	t.Helper()
	g := w.g
	for _, m := range w.places {
		u := m.session.user
		row := g.row(u)
		base := proto.GuildPermissions(guildID, g.meta.OwnerID == u, row.Roles, g.roles)
		if got := m.class.inGuild(g); got != base {
			t.Fatalf("user %d: got %d in the guild, want %d", u, got, base)
		}
		views := map[proto.ID]bool{}
		for id, ch := range g.channels {
			want := proto.ChannelPermissions(guildID, base, u, row.Roles, ch.Overwrites)
			if got := m.class.permissions(g, id); got != want {
				t.Fatalf("user %d, channel %d: got %d, want %d", u, id, got, want)
			}
			if want.Has(proto.PermViewChannel) {
				views[id] = true
				if ch.ParentID != nil && g.channels[*ch.ParentID] != nil {
					views[*ch.ParentID] = true
				}
			}
		}
		// What the session was told adds up to what it may see.
		told := map[proto.ID]bool{}
		last := int64(0)
		m.session.ring.after(0, func(e *event) {
			if e.index <= last {
				t.Fatalf("user %d: index %d after %d", u, e.index, last)
			}
			last = e.index
			id := idOf(t, e.body)
			switch e.kind {
			case proto.EventChannelCreate:
				if told[id] {
					t.Fatalf("user %d: channel %d created twice", u, id)
				}
				told[id] = true
			case proto.EventChannelDelete:
				if !told[id] {
					t.Fatalf("user %d: channel %d deleted, and was not seen", u, id)
				}
				delete(told, id)
			case proto.EventChannelUpdate:
				if !told[id] {
					t.Fatalf("user %d: update of channel %d, which it does not see", u, id)
				}
			}
		})
		if len(told) != len(views) {
			t.Fatalf("user %d: told of %v, sees %v", u, told, views)
		}
		for id := range views {
			if !told[id] {
				t.Fatalf("user %d: sees %d and was not told", u, id)
			}
		}
	}
}

func idOf(t *testing.T, body []byte) proto.ID {
	var d struct {
		ID proto.ID `json:"id"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	return d.ID
}
