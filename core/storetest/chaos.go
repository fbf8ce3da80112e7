package storetest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// replay applies entries the way a life of crashes, replays and late writers would: in chunks that begin before the checkpoint, with
// slices of the past in between, and reopened now and then. In the end every entry was applied at least once, in order.
func replay(t *testing.T, r *rand.Rand, entries []core.Applied, apply func([]core.Applied) error, reopen func()) {
	t.Helper()
	for next := 0; next < len(entries); {
		switch r.IntN(10) {
		case 0:
			reopen()
		case 1, 2: // a late writer
			from := r.IntN(next + 1)
			ok(t, apply(entries[from:from+r.IntN(next-from+1)]))
		case 3: // a replay from the start
			ok(t, apply(entries[:next]))
		default:
			from := max(0, next-r.IntN(4))
			next = min(len(entries), next+1+r.IntN(5))
			ok(t, apply(entries[from:next]))
		}
	}
}

// testDirectoryChaos applies random changes in chaos to one directory, and each once to another: they must end up equal.
func testDirectoryChaos(t *testing.T, w *town) {
	straight, r := newTown(t, w.open), seeded(t)
	g := newGossip(r, w)
	var entries []core.Applied
	for range 150 {
		events := make([]*pb.Event, 1+r.IntN(3))
		for i := range events {
			events[i] = g.event()
		}
		if r.IntN(40) == 0 {
			w.guilds.remake()
		}
		entries = append(entries, w.guilds.entry(events...))
	}

	for _, a := range entries {
		ok(t, straight.d.Apply(straight.ctx, []core.Applied{a}))
	}
	replay(t, r, entries, func(a []core.Applied) error { return w.d.Apply(w.ctx, a) }, w.reopen)
	same(t, "directory after chaos", g.dump(t, w), g.dump(t, straight))

	w.drain(t, 7)
	ok(t, w.d.Apply(w.ctx, entries))
	same(t, "what is owed once all is done", must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 1)), []core.Effect{})
}

// A gossip makes up changes of two guilds of bucket 7, from few names, so that they meet.
type gossip struct {
	r               *rand.Rand
	guilds          []proto.Guild
	users           []proto.User
	channels, roles []proto.ID
	codes           []string
}

func newGossip(r *rand.Rand, w *town) *gossip {
	g := &gossip{r: r, guilds: []proto.Guild{w.guild, newGuild(w.guilds, "Fish", w.bob)}, users: []proto.User{w.alice, w.bob},
		channels: []proto.ID{w.lobby.ID}, codes: []string{"gull", "tern", "knot"}}
	for range 3 {
		g.users = append(g.users, proto.NewUser(w.homes.id(), "Stranger", false)) // whose birth the directory never hears of
		g.channels, g.roles = append(g.channels, w.guilds.id()), append(g.roles, w.guilds.id())
	}
	return g
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (g *gossip) someRoles() []proto.ID {
	roles := []proto.ID{}
	for _, id := range g.roles {
		if g.r.IntN(2) == 0 {
			roles = append(roles, id)
		}
	}
	return roles
}

func (g *gossip) channel(guild proto.ID) proto.Channel {
	ch := proto.Channel{ID: pick(g.r, g.channels), GuildID: guild, Name: pick(g.r, g.codes), Overwrites: []proto.Overwrite{}}
	for _, id := range g.someRoles() {
		ch.Overwrites = append(ch.Overwrites, proto.Overwrite{ID: id, Allow: proto.Permissions(g.r.Uint32())})
	}
	if g.r.IntN(2) == 0 {
		ch.ParentID = ptr(pick(g.r, g.channels))
	}
	return ch
}

func (g *gossip) event() *pb.Event {
	born := pick(g.r, g.guilds)
	guild, role, user, code := born.ID, pick(g.r, g.roles), pick(g.r, g.users), map[string]string{"code": pick(g.r, g.codes)}
	switch g.r.IntN(18) {
	case 0:
		return of(guild, event(proto.EventInternalGuildBorn, born))
	case 1:
		born.Name = pick(g.r, g.codes)
		return of(guild, event(proto.EventGuildUpdate, born))
	case 2:
		return of(guild, event(proto.EventGuildDelete, proto.GuildStub{ID: guild}))
	case 3:
		return of(guild, event(proto.EventChannelDelete, g.channel(guild)))
	case 4, 5, 6:
		return of(guild, event(proto.EventChannelUpdate, g.channel(guild)))
	case 7:
		return of(guild, event(proto.EventGuildRoleDelete, proto.GuildRoleDelete{GuildID: guild, RoleID: role}))
	case 8, 9:
		return of(guild, event(proto.EventGuildRoleUpdate, proto.GuildRole{GuildID: guild, Role: proto.Role{ID: role, Position: g.r.IntN(5)}}))
	case 10:
		return of(guild, event(proto.EventGuildMemberRemove, proto.GuildMemberRemove{GuildID: guild, User: user}))
	case 11:
		return of(guild, event(proto.EventGuildMemberUpdate, proto.GuildMember{GuildID: guild, Member: newMember(user, g.someRoles()...)}))
	case 12, 13:
		return of(guild, event(proto.EventGuildMemberAdd, proto.GuildMember{GuildID: guild, Member: newMember(user, g.someRoles()...)}))
	case 14:
		return of(guild, event(proto.EventInviteCreate, proto.InviteCreate{Code: code["code"], GuildID: guild, ChannelID: pick(g.r, g.channels),
			Inviter: user}))
	case 15:
		return of(guild, event(proto.EventInternalBanned, proto.Ban{User: user, Reason: ptr(code["code"])}))
	case 16:
		return of(guild, event(proto.EventGuildBanRemove, proto.GuildBan{GuildID: guild, User: user}))
	default:
		kind := pick(g.r, []string{proto.EventInternalInviteUsed, proto.EventInternalInviteUsed, proto.EventInviteDelete})
		return of(guild, event(kind, code))
	}
}

// dump is all that a directory tells of what gossip is about.
func (g *gossip) dump(t *testing.T, w *town) map[string]any {
	t.Helper()
	all := map[string]any{
		"checkpoints": must[[]core.Checkpoint](t)(w.d.Checkpoints(w.ctx)),
		"outbox":      must[[]core.Effect](t)(w.d.Outbox(w.ctx, 7, 1000)),
	}
	for _, born := range g.guilds {
		guild, err := w.d.Guild(w.ctx, born.ID)
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			t.Fatal(err)
		}
		members := must[[]proto.Member](t)(w.d.Members(w.ctx, born.ID, 0, 100))
		if err == nil && guild.MemberCount != len(members) {
			t.Fatalf("guild %d counts %d members and lists %d", born.ID, guild.MemberCount, len(members))
		}
		all[born.Name] = []any{guild, members, must[[]proto.Invite](t)(w.d.Invites(w.ctx, born.ID)),
			must[[]proto.Ban](t)(w.d.Bans(w.ctx, born.ID, 0, 0, 100)),
			must[[]proto.Member](t)(w.d.FindMembers(w.ctx, born.ID, "", 100)),
			must[[]proto.Member](t)(w.d.Prunable(w.ctx, born.ID, core.PruneQuery{Joined: everAfter}, 100))}
	}
	return all
}
