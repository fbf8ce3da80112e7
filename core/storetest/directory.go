package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Directory runs the suite of core.Directory. open opens the directory at a place, an empty folder at first: the same place again holds
// what was there. The suite closes what it opened.
func Directory(t *testing.T, open func(t *testing.T, place string) core.Directory) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *town)
	}{
		{"Guild", testGuild},
		{"Members", testMembers},
		{"CategoryDelete", testCategoryDelete},
		{"RoleDelete", testRoleDelete},
		{"GuildDelete", testGuildDelete},
		{"Sweep", testSweep},
		{"Outbox", testOutbox},
		{"Checkpoint", testCheckpoint},
		{"HistoryNotes", testHistoryNotes},
		{"LogMadeAnew", testLogMadeAnew},
		{"Undecodable", testUndecodable},
		{"Links", testLinks},
		{"Invite", testInvite},
		{"Bans", testBans},
		{"AuditLog", testAuditLog},
		{"FindMembers", testFindMembers},
		{"MembersByRole", testMembersByRole},
		{"RenameRace", testRenameRace},
		{"Prune", testPrune},
		{"Account", testAccount},
		{"Reserve", testReserve},
		{"ReserveRace", testReserveRace},
		{"Directs", testDirects},
		{"Relationships", testRelationships},
		{"Profile", testProfile},
		{"Login", testLogin},
		{"Listing", testListing},
		{"RotateRace", testRotateRace},
		{"Buckets", testBucketsAtOnce},
		{"Chaos", testDirectoryChaos},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newTown(t, open)) })
	}
}

// A town is a directory with Alice and Bob, who live in bucket 9, and a guild of Alice's in bucket 7.
type town struct {
	d      core.Directory
	open   func(t *testing.T, place string) core.Directory
	reopen func()
	ctx    context.Context

	homes, guilds *journal
	alice, bob    proto.User
	guild         proto.Guild // as it was born
	lobby         proto.Channel
}

// newTown builds the same town, ids and all, each time.
func newTown(t *testing.T, open func(t *testing.T, place string) core.Directory) *town {
	w := &town{open: open, ctx: bounded(t), homes: newJournal(9), guilds: newJournal(7)}
	place := t.TempDir()
	w.d = open(t, place)
	t.Cleanup(func() { ok(t, w.d.Close()) })
	w.reopen = func() {
		ok(t, w.d.Close())
		w.d = open(t, place)
	}
	w.alice, w.bob = proto.NewUser(w.homes.id(), "Alice", false), proto.NewUser(w.homes.id(), "Bob", false)
	birth := event(proto.EventInternalUserBorn, core.Account{User: w.alice})
	birth.Command = []byte("Alice's birth")
	ok(t, w.d.Reserve(w.ctx, "Alice", birth.Command, "$argon2id$alice", born))
	w.apply(t, w.homes, birth,
		event(proto.EventInternalUserBorn, core.Account{User: w.bob}))

	w.guild = newGuild(w.guilds, "Birds", w.alice)
	w.lobby = w.guild.Channels[0]
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventInternalGuildBorn, w.guild)))
	return w
}

func newGuild(j *journal, name string, owner proto.User) proto.Guild {
	g := proto.NewGuild(j.id(), name, owner.ID)
	g.Roles = []proto.Role{{ID: g.ID, Name: "@everyone", Permissions: proto.PermDefault}}
	g.Channels = []proto.Channel{{ID: j.id(), GuildID: g.ID, Name: "lobby", Overwrites: []proto.Overwrite{}}}
	g.Members = []proto.Member{newMember(owner)}
	g.MemberCount = 1
	return g
}

func newMember(u proto.User, roles ...proto.ID) proto.Member {
	return proto.Member{User: &u, Roles: append([]proto.ID{}, roles...), JoinedAt: proto.Time(born)}
}

// apply applies one entry of the events.
func (w *town) apply(t *testing.T, j *journal, events ...*pb.Event) core.Applied {
	t.Helper()
	a := j.entry(events...)
	ok(t, w.d.Apply(w.ctx, []core.Applied{a}))
	return a
}

func (w *town) join(u proto.User, roles ...proto.ID) *pb.Event {
	return of(w.guild.ID, event(proto.EventGuildMemberAdd, proto.GuildMember{GuildID: w.guild.ID, Member: newMember(u, roles...)}))
}

func (w *town) leave(u proto.User) *pb.Event {
	return of(w.guild.ID, event(proto.EventGuildMemberRemove, proto.GuildMemberRemove{GuildID: w.guild.ID, User: u}))
}

