package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// History runs the suite of core.History; open as for Directory.
func History(t *testing.T, open func(t *testing.T, place string) core.History) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *shelf)
	}{
		{"Message", testMessage},
		{"Pages", testPages},
		{"Tombstones", testTombstones},
		{"LateWrites", testLateWrites},
		{"ChannelDelete", testChannelDelete},
		{"Checkpoint", testHistoryCheckpoint},
		{"Undecodable", testHistoryUndecodable},
		{"Buckets", testHistoryBucketsAtOnce},
		{"Reactions", testReactions},
		{"Pins", testPins},
		{"Chaos", testHistoryChaos},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newShelf(t, open)) })
	}
}

// A shelf is a history with two channels of bucket 7, in which Alice writes.
type shelf struct {
	h      core.History
	reopen func()
	ctx    context.Context

	log          *journal
	guild        proto.ID
	lobby, attic proto.ID
	alice        proto.User
}

func newShelf(t *testing.T, open func(t *testing.T, place string) core.History) *shelf {
	s := &shelf{ctx: bounded(t), log: newJournal(7), alice: proto.NewUser(newJournal(9).id(), "Alice", false)}
	s.guild, s.lobby, s.attic = s.log.id(), s.log.id(), s.log.id()
	place := t.TempDir()
	s.h = open(t, place)
	t.Cleanup(func() { ok(t, s.h.Close()) })
	s.reopen = func() {
		ok(t, s.h.Close())
		s.h = open(t, place)
	}
	return s
}

func (s *shelf) apply(t *testing.T, events ...*pb.Event) core.Applied {
	t.Helper()
	a := s.log.entry(events...)
	ok(t, s.h.Apply(s.ctx, []core.Applied{a}))
	return a
}

// message is what REST gives; create and update make of it what the gateway gives.
func (s *shelf) message(channel proto.ID, content string) proto.Message {
	return proto.Message{ID: s.log.id(), ChannelID: channel, Author: s.alice, Content: content, Timestamp: proto.Time(born),
		Mentions: []proto.User{}, MentionRoles: []proto.ID{}, Attachments: []proto.Nothing{}, Embeds: []proto.Nothing{},
		Components: []proto.Nothing{}, Nonce: []byte(`"n"`)}
}

func (s *shelf) gateway(kind string, m proto.Message) *pb.Event {
	member := newMember(s.alice).Partial()
	m.GuildID, m.Member, m.Mentions = &s.guild, &member, nil
	e := of(s.guild, event(kind, m))
	e.Id, e.Channel = uint64(m.ID), uint64(m.ChannelID)
	return e
}

func (s *shelf) create(m proto.Message) *pb.Event { return s.gateway(proto.EventMessageCreate, m) }
func (s *shelf) update(m proto.Message) *pb.Event { return s.gateway(proto.EventMessageUpdate, m) }

func (s *shelf) remove(m proto.Message) *pb.Event {
	return of(s.guild, event(proto.EventMessageDelete, proto.MessageDelete{ID: m.ID, ChannelID: m.ChannelID, GuildID: s.guild}))
}

func (s *shelf) removeBulk(channel proto.ID, ids ...proto.ID) *pb.Event {
	return of(s.guild, event(proto.EventMessageDeleteBulk, map[string]any{"ids": ids, "channel_id": channel, "guild_id": s.guild}))
}

func (s *shelf) removeChannel(channel proto.ID) *pb.Event {
	return of(s.guild, event(proto.EventChannelDelete, proto.Channel{ID: channel, GuildID: s.guild}))
}

// fill sends n messages, several an entry.
func (s *shelf) fill(t *testing.T, channel proto.ID, n int) []proto.Message {
	t.Helper()
	var sent []proto.Message
	var events []*pb.Event
	for i := range n {
		sent = append(sent, s.message(channel, fmt.Sprint("message ", i)))
		events = append(events, s.create(sent[i]))
	}
	for chunk := range slices.Chunk(events, 50) {
		s.apply(t, chunk...)
	}
	return sent
}

