package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Many buckets with a past are taken over at a restart, and every bucket without one is vouched for as empty.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	const people = 200
	ids := make([]proto.ID, people)
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for i := k; i < people; i += 8 {
				ids[i] = w.person(fmt.Sprint("person-", i))
			}
		})
	}
	wg.Wait()
	alice := ids[0]
	h := w.home(alice)
	said := h.say(alice, "before")
	o.stop()
	begun := time.Now()
	o = w.own("core")
	t.Logf("%d buckets taken over in %s", len(o.digest().Positions), time.Since(begun).Round(time.Millisecond))
	d := o.digest()
	used := map[int]bool{h.guild.Bucket(): true}
	for _, id := range ids {
		used[id.Bucket()] = true
	}
	if len(d.Positions) != len(used) {
		t.Errorf("digest: got %d positions, want %d", len(d.Positions), len(used))
	}
	owned := 0
	for _, b := range d.Owned {
		owned += bits.OnesCount8(b)
	}
	if owned != proto.Buckets {
		t.Errorf("digest: got %d owned, want all %d", owned, proto.Buckets)
	}
	if m := h.say(alice, "after"); m.ID <= said.ID {
		t.Errorf("id %d after %d", m.ID, said.ID)
	}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// Typing reaches those who listen on the ephemeral subject and leaves the log alone.
func TestTyping(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	heard := make(chan *pb.Event, 1)
	stop, err := w.bus.Subscribe(relay.EphemeralSubject(relaytest.Region, h.guild.Bucket()), func(_ string, body []byte) {
		ev := &pb.Event{}
		if err := protobuf.Unmarshal(body, ev); err != nil {
			t.Error(err)
		}
		heard <- ev
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	before := o.at(h.guild)
	w.do(204, h.cmd(core.KindTyping, alice, 0), nil, nil)
	select {
	case ev := <-heard:
		var d proto.TypingStart
		if err := json.Unmarshal(ev.Body, &d); err != nil || d.UserID != alice || d.ChannelID != h.general || d.Member.User == nil ||
			ev.Required != uint64(proto.PermViewChannel) {
			t.Errorf("got %v, %+v, %v", ev, d, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody heard of it")
	}
	if after := o.at(h.guild); after != before {
		t.Errorf("typing moved the log from %d to %d", before, after)
	}
}

// What one command changes may fill several entries; its answer comes with the last.
func TestManyEntries(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga := w.person("olga")
	h := w.home(olga)
	var list []proto.Overwrite
	for range maxOverwrites {
		list = append(list, proto.Overwrite{ID: h.role(0, 0), Allow: proto.PermViewChannel})
	}
	var loft proto.Channel
	w.do(201, h.cmd(core.KindChannelCreate, olga, 0), core.ChannelCreate{Name: "Loft", Type: proto.ChannelCategory, Overwrites: list}, &loft)
	const rooms = 100
	for i := range rooms {
		w.do(201, h.cmd(core.KindChannelCreate, olga, 0), core.ChannelCreate{Name: fmt.Sprint(i), ParentID: &loft.ID}, nil)
	}
	before := o.buckets[h.guild.Bucket()].at.Load().Counter
	r := w.do(200, h.in(loft.ID, core.KindChannelDelete, olga, 0), nil, nil)
	at := o.buckets[h.guild.Bucket()].at.Load()
	if n := at.Counter - before; n < 2 || r.Sequence != at.Sequence {
		t.Errorf("got %d entries, answer of %d, last %d", n, r.Sequence, at.Sequence)
	}
	g, _ := h.snapshot()
	if len(g.Channels) != rooms+1 || slices.ContainsFunc(g.Channels, func(c proto.Channel) bool { return c.ParentID != nil }) {
		t.Errorf("got %d channels: %+v", len(g.Channels), g.Channels[0])
	}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// Beyond the bound of what the stores may lag, writes are refused; reading goes on.
func TestUnappliedBound(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	b := o.buckets[h.guild.Bucket()]
	release := w.hist.halt()
	h.say(alice, "x")
	filled := make(chan struct{})
	b.between(func(context.Context) { // as if so many entries waited
		b.hist.mu.Lock()
		defer b.hist.mu.Unlock()
		b.hist.queue = append(b.hist.queue, make([]timed, maxUnapplied-2)...)
		close(filled)
	})
	<-filled
	h.say(alice, "at the bound")
	w.refused(proto.ErrUnavailable, h.cmd(core.KindMessageCreate, alice, 0), core.MessageCreate{Content: "beyond"})
	h.snapshot()
	b.between(func(context.Context) { // take out what was only made up
		b.hist.mu.Lock()
		defer b.hist.mu.Unlock()
		b.hist.queue = slices.DeleteFunc(b.hist.queue, func(e timed) bool { return e.Entry == nil })
		release()
	})
	relaytest.Until(t, "the history catches up", func() bool {
		page, err := w.hist.Before(context.Background(), h.general, 0, 10)
		return err == nil && len(page) == 2
	})
	h.say(alice, "again")
}

// What an owner did not get to send, the next one sends.
func TestOutboxOverRestart(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	relaytest.Until(t, "alice's bucket knows", func() bool {
		ids, err := w.dir.GuildsOf(context.Background(), alice)
		return err == nil && len(ids) == 1
	})
	w.dir.block(true)
	h.join(bob)
	o.stop()
	w.dir.block(false)
	if ids, err := w.dir.GuildsOf(context.Background(), bob); err != nil || len(ids) != 0 {
		t.Fatalf("Bob's guilds: %v, %v: the outbox was not held back", ids, err)
	}
	w.own("core")
	relaytest.Until(t, "bob's bucket knows", func() bool {
		ids, err := w.dir.GuildsOf(context.Background(), bob)
		return err == nil && slices.Equal(ids, []proto.ID{h.guild})
	})
	relaytest.Until(t, "the outbox is empty", func() bool {
		left, err := w.dir.Outbox(context.Background(), h.guild.Bucket(), 10)
		return err == nil && len(left) == 0
	})
}

func TestParseMentions(t *testing.T) {
	for _, c := range []struct {
		in           string
		users, roles []proto.ID
		everyone     bool
	}{
		{"", nil, nil, false},
		{"<@1> <@!2> <@&3> <@1>", []proto.ID{1, 2}, []proto.ID{3}, false},
		{"@everyone", nil, nil, true},
		{"x @here", nil, nil, true},
		{"a@b.c <@> <@x> <@ 1> <@1 <@-1> @1> <@0> <@99999999999999999999>", nil, nil, false},
		{"<@@1><@2>", []proto.ID{2}, nil, false},
		{"@", nil, nil, false},
	} {
		m := parseMentions(c.in)
		if !slices.Equal(m.users, c.users) || !slices.Equal(m.roles, c.roles) || m.everyone != c.everyone {
			t.Errorf("%q: got %+v", c.in, m)
		}
	}
}

func FuzzParseMentions(f *testing.F) {
	f.Add("<@1> <@!2> <@&3> @everyone")
	f.Fuzz(func(t *testing.T, s string) {
		if m := parseMentions(s); len(m.users) > maxMentions || len(m.roles) > maxMentions || slices.Contains(m.users, 0) {
			t.Errorf("got %+v", m)
		}
	})
}
