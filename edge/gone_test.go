package edge

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A guild is deleted while the edge loads it: the snapshot is from before, the end is among the events that waited for it. Who waited as
// well hears that the guild is gone, unless nothing ever told of it.
func TestGuildDeletedWhileLoading(t *testing.T) {
	t.Run("listed in READY", func(t *testing.T) { deletedWhileLoading(t, true, 1) })
	t.Run("just joined", func(t *testing.T) { deletedWhileLoading(t, false, 0) })
}

func deletedWhileLoading(t *testing.T, listed bool, want int) {
	l := &loop{encoder: &encoder{}, guilds: map[proto.ID]*guild{}, users: map[proto.ID]*user{}, gen: &generation{}, now: time.Now}
	g := &guild{id: guildID}
	s := &session{user: 1, gen: l.gen, guilds: map[proto.ID]*membership{}, intents: proto.IntentsAll, ring: ring{maxEvents: 10, maxBytes: 1 << 20}}
	m := &membership{session: s, guild: g, listed: listed}
	l.guilds[guildID], s.guilds[guildID], g.waiting = g, m, []*membership{m}
	end, err := json.Marshal(proto.GuildStub{ID: guildID})
	if err != nil {
		t.Fatal(err)
	}
	l.guildEvent(g, 2, &pb.Event{Type: proto.EventGuildDelete, Guild: uint64(guildID), Body: end})
	body, err := json.Marshal(proto.NewGuild(guildID, "g", 1))
	if err != nil {
		t.Fatal(err)
	}
	l.applied[guildID.Bucket()] = 2
	guildLoaded{guild: g, snapshot: &pb.GuildSnapshot{Sequence: 1, Body: body}}.apply(l)
	gone := 0
	s.ring.after(0, func(e *event) {
		if e.kind == proto.EventGuildDelete {
			gone++
		}
	})
	if gone != want || len(s.guilds) != 0 || len(l.guilds) != 0 {
		t.Errorf("got %d GUILD_DELETE, session in %d guilds, edge with %d; want %d, 0, 0", gone, len(s.guilds), len(l.guilds), want)
	}
}