func testMessage(t *testing.T, s *shelf) {
	m := s.message(s.lobby, "helo")
	s.apply(t, s.create(m))
	same(t, "sent", must[proto.Message](t)(s.h.Message(s.ctx, s.lobby, m.ID)), m)
	m.Content, m.EditedTimestamp = "hello", ptr(proto.Time(born.Add(time.Minute)))
	s.apply(t, s.update(m))
	s.reopen()
	same(t, "edited", must[proto.Message](t)(s.h.Message(s.ctx, s.lobby, m.ID)), m)
	_, err := s.h.Message(s.ctx, s.attic, m.ID)
	notFound(t, "message in another channel", err)
	s.apply(t, s.remove(m))
	_, err = s.h.Message(s.ctx, s.lobby, m.ID)
	notFound(t, "deleted message", err)
	if last := must[proto.ID](t)(s.h.LastID(s.ctx, s.lobby)); last != m.ID {
		t.Errorf("last id after the delete: got %d, want %d", last, m.ID)
	}
	if last := must[proto.ID](t)(s.h.LastID(s.ctx, s.attic)); last != 0 {
		t.Errorf("last id of an empty channel: got %d", last)
	}
	same(t, "empty page", must[[]proto.Message](t)(s.h.Before(s.ctx, s.attic, 0, 50)), []proto.Message{})
}

func testPages(t *testing.T, s *shelf) {
	sent := s.fill(t, s.lobby, 250)
	s.fill(t, s.attic, 3)
	newest := slices.Clone(sent)
	slices.Reverse(newest)
	before := func(id proto.ID, n int) []proto.Message {
		return must[[]proto.Message](t)(s.h.Before(s.ctx, s.lobby, id, n))
	}
	after := func(id proto.ID, n int) []proto.Message {
		return must[[]proto.Message](t)(s.h.After(s.ctx, s.lobby, id, n))
	}
	same(t, "newest", before(0, 100), newest[:100])
	same(t, "second page", before(newest[99].ID, 100), newest[100:200])
	same(t, "last page", before(newest[199].ID, 100), newest[200:])
	same(t, "before the first", before(sent[0].ID, 100), []proto.Message{})
	same(t, "oldest", after(0, 100), sent[:100])
	same(t, "after one", after(sent[99].ID, 100), sent[100:200])
	same(t, "after the last", after(sent[249].ID, 100), []proto.Message{})
	same(t, "between ids", after(sent[7].ID-1, 1), sent[7:8])
	same(t, "after the highest id", after(1<<63-1, 10), []proto.Message{})
	same(t, "none", before(0, 0), []proto.Message{})
	if last := must[proto.ID](t)(s.h.LastID(s.ctx, s.lobby)); last != sent[249].ID {
		t.Errorf("last id: got %d, want %d", last, sent[249].ID)
	}
}

func testTombstones(t *testing.T, s *shelf) {
	sent := s.fill(t, s.lobby, 600)
	var gone []proto.ID
	var left []proto.Message
	for i, m := range sent {
		if i%200 < 197 {
			gone = append(gone, m.ID)
		} else {
			left = append(left, m)
		}
	}
	s.apply(t, s.removeBulk(s.lobby, gone...))
	same(t, "after", must[[]proto.Message](t)(s.h.After(s.ctx, s.lobby, 0, 100)), left)
	same(t, "after, short", must[[]proto.Message](t)(s.h.After(s.ctx, s.lobby, left[2].ID, 4)), left[3:7])
	slices.Reverse(left)
	same(t, "before", must[[]proto.Message](t)(s.h.Before(s.ctx, s.lobby, 0, 100)), left)
	same(t, "before, short", must[[]proto.Message](t)(s.h.Before(s.ctx, s.lobby, left[2].ID, 4)), left[3:7])
}

