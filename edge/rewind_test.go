package edge

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// tables is what must be the same again, as JSON. Ends of channels aside; an edge keeps overwrites of roles that are gone, which say nothing.
func (g *guild) tables(t testing.TB, users ...proto.ID) string {
	t.Helper()
	v := struct {
		Meta     proto.Guild
		Count    int
		Roles    []proto.Role
		Channels []proto.Channel
		Own      map[proto.ID]int
		Rows     map[proto.ID]*proto.Member
	}{Meta: g.meta, Count: g.memberCount, Own: map[proto.ID]int{}, Rows: map[proto.ID]*proto.Member{}}
	v.Meta.MemberCount = 0
	for _, id := range keysOf(g.roles) {
		v.Roles = append(v.Roles, g.roles[id])
	}
	for _, id := range keysOf(g.channels) {
		ch := *g.channels[id]
		ch.LastMessageID, ch.LastPinTimestamp = nil, nil
		ch.Overwrites = slices.DeleteFunc(slices.Clone(ch.Overwrites), func(o proto.Overwrite) bool {
			_, known := g.roles[o.ID]
			return o.Type == proto.OverwriteRole && !known
		})
		for _, o := range ch.Overwrites {
			if o.Type == proto.OverwriteMember {
				v.Own[o.ID]++
			}
		}
		v.Channels = append(v.Channels, ch)
	}
	if len(v.Own) != len(g.own) {
		t.Fatalf("own: got %v, want %v", g.own, v.Own)
	}
	for id, n := range v.Own {
		if g.own[id] != n {
			t.Fatalf("own: got %v, want %v", g.own, v.Own)
		}
	}
	for _, id := range users {
		v.Rows[id] = g.row(id)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func installed(t testing.TB, w *ownerModel) *guild {
	t.Helper()
	g := &guild{id: guildID}
	if err := g.install(&pb.GuildSnapshot{Guild: uint64(guildID), Body: w.encode(w.whole()), AllMembers: true}); err != nil {
		t.Fatal(err)
	}
	return g
}

// aloneLoop is a loop without sessions, and with one guild.
func aloneLoop(g *guild) *loop {
	l := &loop{encoder: &encoder{}, guilds: map[proto.ID]*guild{}, users: map[proto.ID]*user{}, gen: &generation{}, now: time.Now}
	l.herald = &herald{loop: l}
	if g != nil {
		l.guilds[guildID] = g
	}
	return l
}

func everybody() []proto.ID {
	var all []proto.ID
	for id := proto.ID(1); id <= modelUsers; id++ {
		all = append(all, id)
	}
	return all
}

// A history is a guild's whole life: its events, and its tables before each.
type history struct {
	events []*pb.Event
	before []*guild // before[i] is behind events[:i], as an edge has it; before[0] is nil: the guild is not born
	owner  []*guild // the same as the owner has it
}

func newHistory(t testing.TB, r *rand.Rand, holders, steps int) history {
	w := newOwnerModel(t, r, holders)
	g := installed(t, w)
	l := aloneLoop(g)
	h := history{before: []*guild{nil, g.clone()}, owner: []*guild{nil, g.clone()}}
	for range steps {
		done := len(w.events)
		w.step()
		for i, e := range w.events[done:] {
			l.guildEvent(g, uint64(done+i+1), e)
			h.before = append(h.before, g.clone())
			h.owner = append(h.owner, installed(t, w)) // say makes two, of which the second changes nothing
		}
	}
	h.events = w.events
	return h
}

// From whatever the guild is, as the edge made it of the log or as a snapshot has it, back to whatever it was.
func TestRewindGivesWhatWas(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	all := everybody()
	for range 6 {
		h := newHistory(t, r, 1000, 60)
		for range 40 {
			to := r.IntN(len(h.before))
			from := to + r.IntN(len(h.before)-to)
			if from == 0 {
				continue
			}
			users := all[:r.IntN(len(all)+1)]
			var g *guild
			switch r.IntN(3) {
			case 0:
				g = h.before[from].clone()
			case 1:
				g = h.owner[from].clone()
			default: // of a large guild an edge has no rows but those that matter
				g = h.owner[from].clone()
				g.full = false
				for id := range g.members {
					if !slices.Contains(users, id) {
						delete(g.members, id)
					}
				}
			}
			if err := g.rewind(h.events[to:from], users...); err != nil {
				t.Fatal(err)
			}
			h.check(t, g, to, from, users)
		}
	}
}

// check compares a guild that was rewound with what it was; and whatever came then may come again.
func (h history) check(t *testing.T, g *guild, to, from int, users []proto.ID) {
	t.Helper()
	if to == 0 {
		if len(g.roles)+len(g.channels)+len(g.own)+g.memberCount != 0 || g.meta.OwnerID != 0 {
			t.Errorf("a guild that is not born is %+v", g)
		}
		return
	}
	want := h.before[to].tables(t, users...)
	if got := g.tables(t, users...); got != want {
		t.Fatalf("from %d to %d:\n got %s\nwant %s", from, to, got, want)
	}
	for _, e := range h.events[to:from] {
		if ch := g.channels[proto.ID(e.Channel)]; ch != nil && e.Type == proto.EventMessageCreate && ch.LastMessageID != nil && *ch.LastMessageID >= proto.ID(e.Id) {
			t.Fatalf("from %d to %d: channel %d ends with %d, before %d", from, to, ch.ID, *ch.LastMessageID, e.Id)
		}
	}
	if !g.full {
		return
	}
	l := aloneLoop(g)
	for i, e := range h.events[to:from] {
		l.guildEvent(g, uint64(i+1), e)
	}
	if got, want := g.tables(t, users...), h.before[from].tables(t, users...); got != want {
		t.Fatalf("from %d to %d and back:\n got %s\nwant %s", from, to, got, want)
	}
}

// Where a role had more holders than its end lists, nobody is given a wrong row: a row is right, or the rewinding says that it cannot tell.
func TestRewindKnowsWhatItCannotTell(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 4))
	for range 6 {
		h := newHistory(t, r, 1, 60)
		for range 40 {
			to := 1 + r.IntN(len(h.before)-1)
			from := to + r.IntN(len(h.before)-to)
			user := proto.ID(1 + r.IntN(modelUsers))
			g := h.owner[from].clone()
			if err := g.rewind(h.events[to:from], user); err == nil {
				h.check(t, g, to, from, append(keysOf(g.members), user)) // what is not certain is not there
			} else if !errors.Is(err, errTooMany) {
				t.Fatal(err)
			}
		}
	}
}

