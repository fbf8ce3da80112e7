package cql_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
)

// One Apply of some messages to one channel, as a bucket's owner does it: one at a time.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			s, channel := newSender(b, servers.Address(b, "cassandra")), 3000*day
			id := channel
			b.ReportAllocs()
			for b.Loop() {
				bodies := make([]any, n)
				for i := range bodies {
					id += 1 << 12
					bodies[i] = message(channel, id)
				}
				s.apply(s.next(proto.EventMessageCreate, bodies...))
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// A page of 50 out of the middle of a channel of 20,000 messages, 100 a window.
func BenchmarkBefore(b *testing.B) {
	s, channel := newSender(b, servers.Address(b, "cassandra")), 1000*day
	var entries []core.Applied
	for w := range proto.ID(200) {
		bodies := make([]any, 100)
		for i := range bodies {
			bodies[i] = message(channel, channel+10*day*w+proto.ID(i+1)<<22)
		}
		entries = append(entries, s.next(proto.EventMessageCreate, bodies...))
	}
	for chunk := range slices.Chunk(entries, 5) {
		s.apply(chunk...)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		page, err := s.store.Before(b.Context(), channel, channel+10*day*proto.ID(1+i%199)+30<<22, 50)
		if err != nil || len(page) != 50 {
			b.Fatal(len(page), err)
		}
	}
}