func testLateWrites(t *testing.T, s *shelf) {
	m, n := s.message(s.lobby, "one"), s.message(s.lobby, "two")
	created := s.apply(t, s.create(m), s.create(n))
	m.Content = "one, edited"
	edited := s.apply(t, s.update(m), s.remove(n))
	s.log.remake()
	m.Content = "one, edited again"
	s.apply(t, s.update(m))
	for range 2 {
		ok(t, s.h.Apply(s.ctx, []core.Applied{created}))
		ok(t, s.h.Apply(s.ctx, []core.Applied{created, edited}))
		s.reopen()
		same(t, "edited", must[proto.Message](t)(s.h.Message(s.ctx, s.lobby, m.ID)), m)
		_, err := s.h.Message(s.ctx, s.lobby, n.ID)
		notFound(t, "deleted message", err)
	}

	// The delete of a message arrives before its create.
	o := s.message(s.lobby, "three")
	create, remove := s.log.entry(s.create(o)), s.log.entry(s.remove(o))
	ok(t, s.h.Apply(s.ctx, []core.Applied{remove}))
	ok(t, s.h.Apply(s.ctx, []core.Applied{create}))
	_, err := s.h.Message(s.ctx, s.lobby, o.ID)
	notFound(t, "message deleted before it came", err)

	// All in one entry: the index decides.
	p := s.message(s.lobby, "four")
	s.apply(t, s.create(p), s.remove(p))
	_, err = s.h.Message(s.ctx, s.lobby, p.ID)
	notFound(t, "message deleted in its own entry", err)
}

func testChannelDelete(t *testing.T, s *shelf) {
	kept := s.fill(t, s.attic, 1)
	m := s.message(s.lobby, "gone with the channel")
	created := s.apply(t, s.create(m))
	s.fill(t, s.lobby, 60)
	n := s.message(s.lobby, "in the same entry")
	s.apply(t, s.create(n), s.removeChannel(s.lobby))
	for range 2 {
		same(t, "deleted channel", must[[]proto.Message](t)(s.h.Before(s.ctx, s.lobby, 0, 10)), []proto.Message{})
		same(t, "its neighbour", must[[]proto.Message](t)(s.h.Before(s.ctx, s.attic, 0, 10)), kept)
		ok(t, s.h.Apply(s.ctx, []core.Applied{created}))
		s.reopen()
	}
}

func testHistoryCheckpoint(t *testing.T, s *shelf) {
	if c := must[core.Checkpoint](t)(s.h.Checkpoint(s.ctx, 7)); c != (core.Checkpoint{Bucket: 7}) {
		t.Errorf("checkpoint of an unused bucket: %+v", c)
	}
	first := s.apply(t, s.create(s.message(s.lobby, "x")))
	takeOver := s.apply(t) // an entry without events moves it too
	want := core.Checkpoint{Bucket: 7, Sequence: takeOver.Sequence, Counter: 2, Epoch: 1, LastID: proto.ID(takeOver.Entry.LastId),
		Incarnation: takeOver.Entry.Incarnation}
	s.reopen()
	ok(t, s.h.Apply(s.ctx, []core.Applied{first}))
	ok(t, s.h.Apply(s.ctx, nil))
	if got := must[core.Checkpoint](t)(s.h.Checkpoint(s.ctx, 7)); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	s.log.remake()
	a := s.apply(t, event(proto.EventGuildUpdate, "not for the history"), event(proto.EventInternalUserBorn, 1))
	want = core.Checkpoint{Bucket: 7, Sequence: a.Sequence, Counter: 3, Epoch: 2, LastID: proto.ID(a.Entry.LastId),
		Incarnation: a.Entry.Incarnation}
	ok(t, s.h.Apply(s.ctx, []core.Applied{newJournal(1023).entry()}))
	all := must[[]core.Checkpoint](t)(s.h.Checkpoints(s.ctx))
	if len(all) != 2 || all[0] != want || all[1].Bucket != 1023 {
		t.Fatalf("checkpoints: got %+v, want %+v and that of 1023", all, want)
	}
	if err := s.h.Apply(s.ctx, []core.Applied{s.log.entry(), newJournal(8).entry()}); err == nil {
		t.Error("entries of two buckets in one Apply were taken")
	}
}

func testHistoryUndecodable(t *testing.T, s *shelf) {
	for _, kind := range []string{proto.EventMessageCreate, proto.EventMessageUpdate, proto.EventMessageDelete, proto.EventMessageDeleteBulk,
		proto.EventInternalReactions, proto.EventInternalPins, proto.EventChannelDelete} {
		for _, body := range []string{`{`, `{}`} {
			m := s.message(s.lobby, "x")
			a := s.log.entry(s.create(m), &pb.Event{Type: kind, Body: []byte(body)})
			err := s.h.Apply(s.ctx, []core.Applied{a})
			if err == nil || !strings.Contains(err.Error(), kind) || !strings.Contains(err.Error(), "bucket 7") {
				t.Errorf("%s %s: err = %v, want bucket, sequence and type", kind, body, err)
			}
			_, err = s.h.Message(s.ctx, s.lobby, m.ID)
			notFound(t, "message of an entry that failed", err)
		}
	}
}