func (w *town) putRole(t *testing.T, name string, position int) proto.Role {
	t.Helper()
	r := proto.Role{ID: w.guilds.id(), Name: name, Position: position, Permissions: proto.PermManageGuild}
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildRoleCreate, proto.GuildRole{GuildID: w.guild.ID, Role: r})))
	return r
}

func testGuild(t *testing.T, w *town) {
	want := w.guild
	want.Members = nil
	same(t, "guild as born", must[proto.Guild](t)(w.d.Guild(w.ctx, w.guild.ID)), want)

	last := w.guilds.id()
	changed := w.guild
	changed.Name, changed.Roles, changed.Members, changed.Channels = "Seabirds", nil, nil, nil
	lobby := w.lobby
	lobby.Topic, lobby.Position, lobby.LastMessageID = ptr("gulls"), 1, &last
	first := proto.Channel{ID: w.guilds.id(), GuildID: w.guild.ID, Name: "rules", Overwrites: []proto.Overwrite{
		{ID: w.guild.ID, Type: proto.OverwriteRole, Deny: proto.PermSendMessages}}}
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildUpdate, changed)), of(w.guild.ID, event(proto.EventChannelUpdate, lobby)),
		of(w.guild.ID, event(proto.EventChannelCreate, first)))
	mods := w.putRole(t, "mods", 1)
	w.reopen()

	lobby.LastMessageID = nil
	want.Name, want.Channels, want.Roles = "Seabirds", []proto.Channel{first, lobby}, append(want.Roles, mods)
	same(t, "guild as changed", must[proto.Guild](t)(w.d.Guild(w.ctx, w.guild.ID)), want)
	if g := must[proto.ID](t)(w.d.ChannelGuild(w.ctx, first.ID)); g != w.guild.ID {
		t.Errorf("guild of a channel: got %d, want %d", g, w.guild.ID)
	}

	_, err := w.d.Guild(w.ctx, w.alice.ID)
	notFound(t, "guild that never was", err)
	_, err = w.d.ChannelGuild(w.ctx, w.alice.ID)
	notFound(t, "channel that never was", err)
	_, err = w.d.Member(w.ctx, w.guild.ID, w.bob.ID)
	notFound(t, "member that never was", err)
}

func testMembers(t *testing.T, w *town) {
	mods := w.putRole(t, "mods", 1)
	w.apply(t, w.guilds, w.join(w.bob, mods.ID))
	want := []proto.Member{newMember(w.alice), newMember(w.bob, mods.ID)}
	same(t, "members", must[[]proto.Member](t)(w.d.Members(w.ctx, w.guild.ID, 0, 10)), want)
	same(t, "first page", must[[]proto.Member](t)(w.d.Members(w.ctx, w.guild.ID, 0, 1)), want[:1])
	same(t, "second page", must[[]proto.Member](t)(w.d.Members(w.ctx, w.guild.ID, w.alice.ID, 1)), want[1:])
	same(t, "Bob", must[proto.Member](t)(w.d.Member(w.ctx, w.guild.ID, w.bob.ID)), want[1])

	want[1].Nick, want[1].Roles = ptr("bobby"), []proto.ID{}
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildMemberUpdate, proto.GuildMember{GuildID: w.guild.ID, Member: want[1]})))
	renamed := w.bob
	renamed.GlobalName = ptr("Robert")
	w.apply(t, w.homes, to(w.bob.ID, event(proto.EventUserUpdate, renamed)))
	want[1].User = &renamed
	same(t, "Bob after changes", must[proto.Member](t)(w.d.Member(w.ctx, w.guild.ID, w.bob.ID)), want[1])
	w.count(t, 2)

	w.apply(t, w.guilds, w.leave(w.bob))
	w.apply(t, w.guilds, w.leave(w.bob)) // who is not there cannot leave twice
	_, err := w.d.Member(w.ctx, w.guild.ID, w.bob.ID)
	notFound(t, "member who left", err)
	w.count(t, 1)
	w.apply(t, w.guilds, w.join(w.bob))
	w.apply(t, w.guilds, w.join(w.bob))
	w.count(t, 2)
}

func (w *town) count(t *testing.T, want int) {
	t.Helper()
	if g := must[proto.Guild](t)(w.d.Guild(w.ctx, w.guild.ID)); g.MemberCount != want {
		t.Fatalf("member count: got %d, want %d", g.MemberCount, want)
	}
}

