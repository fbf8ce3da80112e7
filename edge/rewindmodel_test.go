package edge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// An ownerModel has a guild as its owner has, and makes the events that the owner would make, with what was before.
type ownerModel struct {
	t        testing.TB
	r        *rand.Rand
	meta     proto.Guild
	roles    map[proto.ID]proto.Role
	channels map[proto.ID]proto.Channel
	rows     map[proto.ID]proto.Member
	holders  int // that a deleted role lists
	ids      proto.ID
	dead     bool
	events   []*pb.Event
}

const modelUsers = 9 // ids from 1

func newOwnerModel(t testing.TB, r *rand.Rand, holders int) *ownerModel {
	w := &ownerModel{t: t, r: r, meta: proto.NewGuild(guildID, "g", 1), roles: map[proto.ID]proto.Role{}, channels: map[proto.ID]proto.Channel{},
		rows: map[proto.ID]proto.Member{}, holders: holders, ids: guildID}
	w.roles[guildID] = proto.Role{ID: guildID, Name: "@everyone", Permissions: proto.PermDefault}
	w.rows[1] = proto.Member{User: &proto.User{ID: 1}, Roles: []proto.ID{}}
	w.emit(proto.EventInternalGuildBorn, guildID, w.whole(), nil)
	return w
}

func (w *ownerModel) newID() proto.ID { w.ids++; return w.ids }

func (w *ownerModel) encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *ownerModel) emit(kind string, id proto.ID, body, before any) *pb.Event {
	e := &pb.Event{Type: kind, Guild: uint64(guildID), Id: uint64(id), Body: w.encode(body)}
	if before != nil {
		e.Before = w.encode(before)
	}
	w.events = append(w.events, e)
	return e
}

// whole is the guild as a snapshot has it.
func (w *ownerModel) whole() proto.Guild {
	g := w.meta
	for _, id := range keysOf(w.roles) {
		g.Roles = append(g.Roles, w.roles[id])
	}
	for _, id := range keysOf(w.channels) {
		g.Channels = append(g.Channels, w.channels[id])
	}
	for _, id := range keysOf(w.rows) {
		g.Members = append(g.Members, w.rows[id])
	}
	g.MemberCount = len(w.rows)
	return g
}

