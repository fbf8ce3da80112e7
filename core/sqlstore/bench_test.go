package sqlstore_test

import (
	"encoding/json"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// BenchmarkJoin is what a member's joining costs: member, count, outbox and checkpoint in one transaction.
func BenchmarkJoin(b *testing.B) {
	for name, open := range databases {
		b.Run(name, func(b *testing.B) { benchmarkJoin(b, open(b, b.TempDir())) })
	}
}

func benchmarkJoin(b *testing.B, d core.Directory) {
	defer d.Close()
	const guild = proto.ID(7 << 12)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		user := proto.NewUser(proto.ID(1<<22+i), "Bob", false)
		body, err := json.Marshal(proto.GuildMember{GuildID: guild, Member: proto.Member{User: &user, Roles: []proto.ID{}}})
		if err != nil {
			b.Fatal(err)
		}
		e := &pb.Entry{Epoch: 1, Counter: uint64(i + 1), Events: []*pb.Event{{Type: proto.EventGuildMemberAdd, Guild: uint64(guild), Body: body}}}
		if err := d.Apply(b.Context(), []core.Applied{{Bucket: 7, Sequence: uint64(i + 1), Entry: e}}); err != nil {
			b.Fatal(err)
		}
	}
}