func testCategoryDelete(t *testing.T, w *town) {
	named := w.guild
	category := proto.Channel{ID: w.guilds.id(), GuildID: w.guild.ID, Type: proto.ChannelCategory, Name: "sea", Overwrites: []proto.Overwrite{}}
	child := w.lobby
	child.ParentID = &category.ID
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventChannelCreate, category)), of(w.guild.ID, event(proto.EventChannelUpdate, child)))
	named.SystemChannelID = &category.ID
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildUpdate, named)))
	same(t, "in its category", must[proto.Guild](t)(w.d.Guild(w.ctx, w.guild.ID)).Channels, []proto.Channel{child, category})
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventChannelDelete, category)))
	g := must[proto.Guild](t)(w.d.Guild(w.ctx, w.guild.ID))
	same(t, "out of its category", g.Channels, []proto.Channel{w.lobby})
	if g.SystemChannelID != nil {
		t.Errorf("the system channel is still the deleted one")
	}
	_, err := w.d.ChannelGuild(w.ctx, category.ID)
	notFound(t, "deleted category", err)
}

func testRoleDelete(t *testing.T, w *town) {
	mods, gulls := w.putRole(t, "mods", 1), w.putRole(t, "gulls", 2)
	ch := w.lobby
	ch.Overwrites = []proto.Overwrite{{ID: mods.ID, Allow: proto.PermManageMessages}, {ID: gulls.ID, Deny: proto.PermSendMessages}}
	w.apply(t, w.guilds, w.join(w.bob, mods.ID, gulls.ID), of(w.guild.ID, event(proto.EventChannelUpdate, ch)))
	w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildRoleDelete, proto.GuildRoleDelete{GuildID: w.guild.ID, RoleID: mods.ID})))

	g := must[proto.Guild](t)(w.d.Guild(w.ctx, w.guild.ID))
	same(t, "roles", g.Roles, []proto.Role{w.guild.Roles[0], gulls})
	same(t, "overwrites", g.Channels[0].Overwrites, ch.Overwrites[1:])
	same(t, "Bob", must[proto.Member](t)(w.d.Member(w.ctx, w.guild.ID, w.bob.ID)), newMember(w.bob, gulls.ID))
}

func testGuildDelete(t *testing.T, w *town) {
	w.apply(t, w.guilds, w.join(w.bob), of(w.guild.ID, event(proto.EventInviteCreate, w.invite("code"))))
	w.drain(t, 7)
	a := w.apply(t, w.guilds, of(w.guild.ID, event(proto.EventGuildDelete, proto.GuildStub{ID: w.guild.ID})))
	_, err := w.d.Guild(w.ctx, w.guild.ID)
	notFound(t, "deleted guild", err)
	_, err = w.d.ChannelGuild(w.ctx, w.lobby.ID)
	notFound(t, "channel of a deleted guild", err)
	_, err = w.d.Member(w.ctx, w.guild.ID, w.bob.ID)
	notFound(t, "member of a deleted guild", err)
	_, err = w.d.Invite(w.ctx, "code", born)
	notFound(t, "invite to a deleted guild", err)
	owed := must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 10))
	if len(owed) != 2 {
		t.Fatalf("got %d effects, want 2", len(owed))
	}
	for i, u := range []proto.User{w.alice, w.bob} {
		checkEffect(t, owed[i], a, core.KindGuildLeft, u.ID, w.guild.ID)
	}
}

func testCheckpoint(t *testing.T, w *town) {
	at := func() core.Checkpoint { return must[core.Checkpoint](t)(w.d.Checkpoint(w.ctx, 7)) }
	if c := must[core.Checkpoint](t)(w.d.Checkpoint(w.ctx, 8)); c != (core.Checkpoint{Bucket: 8}) {
		t.Errorf("checkpoint of an unused bucket: %+v", c)
	}
	a := w.apply(t, w.guilds, w.join(w.bob))
	want := core.Checkpoint{Bucket: 7, Sequence: a.Sequence, Counter: a.Entry.Counter, Epoch: 1, LastID: proto.ID(a.Entry.LastId),
		Incarnation: a.Entry.Incarnation}
	w.reopen()
	if got := at(); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	ok(t, w.d.Apply(w.ctx, nil))
	ok(t, w.d.Apply(w.ctx, []core.Applied{a, a}))
	if got := at(); got != want {
		t.Fatalf("after a repeat: got %+v, want %+v", got, want)
	}
	w.count(t, 2)
	// A paused owner of an earlier epoch, with a sequence of its own that is higher: nothing of it counts.
	late := core.Applied{Bucket: 7, Sequence: a.Sequence + 100, Entry: &pb.Entry{Epoch: 0, Counter: a.Entry.Counter + 100, Events: []*pb.Event{w.leave(w.bob)}}}
	ok(t, w.d.Apply(w.ctx, []core.Applied{late}))
	if got := at(); got != want {
		t.Fatalf("after a late owner: got %+v, want %+v", got, want)
	}
	w.count(t, 2)
	all := must[[]core.Checkpoint](t)(w.d.Checkpoints(w.ctx))
	if len(all) != 2 || all[0] != want || all[1].Bucket != 9 {
		t.Fatalf("checkpoints: %+v", all)
	}
	if err := w.d.Apply(w.ctx, []core.Applied{w.guilds.entry(), w.homes.entry()}); err == nil {
		t.Error("entries of two buckets in one Apply were taken")
	}
}