func keysOf[V any](m map[proto.ID]V) []proto.ID {
	ids := make([]proto.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func pick[V any](w *ownerModel, m map[proto.ID]V) proto.ID {
	if len(m) == 0 {
		return 0
	}
	return keysOf(m)[w.r.IntN(len(m))]
}

// step lets one thing happen.
func (w *ownerModel) step() {
	switch n := w.r.IntN(100); {
	case n < 8:
		was := w.meta
		w.meta.Name = fmt.Sprint("g", w.r.IntN(1000))
		if w.r.IntN(2) == 0 {
			w.meta.OwnerID = pick(w, w.rows)
		}
		shown := w.meta
		shown.Roles = w.whole().Roles
		w.emit(proto.EventGuildUpdate, guildID, shown, proto.GuildBefore{Guild: was})
	case n < 20:
		r := proto.Role{ID: w.newID(), Permissions: w.permissions()}
		w.roles[r.ID] = r
		w.emit(proto.EventGuildRoleCreate, r.ID, proto.GuildRole{GuildID: guildID, Role: r}, nil)
	case n < 26:
		was := w.roles[pick(w, w.roles)]
		is := was
		is.Permissions, is.Position = w.permissions(), w.r.IntN(9)
		w.roles[is.ID] = is
		w.emit(proto.EventGuildRoleUpdate, is.ID, proto.GuildRole{GuildID: guildID, Role: is}, was)
	case n < 33:
		if id := pick(w, w.roles); id != guildID {
			w.dropRole(id)
		}
	case n < 41:
		ch := proto.Channel{ID: w.newID(), GuildID: guildID, Name: "c", Overwrites: w.overwrites()}
		w.channels[ch.ID] = ch
		w.emitChannel(proto.EventChannelCreate, ch, nil)
	case n < 52:
		if was, ok := w.channels[pick(w, w.channels)]; ok {
			is := was
			is.Overwrites, is.Position = w.overwrites(), w.r.IntN(9)
			w.channels[is.ID] = is
			w.emitChannel(proto.EventChannelUpdate, is, was)
		}
	case n < 57:
		if was, ok := w.channels[pick(w, w.channels)]; ok {
			delete(w.channels, was.ID)
			w.emitChannel(proto.EventChannelDelete, was, was)
		}
	case n < 88:
		w.memberStep(proto.ID(1 + w.r.IntN(modelUsers)))
	default:
		w.say()
	}
}

func (w *ownerModel) memberStep(user proto.ID) {
	was, is := w.rows[user]
	m := was
	switch {
	case !is:
		m = proto.Member{User: &proto.User{ID: user}, Roles: []proto.ID{}}
		w.emit(proto.EventGuildMemberAdd, user, proto.GuildMember{Member: m, GuildID: guildID}, nil)
	case user != w.meta.OwnerID && w.r.IntN(4) == 0:
		delete(w.rows, user)
		w.emit(proto.EventGuildMemberRemove, user, proto.GuildMemberRemove{GuildID: guildID, User: *m.User}, was)
		return
	default:
		m.Roles = []proto.ID{}
		for _, id := range keysOf(w.roles) {
			if id != guildID && w.r.IntN(2) == 0 {
				m.Roles = append(m.Roles, id)
			}
		}
		w.emit(proto.EventGuildMemberUpdate, user, proto.GuildMember{Member: m, GuildID: guildID}, was)
	}
	w.rows[user] = m
}

// dropRole takes a role from members and channels as owners do: by one event.
func (w *ownerModel) dropRole(id proto.ID) {
	b := proto.RoleBefore{Role: w.roles[id]}
	for _, user := range keysOf(w.rows) {
		m := w.rows[user]
		if !slices.Contains(m.Roles, id) {
			continue
		}
		if b.Many = len(b.Holders) == w.holders; !b.Many {
			b.Holders = append(b.Holders, user)
		}
		m.Roles = slices.DeleteFunc(slices.Clone(m.Roles), func(r proto.ID) bool { return r == id })
		w.rows[user] = m
	}
	for _, of := range keysOf(w.channels) {
		ch := w.channels[of]
		for _, o := range ch.Overwrites {
			if o.ID == id {
				b.Overwrites = append(b.Overwrites, proto.RoleOverwrite{ChannelID: of, Overwrite: o})
			}
		}
		ch.Overwrites = slices.DeleteFunc(slices.Clone(ch.Overwrites), func(o proto.Overwrite) bool { return o.ID == id })
		w.channels[of] = ch
	}
	delete(w.roles, id)
	w.emit(proto.EventGuildRoleDelete, id, proto.GuildRoleDelete{GuildID: guildID, RoleID: id}, b)
}

// say also has something happen that changes no table.
func (w *ownerModel) say() {
	ch, ok := w.channels[pick(w, w.channels)]
	if !ok {
		return
	}
	id := w.newID()
	e := w.emit(proto.EventMessageCreate, id, proto.Message{ID: id, ChannelID: ch.ID}, nil)
	e.Channel = uint64(ch.ID)
	ch.LastMessageID = &id
	w.channels[ch.ID] = ch
	w.emit(proto.EventGuildBanAdd, 77, proto.GuildBan{GuildID: guildID, User: proto.User{ID: 77}}, nil)
}

// end deletes the guild.
func (w *ownerModel) end() {
	was := w.whole()
	was.Members = nil
	w.dead = true
	w.emit(proto.EventGuildDelete, guildID, proto.GuildStub{ID: guildID}, proto.GuildBefore{Guild: was})
}

func (w *ownerModel) emitChannel(kind string, ch proto.Channel, was any) {
	w.emit(kind, ch.ID, ch, was).Channel = uint64(ch.ID)
}

func (w *ownerModel) permissions() proto.Permissions {
	return []proto.Permissions{0, proto.PermViewChannel, proto.PermAdministrator, proto.PermDefault}[w.r.IntN(4)]
}

func (w *ownerModel) overwrites() []proto.Overwrite {
	list := []proto.Overwrite{}
	for _, id := range keysOf(w.roles) {
		if w.r.IntN(3) == 0 {
			list = append(list, proto.Overwrite{ID: id, Type: proto.OverwriteRole, Deny: proto.PermViewChannel})
		}
	}
	for user := proto.ID(1); user <= modelUsers; user++ {
		if w.r.IntN(6) == 0 {
			list = append(list, proto.Overwrite{ID: user, Type: proto.OverwriteMember, Allow: proto.PermViewChannel})
		}
	}
	slices.SortFunc(list, func(a, b proto.Overwrite) int { return int(int64(a.ID) - int64(b.ID)) })
	return list
}
