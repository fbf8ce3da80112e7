package edge

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// What one message costs the loop, for so many sessions of three compressions in 50 classes, sockets not counted.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := &loop{encoder: &encoder{}, gen: &generation{}, now: time.Now}
			g := &guild{id: guildID, loaded: true, roles: map[proto.ID]proto.Role{guildID: {ID: guildID, Permissions: proto.PermDefault}},
				channels: map[proto.ID]*proto.Channel{1: {ID: 1}}, members: map[proto.ID]*member{}, classes: map[string]*class{}, meta: proto.NewGuild(guildID, "g", 1)}
			for i := range n {
				id := proto.ID(i + 10)
				row := proto.Member{User: &proto.User{ID: id}, Roles: []proto.ID{proto.ID(2000 + i%50)}}
				g.members[id] = &member{row: &row}
				s := &session{user: id, gen: l.gen, intents: proto.IntentsAll, ring: ring{maxEvents: 256, maxBytes: 1 << 20}}
				s.client = &client{conn: &deafConn{}, compress: transport.Compression(i % compressions), session: s}
				g.place(&membership{session: s, guild: g})
			}
			e := &pb.Event{Type: proto.EventMessageCreate, Channel: 1, Required: uint64(proto.PermViewChannel), Body: make([]byte, 300)}
			b.ReportAllocs()
			for b.Loop() {
				l.fanOut(g, e, newEvent(e))
				if len(l.cached) > 1000 {
					l.dropEncodings()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}