func testHistoryNotes(t *testing.T, w *town) {
	at := func(bucket int) core.Checkpoint { return must[core.Checkpoint](t)(w.d.HistoryNote(w.ctx, bucket)) }
	if c := at(7); c != (core.Checkpoint{Bucket: 7}) {
		t.Errorf("note of a bucket without one: %+v", c)
	}
	var all []core.Checkpoint
	for n := range proto.Buckets {
		all = append(all, core.Checkpoint{Bucket: n, Sequence: 1<<50 + uint64(n), Counter: 5, Epoch: 2, LastID: 9, Incarnation: 1<<63 + 1})
	}
	ok(t, w.d.NoteHistory(w.ctx, nil))
	ok(t, w.d.NoteHistory(w.ctx, all))
	w.reopen()
	for _, n := range []int{0, 7, proto.Buckets - 1} {
		if got := at(n); got != all[n] {
			t.Errorf("got %+v, want %+v", got, all[n])
		}
	}
	older, newer := all[7], all[8]
	older.Counter, older.Sequence = 4, 1<<51
	newer.Epoch, newer.Counter, newer.Sequence, newer.Incarnation = 3, 1, 1, 6
	ok(t, w.d.NoteHistory(w.ctx, []core.Checkpoint{newer, older}))
	if got := at(7); got != all[7] {
		t.Errorf("an older note won: %+v", got)
	}
	if got := at(8); got != newer {
		t.Errorf("got %+v, want %+v", got, newer)
	}
}

func testLogMadeAnew(t *testing.T, w *town) {
	w.guilds.remake()
	a := w.apply(t, w.guilds, w.join(w.bob))
	w.count(t, 2)
	if c := must[core.Checkpoint](t)(w.d.Checkpoint(w.ctx, 7)); c.Sequence != a.Sequence || c.Epoch != 2 {
		t.Fatalf("checkpoint: %+v", c)
	}
}

func testUndecodable(t *testing.T, w *town) {
	for _, bad := range []*pb.Event{
		{Type: proto.EventChannelUpdate, Body: []byte(`{`)},
		{Type: proto.EventGuildMemberAdd, Body: []byte(`{}`)},
		{Type: "GUILD_FROM_THE_FUTURE", Body: []byte(`{}`)},
	} {
		before := must[core.Checkpoint](t)(w.d.Checkpoint(w.ctx, 7))
		j := *w.guilds
		good, a := j.entry(w.join(w.bob)), j.entry(bad)
		err := w.d.Apply(w.ctx, []core.Applied{good, a})
		if err == nil || !strings.Contains(err.Error(), bad.Type) || !strings.Contains(err.Error(), "bucket 7") ||
			!strings.Contains(err.Error(), shown(t, a.Sequence)) {
			t.Errorf("%s: err = %v, want bucket, sequence and type", bad.Type, err)
		}
		if got := must[core.Checkpoint](t)(w.d.Checkpoint(w.ctx, 7)); got != before {
			t.Errorf("%s: checkpoint moved to %+v", bad.Type, got)
		}
		w.count(t, 1)
	}
	w.apply(t, w.guilds, event(proto.EventMessageCreate, "not for the directory"), event(proto.EventTypingStart, 1))
}

func testBucketsAtOnce(t *testing.T, w *town) {
	var wg sync.WaitGroup
	for bucket := 20; bucket < 28; bucket++ {
		j := newJournal(bucket)
		wg.Go(func() {
			for range 10 {
				g := newGuild(j, "Birds", w.alice)
				if err := w.d.Apply(w.ctx, []core.Applied{j.entry(of(g.ID, event(proto.EventInternalGuildBorn, g)))}); err != nil {
					t.Error(err)
					return
				}
				got, err := w.d.Guild(w.ctx, g.ID)
				if err != nil || got.MemberCount != 1 || len(got.Channels) != 1 {
					t.Errorf("guild %d right after Apply: %+v, %v", g.ID, got, err)
				}
			}
		})
	}
	wg.Wait()
	gone, cancel := context.WithDeadline(w.ctx, time.Now().Add(-time.Second))
	defer cancel()
	if err := w.d.Apply(gone, []core.Applied{w.guilds.entry(w.join(w.bob))}); err == nil {
		t.Error("Apply with a context that has ended succeeded")
	}
	w.count(t, 1)
}

func notFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrNotFound) {
		t.Errorf("%s: err = %v, want ErrNotFound", what, err)
	}
}
