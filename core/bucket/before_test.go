package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A tracker has a guild as the bodies of its events tell it, and checks what each of them says was before.
type tracker struct {
	t        *testing.T
	guild    proto.ID
	meta     proto.Guild
	roles    map[proto.ID]proto.Role
	channels map[proto.ID]proto.Channel
	members  map[proto.ID]proto.Member
	seen     map[string]int
}

func newTracker(t *testing.T, guild proto.ID) *tracker {
	return &tracker{t: t, guild: guild, roles: map[proto.ID]proto.Role{}, channels: map[proto.ID]proto.Channel{}, members: map[proto.ID]proto.Member{},
		seen: map[string]int{}}
}

// follow goes through the log of the guild's bucket.
func (k *tracker) follow(log *relay.Log) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := log.Since(ctx, k.guild.Bucket(), time.Now().Add(-time.Hour), func(seq uint64, e *pb.Entry) error {
		for _, ev := range e.Events {
			if proto.ID(ev.Guild) == k.guild && !strings.HasPrefix(ev.Type, "_GUILD_JOINED") && !strings.HasPrefix(ev.Type, "_GUILD_LEFT") {
				k.seen[ev.Type]++
				k.event(ev)
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

// same compares as JSON, ends of channels aside: bodies do not tell every last message.
func (k *tracker) same(ev *pb.Event, got, want any) {
	k.t.Helper()
	if g, w := encode(got), encode(want); !bytes.Equal(g, w) {
		k.t.Errorf("before %s of %d:\n got %s\nwant %s", ev.Type, ev.Id, g, w)
	}
}

func decodeTo[T any](k *tracker, raw []byte) (v T) {
	k.t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		k.t.Fatalf("%s: %v", raw, err)
	}
	return v
}

func bareChannel(c proto.Channel) proto.Channel {
	c.LastMessageID, c.LastPinTimestamp = nil, nil
	return c
}

// bareMember lacks the profile: the directory may have a newer one than the guild's log.
func bareMember(m proto.Member) proto.Member {
	m.User = &proto.User{ID: m.User.ID}
	return m
}

func (k *tracker) event(ev *pb.Event) {
	k.t.Helper()
	if got, want := len(ev.Before) > 0, core.CarriesBefore(ev.Type); got != want {
		k.t.Errorf("%s of %d tells what was before: %v, want %v", ev.Type, ev.Id, got, want)
		return
	}
	id := proto.ID(ev.Id)
	switch ev.Type {
	case proto.EventInternalGuildBorn:
		k.meta = decodeTo[proto.Guild](k, ev.Body)
		for _, r := range k.meta.Roles {
			k.roles[r.ID] = r
		}
		for _, c := range k.meta.Channels {
			k.channels[c.ID] = c
		}
		for _, m := range k.meta.Members {
			k.members[m.User.ID] = m
		}
		k.meta.Roles, k.meta.Channels, k.meta.Members, k.meta.MemberCount = nil, nil, nil, 0
	case proto.EventGuildUpdate:
		k.same(ev, decodeTo[proto.GuildBefore](k, ev.Before), proto.GuildBefore{Guild: k.meta})
		k.meta = decodeTo[proto.Guild](k, ev.Body)
		k.meta.Roles = nil
	case proto.EventGuildRoleCreate:
		k.roles[id] = decodeTo[proto.GuildRole](k, ev.Body).Role
	case proto.EventGuildRoleUpdate:
		k.same(ev, decodeTo[proto.Role](k, ev.Before), k.roles[id])
		k.roles[id] = decodeTo[proto.GuildRole](k, ev.Body).Role
	case proto.EventGuildRoleDelete:
		k.roleDelete(ev)
	case proto.EventChannelCreate:
		k.channels[id] = decodeTo[proto.Channel](k, ev.Body)
	case proto.EventChannelUpdate:
		k.same(ev, bareChannel(decodeTo[proto.Channel](k, ev.Before)), bareChannel(k.channels[id]))
		k.channels[id] = decodeTo[proto.Channel](k, ev.Body)
	case proto.EventChannelDelete:
		k.same(ev, bareChannel(decodeTo[proto.Channel](k, ev.Before)), bareChannel(k.channels[id]))
		delete(k.channels, id)
	case proto.EventGuildMemberAdd:
		k.members[id] = decodeTo[proto.GuildMember](k, ev.Body).Member
	case proto.EventGuildMemberUpdate:
		k.same(ev, bareMember(decodeTo[proto.Member](k, ev.Before)), bareMember(k.members[id]))
		k.members[id] = decodeTo[proto.GuildMember](k, ev.Body).Member
	case proto.EventGuildMemberRemove:
		k.same(ev, bareMember(decodeTo[proto.Member](k, ev.Before)), bareMember(k.members[id]))
		delete(k.members, id)
	case proto.EventGuildDelete:
		k.guildDelete(ev)
	}
}

func (k *tracker) roleDelete(ev *pb.Event) {
	id := proto.ID(ev.Id)
	want := proto.RoleBefore{Role: k.roles[id]}
	for user, m := range k.members {
		if slices.Contains(m.Roles, id) {
			want.Holders = append(want.Holders, user)
			m.Roles = without(m.Roles, id)
			k.members[user] = m
		}
	}
	slices.Sort(want.Holders)
	for _, ch := range k.sorted() {
		for _, o := range ch.Overwrites {
			if o.ID == id {
				want.Overwrites = append(want.Overwrites, proto.RoleOverwrite{ChannelID: ch.ID, Overwrite: o})
			}
		}
		ch.Overwrites = slices.DeleteFunc(slices.Clone(ch.Overwrites), func(o proto.Overwrite) bool { return o.ID == id })
		k.channels[ch.ID] = ch
	}
	k.same(ev, decodeTo[proto.RoleBefore](k, ev.Before), want)
	delete(k.roles, id)
}

func (k *tracker) guildDelete(ev *pb.Event) {
	got := decodeTo[proto.GuildBefore](k, ev.Before)
	if got.Many || got.Bare {
		k.t.Errorf("a small guild has no room: %s", ev.Before)
	}
	for i, c := range got.Channels {
		got.Channels[i] = bareChannel(c)
	}
	want := proto.GuildBefore{Guild: k.meta}
	want.MemberCount = len(k.members)
	for _, r := range got.Roles { // in the order of got
		want.Roles = append(want.Roles, k.roles[r.ID])
	}
	for _, c := range got.Channels {
		want.Channels = append(want.Channels, bareChannel(k.channels[c.ID]))
	}
	k.same(ev, got, want)
	if len(got.Roles) != len(k.roles) || len(got.Channels) != len(k.channels) {
		k.t.Errorf("got %d roles and %d channels, want %d and %d", len(got.Roles), len(got.Channels), len(k.roles), len(k.channels))
	}
}

func (k *tracker) sorted() []proto.Channel {
	var all []proto.Channel
	for _, c := range k.channels {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b proto.Channel) int { return int(int64(a.ID) - int64(b.ID)) })
	return all
}

// Whatever happens to a guild, each event tells what it changed, as it was: also behind commands of the same group, and after an owner that
// has nothing in memory took over.
func TestEventsTellWhatWasBefore(t *testing.T) {
	w := newWorld(t)
	w.ahead = -72 * time.Hour // who joins now can be pruned later
	o := w.own("core")
	olga, bob, cathy, dave, eve := w.person("olga"), w.person("bob"), w.person("cathy"), w.person("dave"), w.person("eve")
	h := w.home(olga)
	h.changeAll(t, bob, cathy, dave, eve)

	o.stop()
	w.ahead = 0
	o = w.own("core")
	role := h.role(0, proto.PermViewChannel)
	var wg sync.WaitGroup // what is in one group with the deletion counts as well
	for _, user := range []proto.ID{bob, cathy} {
		wg.Go(func() { w.ask(h.cmd(core.KindMemberRoleAdd, olga, user), core.RoleRef{Role: role}) })
	}
	wg.Go(func() { w.ask(h.cmd(core.KindRoleDelete, olga, role), nil) })
	wg.Wait()
	o.stop()
	o = w.own("core")
	var pruned core.Pruned
	if w.do(200, h.cmd(core.KindMembersPrune, olga, 0), core.MembersPrune{Days: 1}, &pruned); *pruned.Pruned == 0 {
		t.Error("nobody was pruned")
	}
	w.do(204, h.cmd(core.KindMemberRemove, olga, bob), nil, nil)
	w.do(204, h.cmd(core.KindGuildDelete, olga, 0), nil, nil)

	k := newTracker(t, h.guild)
	k.follow(o.log)
	for _, kind := range []string{proto.EventGuildUpdate, proto.EventGuildDelete, proto.EventGuildRoleUpdate, proto.EventGuildRoleDelete,
		proto.EventChannelUpdate, proto.EventChannelDelete, proto.EventGuildMemberUpdate, proto.EventGuildMemberRemove, proto.EventMessageCreate} {
		if k.seen[kind] == 0 {
			t.Errorf("no %s happened", kind)
		}
	}
}

// changeAll runs every kind of command that changes a guild's tables, but for its deletion and a prune.
func (h *home) changeAll(t *testing.T, bob, cathy, dave, eve proto.ID) {
	w, olga := h.w, h.owner
	for _, user := range []proto.ID{bob, cathy, dave, eve} {
		h.join(user)
	}
	w.do(201, h.cmd(core.KindMemberAdd, olga, w.bot(olga, "crow")), nil, nil)
	name := "renamed"
	w.do(200, h.cmd(core.KindGuildEdit, olga, 0), core.GuildEdit{Name: &name, Icon: core.Optional[string]{Set: true, Value: &name}}, nil)

	mods, low := h.role(bob, proto.PermManageRoles), h.role(cathy, proto.PermViewChannel)
	w.do(204, h.cmd(core.KindMemberRoleAdd, olga, dave), core.RoleRef{Role: mods}, nil)
	w.do(204, h.cmd(core.KindMemberRoleAdd, olga, bob), core.RoleRef{Role: low}, nil)
	w.do(204, h.cmd(core.KindMemberRoleDrop, olga, dave), core.RoleRef{Role: mods}, nil)
	w.do(200, h.cmd(core.KindMemberEdit, olga, dave), core.MemberEdit{Nick: core.Optional[string]{Set: true, Value: &name}, Roles: &[]proto.ID{low, mods}}, nil)
	w.do(200, h.cmd(core.KindRoleEdit, olga, low), core.RoleEdit{Name: &name}, nil)
	w.do(204, h.cmd(core.KindRolesMove, olga, 0), core.RolesMove{Places: []core.RolePlace{{ID: low, Position: new(2)}}}, nil)

	var category, child proto.Channel
	deny := []proto.Overwrite{{ID: low, Type: proto.OverwriteRole, Deny: proto.PermViewChannel},
		{ID: bob, Type: proto.OverwriteMember, Allow: proto.PermViewChannel}}
	w.do(201, h.cmd(core.KindChannelCreate, olga, 0), core.ChannelCreate{Name: "rooms", Type: proto.ChannelCategory, Overwrites: deny}, &category)
	w.do(201, h.cmd(core.KindChannelCreate, olga, 0), core.ChannelCreate{Name: "room", ParentID: &category.ID}, &child)
	w.do(200, h.in(child.ID, core.KindMessageCreate, olga, 0), core.MessageCreate{Content: "x"}, nil)
	w.do(200, h.in(child.ID, core.KindChannelEdit, olga, 0), core.ChannelEdit{Name: &name}, nil)
	w.do(204, h.in(child.ID, core.KindOverwritePut, olga, mods), core.OverwritePut{Type: proto.OverwriteRole, Allow: proto.PermViewChannel}, nil)
	w.do(204, h.in(child.ID, core.KindOverwriteDelete, olga, bob), nil, nil)
	w.do(204, h.cmd(core.KindChannelsMove, olga, 0), core.ChannelsMove{Places: []core.ChannelPlace{{ID: child.ID, Position: new(7), LockPermissions: true},
		{ID: h.general, Position: new(9)}}}, nil)
	system := core.GuildEdit{SystemChannelID: core.Optional[proto.ID]{Set: true, Value: &child.ID}}
	w.do(200, h.cmd(core.KindGuildEdit, olga, 0), system, nil)
	w.do(204, h.cmd(core.KindRoleDelete, olga, low), nil, nil)
	w.do(200, h.in(category.ID, core.KindChannelDelete, olga, 0), nil, nil)
	w.do(200, h.in(child.ID, core.KindChannelDelete, olga, 0), nil, nil)

	w.do(204, h.cmd(core.KindBanPut, olga, eve), nil, nil)
	w.do(200, h.cmd(core.KindBanBulk, olga, 0), core.BanBulk{Users: []proto.ID{dave, eve}}, nil)
	w.do(204, h.cmd(core.KindMemberRemove, cathy, cathy), nil, nil)
	h.join(cathy)
	w.do(200, &pb.Command{Kind: core.KindUserEdit, Actor: uint64(cathy), Bucket: uint32(cathy.Bucket())},
		core.UserEdit{GlobalName: core.Optional[string]{Set: true, Value: &name}}, nil)
	relaytest.Until(t, "the guild hears of Cathy's name", func() bool {
		m, err := w.dir.Member(context.Background(), h.guild, cathy)
		return err == nil && m.User.GlobalName != nil
	})
}

// What a guild was before may be more than an entry holds: looks go first, then all but the guild itself.
func TestBeforeHasRoom(t *testing.T) {
	for _, c := range []struct {
		name       string
		channels   int
		topic      string
		overwrites int
		bare, many bool
	}{
		{"a small guild", 20, "", 5, false, false},
		{"long topics", 100, strings.Repeat("<", maxTopic), 1, true, false},
		{"more than any room", 150, "", maxOverwrites, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := proto.NewGuild(1, "g", 2)
			for i := range maxRoles {
				info.Roles = append(info.Roles, proto.Role{ID: proto.ID(1 + i), Name: fmt.Sprint("role-", i)})
			}
			for i := range c.channels {
				ch := proto.Channel{ID: proto.ID(1000 + i), GuildID: 1, Name: "c", Topic: &c.topic}
				for o := range c.overwrites {
					ch.Overwrites = append(ch.Overwrites, proto.Overwrite{ID: proto.ID(1<<60 + o), Allow: proto.PermAll})
				}
				info.Channels = append(info.Channels, ch)
			}
			ev := &pb.Event{Type: proto.EventGuildDelete, Guild: 1, Id: 1, Command: newCommandID(), Body: encode(proto.GuildStub{ID: 1})}
			ev.Before = newGuild(info).before(ev)
			if w := relay.Weight(ev); w > relay.EventRoom {
				t.Errorf("the event weighs %d, more than %d", w, relay.EventRoom)
			}
			var got proto.GuildBefore
			if err := json.Unmarshal(ev.Before, &got); err != nil {
				t.Fatal(err)
			}
			if got.Bare != c.bare || got.Many != c.many || !c.many && (len(got.Channels) != c.channels || len(got.Roles) != maxRoles) {
				t.Errorf("bare %v, many %v, %d channels, %d roles", got.Bare, got.Many, len(got.Channels), len(got.Roles))
			}
		})
	}
}

// heldRole is a directory that knows who holds a role, or does not answer.
type heldRole struct {
	core.Directory
	users []proto.ID
	err   error
}

func (d *heldRole) MembersByRole(_ context.Context, _, _, _ proto.ID, limit int) ([]proto.Member, error) {
	var all []proto.Member
	for _, id := range d.users[:min(len(d.users), limit)] {
		all = append(all, proto.Member{User: &proto.User{ID: id}, Roles: []proto.ID{77}})
	}
	return all, d.err
}

// Who holds a role is what the directory says and what it does not hold yet, as far as there is room.
func TestHoldersOfADeletedRole(t *testing.T) {
	var even []proto.ID
	for id := proto.ID(2); len(even) < core.MaxHolders+5; id += 2 {
		even = append(even, id)
	}
	last := even[core.MaxHolders-1]
	for _, c := range []struct {
		name  string
		of    heldRole
		gains []proto.ID
		loses proto.ID
		gone  proto.ID
		want  []proto.ID
		many  bool
	}{
		{name: "few", of: heldRole{users: even[:4]}, gains: []proto.ID{3, 99}, loses: 4, gone: 6, want: []proto.ID{2, 3, 8, 99}},
		{name: "at the limit", of: heldRole{users: even[:core.MaxHolders]}, want: even[:core.MaxHolders]},
		{name: "one more by what is pending", of: heldRole{users: even[:core.MaxHolders]}, gains: []proto.ID{last + 1}, want: even[:core.MaxHolders], many: true},
		{name: "many", of: heldRole{users: even}, gains: []proto.ID{last + 1}, loses: 2, want: even[1:core.MaxHolders], many: true},
		{name: "nobody says", of: heldRole{err: context.DeadlineExceeded}, gains: []proto.ID{3}, many: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			turn := &turn{b: &bucket{state: newState(&c.of, nil)}, ctx: context.Background()}
			g := newGuild(proto.NewGuild(1, "g", 2))
			for _, id := range c.gains {
				g.members.put(id, &proto.Member{User: &proto.User{ID: id}, Roles: []proto.ID{77}})
			}
			if c.loses != 0 {
				g.members.put(c.loses, &proto.Member{User: &proto.User{ID: c.loses}})
			}
			if c.gone != 0 {
				g.members.put(c.gone, nil)
			}
			ids, many := turn.holders(g, 77)
			if !slices.Equal(ids, c.want) || many != c.many {
				t.Errorf("got %d %v, many %v; want %d %v, %v", len(ids), ids, many, len(c.want), c.want, c.many)
			}
		})
	}
}
