package cql_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// day is one day of snowflake time.
const day = proto.ID(24*60*60*1000) << 22

// sender plays the owner of bucket 0, the only one that ids here carry.
type sender struct {
	t     testing.TB
	store *cql.Store
	entry pb.Entry
}

func newSender(t testing.TB, address string) *sender {
	s := &sender{t: t, store: open(t, address, t.Name()), entry: pb.Entry{Epoch: 1}}
	t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// next makes an entry of events of the kind, one for each body.
func (s *sender) next(kind string, bodies ...any) core.Applied {
	s.entry.Counter++
	e := pb.Entry{Epoch: s.entry.Epoch, Counter: s.entry.Counter}
	for _, d := range bodies {
		b, err := json.Marshal(d)
		if err != nil {
			s.t.Fatal(err)
		}
		e.Events = append(e.Events, &pb.Event{Type: kind, Body: b})
		if m, ok := d.(proto.Message); ok {
			s.entry.LastId = max(s.entry.LastId, uint64(m.ID))
		}
	}
	e.LastId = s.entry.LastId
	return core.Applied{Sequence: s.entry.Counter, Entry: &e}
}

func (s *sender) apply(a ...core.Applied) {
	s.t.Helper()
	if err := s.store.Apply(s.t.Context(), a); err != nil {
		s.t.Fatal(err)
	}
}

// before pages back through all of a channel and returns the ids, with how long the slowest page took.
func (s *sender) before(channel proto.ID, n int) (ids []proto.ID, slowest time.Duration) {
	s.t.Helper()
	for from := proto.ID(0); ; {
		begun := time.Now()
		page, err := s.store.Before(s.t.Context(), channel, from, n)
		slowest = max(slowest, time.Since(begun))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range page {
			ids = append(ids, m.ID)
		}
		if len(page) < n {
			return ids, slowest
		}
		from = ids[len(ids)-1]
	}
}

func message(channel, id proto.ID) proto.Message {
	return proto.Message{ID: id, ChannelID: channel, Author: proto.NewUser(5, "Alice", false), Content: fmt.Sprint("on day ", id/day),
		Timestamp: proto.Time(id.Time())}
}

// Alice writes now and then in one channel for six years, three times within minutes, and then once in ten days; and in another channel
// once, and again two years later.
func TestWindows(t *testing.T) {
	s := newSender(t, servers.Address(t, "cassandra"))
	const windows = 200
	diary, silent := 3000*day, 3000*day+1
	var sent []proto.ID
	var entries []core.Applied
	for w := range proto.ID(windows) {
		for k := range proto.ID(1 + 2*(w%2)) {
			id := diary + 10*day*w + (k+1)<<22
			sent = append(sent, id)
			entries = append(entries, s.next(proto.EventMessageCreate, message(diary, id)))
		}
	}
	for chunk := range slices.Chunk(entries, 50) {
		s.apply(chunk...)
	}
	s.apply(s.next(proto.EventMessageCreate, message(silent, silent+day)), s.next(proto.EventMessageCreate, message(silent, silent+750*day)))

	newest := slices.Clone(sent)
	slices.Reverse(newest)
	for _, n := range []int{1000, 50, 7} {
		got, slowest := s.before(diary, n)
		if !slices.Equal(got, newest) {
			t.Fatalf("pages of %d: got %d messages, want %d, newest first", n, len(got), len(newest))
		}
		t.Logf("pages of %d over %d windows: the slowest took %v", n, windows, slowest)
	}
	for _, from := range []int{0, 1, 150, len(sent) - 1} {
		page, err := s.store.After(t.Context(), diary, sent[from], 50)
		if err != nil {
			t.Fatal(err)
		}
		want := sent[from+1 : min(from+51, len(sent))]
		if got := ids(page); !slices.Equal(got, want) {
			t.Errorf("after message %d: got %v, want %v", from, got, want)
		}
	}
	begun := time.Now()
	page, err := s.store.Before(t.Context(), silent, silent+750*day, 50)
	if err != nil || !slices.Equal(ids(page), []proto.ID{silent + day}) {
		t.Errorf("before two years of silence: %v, %v", ids(page), err)
	}
	t.Logf("a page back over two years of silence took %v", time.Since(begun))

	// Everything of one year is deleted: its windows stay noted, and are passed over.
	var year []proto.ID
	kept := slices.DeleteFunc(slices.Clone(newest), func(id proto.ID) bool {
		gone := id > diary+400*day && id < diary+800*day
		if gone {
			year = append(year, id)
		}
		return gone
	})
	s.apply(s.next(proto.EventMessageDeleteBulk, map[string]any{"channel_id": diary, "ids": year}))
	if got, _ := s.before(diary, 50); !slices.Equal(got, kept) {
		t.Errorf("with a year deleted: got %d messages, want %d", len(got), len(kept))
	}

	// The channel goes, with all its windows, and what comes late finds it gone.
	s.apply(s.next(proto.EventChannelDelete, proto.Channel{ID: diary}))
	s.apply(entries[:50]...)
	if got, _ := s.before(diary, 50); len(got) != 0 {
		t.Errorf("deleted channel: got %d messages", len(got))
	}
	if _, err := s.store.Message(t.Context(), diary, sent[0]); err == nil {
		t.Error("a message that came again after its channel was deleted is there")
	}
	if got, _ := s.before(silent, 50); len(got) != 2 {
		t.Errorf("its neighbour: got %d messages, want 2", len(got))
	}
}

// What a deleted channel had is gone even in windows that nobody had noted when it was deleted.
func TestLateIntoDeletedChannel(t *testing.T) {
	s := newSender(t, servers.Address(t, "cassandra"))
	channel := 3000 * day
	first, second := s.next(proto.EventMessageCreate, message(channel, channel+day)), s.next(proto.EventMessageCreate, message(channel, channel+95*day))
	s.apply(s.next(proto.EventChannelDelete, proto.Channel{ID: channel}))
	s.apply(first, second)
	if got, _ := s.before(channel, 50); len(got) != 0 {
		t.Errorf("got %d messages, want none", len(got))
	}
	if _, err := s.store.Message(t.Context(), channel, channel+95*day); err == nil {
		t.Error("a message of a deleted channel is there")
	}
}

// A version that does not fit a timestamp is refused, not wrapped around.
func TestVersionTooHigh(t *testing.T) {
	s := newSender(t, servers.Address(t, "cassandra"))
	for _, e := range []*pb.Entry{{Epoch: 1 << 23, Counter: 1}, {Epoch: 1, Counter: 1 << 40}} {
		if err := s.store.Apply(t.Context(), []core.Applied{{Sequence: 1, Entry: e}}); err == nil {
			t.Errorf("epoch %d, counter %d was taken", e.Epoch, e.Counter)
		}
	}
	highest := &pb.Entry{Epoch: 1<<23 - 2, Counter: 1<<40 - 1, LastId: 7}
	s.apply(core.Applied{Sequence: 9, Entry: highest})
	want := core.Checkpoint{Sequence: 9, Epoch: highest.Epoch, Counter: highest.Counter, LastID: 7}
	if got, err := s.store.Checkpoint(t.Context(), 0); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func ids(page []proto.Message) []proto.ID {
	var all []proto.ID
	for _, m := range page {
		all = append(all, m.ID)
	}
	return all
}
