package edge

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

func loadingLoop() (*loop, *session) {
	l := &loop{encoder: &encoder{}, guilds: map[proto.ID]*guild{}, users: map[proto.ID]*user{}, gen: &generation{}, now: time.Now, cursor: newCursor()}
	l.herald = &herald{loop: l}
	s := &session{user: 1, key: 1, gen: l.gen, guilds: map[proto.ID]*membership{}, directs: map[proto.ID]*seat{}, closed: map[proto.ID]closing{},
		intents: proto.IntentsAll &^ proto.IntentGuildPresences, shard: [2]int{0, 1}, ring: ring{maxEvents: 10, maxBytes: 1 << 20}}
	l.user(s.user).sessions[s] = struct{}{}
	return l, s
}

// What waited for a guild's snapshot is applied without a word in the journal. Whoever joins amid it is shown the guild behind it: else a client that
// got the first of it would never get the rest, where its edge dies.
func TestJoinWhileLoading(t *testing.T) {
	t.Run("goes on", func(t *testing.T) { joinWhileLoading(t, false) })
	t.Run("ends", func(t *testing.T) { joinWhileLoading(t, true) })
}

func joinWhileLoading(t *testing.T, ends bool) {
	l, s := loadingLoop()
	g, b := &guild{id: guildID, loading: true}, guildID.Bucket()
	l.guilds[guildID] = g
	lobby := proto.Channel{ID: guildID + 1<<22, GuildID: guildID, Name: "lobby"}
	whole := proto.NewGuild(guildID, "g", 2)
	whole.Channels = []proto.Channel{lobby}
	whole.Roles = []proto.Role{{ID: guildID, Permissions: proto.PermViewChannel}}
	row := proto.Member{User: &proto.User{ID: s.user}, Roles: []proto.ID{}}
	entry := []*pb.Event{
		{Type: proto.EventGuildMemberAdd, Guild: uint64(guildID), Id: uint64(s.user), User: uint64(s.user), Body: simJSON(proto.GuildMember{Member: row, GuildID: guildID})},
		{Type: proto.EventMessageCreate, Guild: uint64(guildID), Channel: uint64(lobby.ID), Id: 99, Body: []byte(`{"id":"99"}`)},
	}
	if ends {
		entry = append(entry, &pb.Event{Type: proto.EventGuildDelete, Guild: uint64(guildID)})
	}
	logEntry{b, 2, &pb.Entry{Events: entry}}.apply(l)
	guildLoaded{guild: g, snapshot: &pb.GuildSnapshot{Sequence: 1, Body: simJSON(whole), AllMembers: true}}.apply(l)
	var got []string
	s.ring.after(0, func(e *event) {
		got = append(got, e.kind)
		var shown proto.GuildCreate
		if err := json.Unmarshal(e.body, &shown); err != nil {
			t.Fatal(err)
		}
		if len(shown.Channels) != 1 {
			return
		}
		if last := shown.Channels[0].LastMessageID; last == nil || *last != 99 {
			t.Errorf("shown as of before the message that came behind the join: last is %v", last)
		}
	})
	if ends {
		if len(got) != 0 || len(s.guilds) != 0 || len(l.guilds) != 0 {
			t.Errorf("got %v, session in %d guilds, edge with %d, want nothing: it never heard of the guild", got, len(s.guilds), len(l.guilds))
		}
		return
	}
	if !slices.Equal(got, []string{proto.EventGuildCreate}) {
		t.Errorf("got %v, want the guild alone: the message is in it", got)
	}
	if starts := l.cursor.record.Starts; len(starts) != 1 || starts[0].Sequence != 2 || starts[0].Index != s.last {
		t.Errorf("the journal has %v, want sequence 2 at index %d", starts, s.last)
	}
}

// A direct channel counts as shown behind what waited for its snapshot: until then messages are told by their ids, and of all else none is taken.
func TestDirectCountsAsShownBehindWhatWaited(t *testing.T) {
	const channel = proto.ID(7<<22 | 3<<12)
	l, s := loadingLoop()
	p := &seat{session: s, channel: channel, since: 40, followed: true}
	s.directs[channel] = p
	b := channel.Bucket()
	say := func(seq uint64, id proto.ID) {
		logEntry{b, seq, &pb.Entry{Events: []*pb.Event{{Type: proto.EventMessageCreate, Channel: uint64(channel), Id: uint64(id), Recipients: []uint64{uint64(s.user)}, Body: []byte(`{}`)}}}}.apply(l)
	}
	say(4, 50)
	say(5, 51)
	say(6, 52)
	m := directLoaded{seat: p, snapshot: &pb.DirectSnapshot{Sequence: 4, LastId: 50, Body: []byte(`{}`), Messages: [][]byte{[]byte(`{"id":"50"}`)}}}
	m.apply(l)
	type place struct {
		since uint64
		shown bool
	}
	var got []place
	for _, x := range l.cursor.record.Places {
		got = append(got, place{x.Since, x.Shown})
	}
	if want := []place{{50, false}, {51, false}, {52, false}, {0, true}}; !slices.Equal(got, want) {
		t.Errorf("the journal has %v, want %v", got, want)
	}
	if last := l.cursor.record.Places[len(got)-1].Index; last != s.last {
		t.Errorf("shown at index %d, want %d, behind all of it", last, s.last)
	}

	late := &seat{session: s, channel: channel, buffer: []buffered{{5, &pb.Event{Type: proto.EventMessageUpdate}}}}
	if !late.overtaken(m.snapshot) {
		t.Error("an edit behind the snapshot is taken, of which the journal would have no word")
	}
	late.buffer[0].sequence = 4
	if late.overtaken(m.snapshot) {
		t.Error("an edit that the snapshot has makes it be asked for again")
	}
}
