package bucket

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// An ear hears all that is appended, each bucket in order.
type ear struct {
	mu     sync.Mutex
	events map[int][]*pb.Event
}

func (w *world) listen() *ear {
	w.t.Helper()
	x := &ear{events: map[int][]*pb.Event{}}
	hear := func(bucket int, events ...*pb.Event) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.events[bucket] = append(x.events[bucket], events...)
	}
	all := strings.TrimSuffix(relay.LiveSubject(relaytest.Region, 0), "0") + "*"
	stop, err := w.bus.Subscribe(all, func(subject string, body []byte) {
		var e pb.Entry
		if protobuf.Unmarshal(body, &e) == nil && len(e.Events) > 0 {
			hear(bucketOf(e.LastId), e.Events...)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(stop)
	return x
}

func bucketOf(id uint64) int { return proto.ID(id).Bucket() }

// of waits until n events of the kinds were heard, in any bucket's order, and gives them.
func (x *ear) of(t *testing.T, n int, kinds ...string) []*pb.Event {
	t.Helper()
	var found []*pb.Event
	relaytest.Until(t, strings.Join(kinds, ", "), func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		found = nil
		for _, events := range x.events {
			for _, e := range events {
				for _, k := range kinds {
					if e.Type == k {
						found = append(found, e)
					}
				}
			}
		}
		return len(found) >= n
	})
	if len(found) != n {
		t.Fatalf("%d events of %v, want %d", len(found), kinds, n)
	}
	return found
}

// openDirect opens the channel of two people for the first of them.
func (w *world) openDirect(actor, other proto.ID) proto.DirectChannel {
	w.t.Helper()
	var ch proto.DirectChannel
	w.do(200, &pb.Command{Kind: core.KindDirectOpen, Actor: uint64(actor), Target: uint64(other),
		Bucket: uint32(core.PairBucket(actor, other))}, nil, &ch)
	return ch
}

func inDirect(kind string, channel, actor, target proto.ID) *pb.Command {
	return &pb.Command{Kind: kind, Channel: uint64(channel), Actor: uint64(actor), Target: uint64(target), Bucket: uint32(channel.Bucket())}
}

func (w *world) directSnapshot(channel, user, since proto.ID) (*pb.DirectSnapshot, *proto.DirectChannel) {
	w.t.Helper()
	r := w.do(200, inDirect(core.KindSnapshotDirect, channel, 0, user), core.SnapshotDirect{Since: since}, nil)
	s := &pb.DirectSnapshot{}
	if err := protobuf.Unmarshal(r.Body, s); err != nil {
		w.t.Fatal(err)
	}
	if len(s.Body) == 0 {
		return s, nil
	}
	ch := &proto.DirectChannel{}
	if err := json.Unmarshal(s.Body, ch); err != nil {
		w.t.Fatal(err)
	}
	return s, ch
}

func TestDirect(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	ada, bea, eve := w.person("ada"), w.person("bea"), w.person("eve")
	x := w.listen()

	ch := w.openDirect(ada, bea)
	if ch.Type != proto.ChannelDM || len(ch.Recipients) != 1 || ch.Recipients[0].ID != bea || ch.ID.Bucket() != core.PairBucket(bea, ada) {
		t.Fatalf("Ada opened %+v", ch)
	}
	if again := w.openDirect(ada, bea); again.ID != ch.ID {
		t.Fatalf("opened twice: %d, then %d", ch.ID, again.ID)
	}
	opened := x.of(t, 1, proto.EventInternalDirectOpened)[0]
	if proto.ID(opened.User) != ada || proto.ID(opened.Channel) != ch.ID {
		t.Fatalf("opened: %v", opened)
	}
	w.refused(proto.ErrInvalidRecipient, &pb.Command{Kind: core.KindDirectOpen, Actor: uint64(ada), Target: uint64(ada),
		Bucket: uint32(core.PairBucket(ada, ada))}, nil)
	if _, seen := w.directSnapshot(ch.ID, bea, 0); seen != nil {
		t.Error("Bea has a channel in her list that nobody has written in")
	}

	say := func(who proto.ID, content string) (m proto.Message) {
		t.Helper()
		w.do(200, inDirect(core.KindMessageCreate, ch.ID, who, 0), core.MessageCreate{Content: content}, &m)
		return m
	}
	first := say(ada, "hello <@"+bea.String()+"> <@"+eve.String()+">")
	if first.GuildID != nil || first.Member != nil || len(first.Mentions) != 1 || first.Mentions[0].ID != bea {
		t.Errorf("message: %+v", first)
	}
	second := say(bea, "hi")
	for _, e := range x.of(t, 2, proto.EventMessageCreate) {
		if e.Guild != 0 || len(e.Recipients) != 2 || e.Required != 0 || len(e.BodyNoContent) != 0 {
			t.Errorf("event: %v", e)
		}
	}
	// Bea's list has it from just below the first message: whoever asks from there misses none.
	var link core.DirectLink
	for _, e := range x.of(t, 2, proto.EventInternalDirectOpened) {
		if proto.ID(e.User) == bea {
			if err := json.Unmarshal(e.Body, &link); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.do(204, inDirect(core.KindMessageDelete, ch.ID, bea, second.ID), nil, nil)
	release := w.hist.halt() // messages that the history lacks are part of it too
	third := say(bea, "three")
	w.do(200, inDirect(core.KindMessageEdit, ch.ID, ada, first.ID), core.MessageEdit{Content: new("edited")}, nil)
	s, seen := w.directSnapshot(ch.ID, bea, link.Since)
	release()
	if seen == nil || seen.Recipients[0].ID != ada || seen.LastMessageID == nil || *seen.LastMessageID != third.ID || len(s.Messages) != 2 ||
		!strings.Contains(string(s.Messages[0]), `"edited"`) || !strings.Contains(string(s.Messages[1]), `"three"`) || s.Sequence == 0 {
		t.Errorf("snapshot: %+v of %s", seen, s.Messages)
	}

	w.refused(proto.ErrMissingAccess, inDirect(core.KindMessageCreate, ch.ID, eve, 0), core.MessageCreate{Content: "me too"})
	w.refused(proto.ErrMissingAccess, inDirect(core.KindTyping, ch.ID, eve, 0), nil)
	w.refused(proto.ErrMissingAccess, inDirect(core.KindDirectClose, ch.ID, eve, 0), nil)
	w.refused(proto.ErrMissingPermission, inDirect(core.KindMessageDelete, ch.ID, ada, third.ID), nil)
	w.refused(proto.ErrDirectChannel, inDirect(core.KindChannelEdit, ch.ID, ada, 0), core.ChannelEdit{})
	w.do(204, inDirect(core.KindTyping, ch.ID, ada, 0), nil, nil)

	// Closed for Bea, and back with the next message, once.
	w.do(200, inDirect(core.KindDirectClose, ch.ID, bea, 0), nil, nil)
	w.do(200, inDirect(core.KindDirectClose, ch.ID, bea, 0), nil, nil)
	x.of(t, 1, proto.EventInternalDirectClosed)
	if _, seen := w.directSnapshot(ch.ID, bea, 0); seen != nil {
		t.Error("Bea still has what she closed")
	}
	o.stop()
	w.own("next")
	say(ada, "back?")
	say(ada, "again")
	x.of(t, 3, proto.EventInternalDirectOpened)
	if list, err := w.dir.DirectsOf(context.Background(), bea); err != nil || len(list) != 1 || list[0].ID != ch.ID {
		t.Errorf("Bea's list: %+v, %v", list, err)
	}
	if again := w.openDirect(bea, ada); again.ID != ch.ID || again.Recipients[0].ID != ada {
		t.Errorf("Bea opened %+v", again)
	}
}

func TestProfile(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	ada, bea := w.person("ada"), w.person("bea")
	h := w.home(ada)
	h.join(bea)
	relaytest.Until(t, "Bea's bucket knows of the guild", func() bool {
		ids, err := w.dir.GuildsOf(context.Background(), bea)
		return err == nil && len(ids) == 1
	})
	x := w.listen()

	edit := func(actor proto.ID, name string) *pb.Command {
		c := &pb.Command{Id: newCommandID(), Kind: core.KindUserEdit, Actor: uint64(actor), Bucket: uint32(actor.Bucket())}
		if name != "" {
			w.reserve(name, c.Id)
		}
		return c
	}
	var self proto.SelfUser
	w.do(200, edit(bea, "beatrice"), core.UserEdit{Username: new("beatrice"), GlobalName: core.Optional[string]{Set: true, Value: new("Bea")}}, &self)
	if self.Username != "beatrice" || self.GlobalName == nil || *self.GlobalName != "Bea" {
		t.Fatalf("edited: %+v", self)
	}
	w.refused(&proto.Error{Status: 400, Code: 50035}, edit(bea, ""), core.UserEdit{Username: new("ada")}) // not reserved: hers
	var m proto.GuildMember
	if err := json.Unmarshal(x.of(t, 1, proto.EventGuildMemberUpdate)[0].Body, &m); err != nil || m.User.Username != "beatrice" {
		t.Errorf("member update: %+v, %v", m, err)
	}
	x.of(t, 1, proto.EventUserUpdate)
	if msg := h.say(bea, "hi"); msg.Author.Username != "beatrice" {
		t.Errorf("author: %+v", msg.Author)
	}
	w.do(200, edit(bea, ""), core.UserEdit{}, nil)
	forged := h.cmd(core.KindMemberUser, bea, bea)
	w.refused(proto.ErrMissingPermission, forged, self.User)

	relation := func(kind string, actor, target proto.ID) *pb.Command {
		return &pb.Command{Kind: kind, Actor: uint64(actor), Target: uint64(target), Bucket: uint32(actor.Bucket())}
	}
	blocked := func(want bool) {
		t.Helper()
		for _, pair := range [][2]proto.ID{{ada, bea}, {bea, ada}} {
			if got, err := w.dir.Blocked(context.Background(), pair[0], pair[1]); err != nil || got != want {
				t.Errorf("blocked: %t, %v; want %t", got, err, want)
			}
		}
	}
	w.do(204, relation(core.KindRelationPut, ada, bea), core.RelationPut{Type: 2}, nil)
	blocked(true)
	w.do(204, relation(core.KindRelationPut, ada, bea), core.RelationPut{Type: 2}, nil)
	w.refused(&proto.Error{Status: 400, Code: 50035}, relation(core.KindRelationPut, ada, bea), core.RelationPut{Type: 1})
	w.refused(proto.ErrUnknownUser, relation(core.KindRelationPut, ada, h.guild), core.RelationPut{Type: 2})
	w.do(204, relation(core.KindRelationDrop, ada, bea), nil, nil)
	blocked(false)
	x.of(t, 1, proto.EventRelationshipAdd)
}