func testHistoryBucketsAtOnce(t *testing.T, s *shelf) {
	var wg sync.WaitGroup
	for bucket := 20; bucket < 28; bucket++ {
		own := *s
		own.log = newJournal(bucket)
		own.lobby = own.log.id()
		wg.Go(func() {
			for i := range 30 {
				m := own.message(own.lobby, "x")
				if err := own.h.Apply(own.ctx, []core.Applied{own.log.entry(own.create(m))}); err != nil {
					t.Error(err)
					return
				}
				page, err := own.h.Before(own.ctx, own.lobby, 0, 100)
				if err != nil || len(page) != i+1 || page[0].ID != m.ID {
					t.Errorf("page right after message %d: %d messages, %v", i, len(page), err)
					return
				}
			}
		})
	}
	wg.Wait()
	gone, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := s.h.Before(gone, newJournal(20).id(), 0, 10); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("page with a context that has ended: %v", err)
	}
}

// testHistoryChaos compares a history after random events, replays, late writes and reopens with a plain model of it.
func testHistoryChaos(t *testing.T, s *shelf) {
	r := seeded(t)
	model := map[proto.ID]proto.Message{}
	last := map[proto.ID]proto.ID{}
	var all []proto.Message
	random := func() *pb.Event {
		if k := r.IntN(20); k < 8 || len(all) == 0 {
			m := s.message(pick(r, []proto.ID{s.lobby, s.attic}), fmt.Sprint(r.Uint32()))
			all, model[m.ID], last[m.ChannelID] = append(all, m), m, m.ID
			return s.create(m)
		} else if k < 13 {
			m := pick(r, all)
			if was, ok := model[m.ID]; ok {
				was.Content, was.EditedTimestamp = fmt.Sprint(r.Uint32()), ptr(proto.Time(born))
				model[m.ID] = was
				return s.update(was)
			}
			return s.remove(m)
		} else if k < 18 {
			m := pick(r, all)
			delete(model, m.ID)
			return s.remove(m)
		}
		m, n := pick(r, all), pick(r, all)
		delete(model, m.ID)
		if n.ChannelID == m.ChannelID {
			delete(model, n.ID)
		}
		return s.removeBulk(m.ChannelID, m.ID, n.ID)
	}
	var entries []core.Applied
	for range 300 {
		events := make([]*pb.Event, r.IntN(4))
		for i := range events {
			events[i] = random()
		}
		if r.IntN(60) == 0 {
			s.log.remake()
		}
		entries = append(entries, s.log.entry(events...))
	}
	replay(t, r, entries, func(a []core.Applied) error { return s.h.Apply(s.ctx, a) }, s.reopen)

	for _, channel := range []proto.ID{s.lobby, s.attic} {
		want := []proto.Message{}
		for _, m := range model {
			if m.ChannelID == channel {
				want = append(want, m)
			}
		}
		slices.SortFunc(want, func(a, b proto.Message) int { return cmp.Compare(a.ID, b.ID) })
		same(t, "oldest first", must[[]proto.Message](t)(s.h.After(s.ctx, channel, 0, len(want)+1)), want)
		slices.Reverse(want)
		same(t, "newest first", must[[]proto.Message](t)(s.h.Before(s.ctx, channel, 0, len(want)+1)), want)
		if got := must[proto.ID](t)(s.h.LastID(s.ctx, channel)); got != last[channel] {
			t.Errorf("last id: got %d, want %d", got, last[channel])
		}
	}
	a := entries[len(entries)-1]
	if c := must[core.Checkpoint](t)(s.h.Checkpoint(s.ctx, 7)); c.Sequence != a.Sequence || c.Counter != a.Entry.Counter {
		t.Errorf("checkpoint %+v, want sequence %d", c, a.Sequence)
	}
}