// Five hold a role that goes, and its end lists two: of those above them nobody knows, but where an event of their own tells.
func TestRewindAManyHeldRole(t *testing.T) {
	w := newOwnerModel(t, rand.New(rand.NewPCG(1, 1)), 2)
	role := w.newID()
	w.roles[role] = proto.Role{ID: role}
	for user := proto.ID(1); user <= 5; user++ {
		w.rows[user] = proto.Member{User: &proto.User{ID: user}, Roles: []proto.ID{role}}
	}
	w.rows[6] = proto.Member{User: &proto.User{ID: 6}, Roles: []proto.ID{}}
	at := len(w.events)
	held := w.rows[4]
	w.emit(proto.EventGuildMemberUpdate, 4, proto.GuildMember{Member: held, GuildID: guildID}, held)
	w.dropRole(role)
	for user, want := range map[proto.ID]error{1: nil, 2: nil, 3: errTooMany, 4: nil, 5: errTooMany, 6: errTooMany, 7: nil} {
		g := installed(t, w)
		err := g.rewind(w.events[at:], user)
		if !errors.Is(err, want) {
			t.Errorf("user %d: got %v, want %v", user, err, want)
		}
		if err != nil {
			continue
		}
		row := g.row(user)
		if member := row != nil; member != (user < 7) || member && !slices.Equal(row.Roles, []proto.ID{role}) {
			t.Errorf("user %d was %+v", user, row)
		}
		if others := len(g.members); others != 3 || g.full {
			t.Errorf("got %d rows, full %v; want 3, false", others, g.full)
		}
	}
}

// A guild that is gone comes back without rows, but for those that the log tells of.
func TestRewindOverTheEnd(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	w := newOwnerModel(t, r, 1000)
	for range 40 {
		w.step()
	}
	want, at := installed(t, w), len(w.events)
	w.memberStep(3)
	w.end()
	g := &guild{id: guildID}
	if err := g.rewind(w.events[at:], everybody()...); err != nil {
		t.Fatal(err)
	}
	if got, want := g.tables(t, 3), want.tables(t, 3); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if len(g.members) != 1 || !g.loaded || g.full {
		t.Errorf("%d rows, loaded %v, full %v", len(g.members), g.loaded, g.full)
	}
	w.events[len(w.events)-1].Before = w.encode(proto.GuildBefore{Guild: proto.NewGuild(guildID, "g", 1), Bare: true, Many: true})
	if err := (&guild{id: guildID}).rewind(w.events[at:]); !errors.Is(err, errTooMany) {
		t.Errorf("got %v, want %v", err, errTooMany)
	}
}

// A log of owners that did not tell what was before is not guessed at.
func TestRewindWithoutBefore(t *testing.T) {
	for kind, undo := range undoing {
		tells := kind != proto.EventInternalGuildBorn && kind != proto.EventChannelCreate && kind != proto.EventGuildRoleCreate && kind != proto.EventGuildMemberAdd
		w := newOwnerModel(t, rand.New(rand.NewPCG(1, 1)), 1000)
		g := installed(t, w)
		err := g.rewind([]*pb.Event{{Type: kind, Guild: uint64(guildID), Id: 5}}, 1)
		if undo == nil || errors.Is(err, errNoBefore) != tells {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

// A copy does not show what happens to the guild, nor the other way round.
func TestCloneIsAlone(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newOwnerModel(t, rand.New(rand.NewPCG(seed, 6)), 1000)
	for range 60 {
		w.step()
	}
	g := installed(t, w)
	c := g.clone()
	was, ends := g.tables(t, everybody()...), c.ends()
	at := len(w.events)
	for range 60 {
		w.step()
	}
	l := aloneLoop(g)
	for i, e := range w.events[at:] {
		l.guildEvent(g, uint64(i+1), e)
	}
	if got := c.tables(t, everybody()...); got != was || !slices.Equal(c.ends(), ends) {
		t.Errorf("the copy became\n%s\nfrom\n%s", got, was)
	}
	is, now := g.tables(t, everybody()...), g.ends()
	if err := g.clone().rewind(w.events[at:], everybody()...); err != nil {
		t.Fatal(err)
	}
	if got := g.tables(t, everybody()...); got != is || !slices.Equal(g.ends(), now) {
		t.Errorf("the guild became\n%s\nfrom\n%s", got, is)
	}
}

// ends are the channels' last messages.
func (g *guild) ends() []proto.ID {
	var ids []proto.ID
	for _, id := range keysOf(g.channels) {
		last := proto.ID(0)
		if p := g.channels[id].LastMessageID; p != nil {
			last = *p
		}
		ids = append(ids, last)
	}
	return ids
}
