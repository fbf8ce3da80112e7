package bucket

import (
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Results are known for memory, and not longer.
func TestRecent(t *testing.T) {
	r := newRecent()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key := nonceKey{1, 2, "n"}
	old, young := []byte("an old command.."), []byte("short")
	r.learn(&pb.Event{Type: proto.EventMessageCreate, Author: 1, Channel: 2, Nonce: "n", Command: old}, 5, now)
	r.learn(&pb.Event{Type: proto.EventChannelCreate, Command: young}, 6, now.Add(time.Minute))
	r.learn(&pb.Event{Type: proto.EventChannelCreate}, 7, now) // of no command
	r.forget(now.Add(memory))
	if m := r.command(old); m == nil || m.sequence != 5 || r.nonce(key) != m {
		t.Errorf("within memory: got %+v, nonce %+v", m, r.nonce(key))
	}
	r.forget(now.Add(memory + time.Millisecond))
	if r.command(old) != nil || r.nonce(key) != nil || r.command(young) == nil || len(r.order) != 1 {
		t.Errorf("beyond: got %+v", r)
	}
	r.forget(now.Add(time.Hour))
	if len(r.commands)+len(r.nonces)+len(r.order) != 0 {
		t.Errorf("after an hour: got %+v", r)
	}
}

// The overlay holds a message's last change until the history has that very change.
func TestOverlay(t *testing.T) {
	o := newOverlay()
	made, edited := &pb.Event{Id: 9}, &pb.Event{Id: 9}
	o.pend(9, made)
	o.appended([]*pb.Event{made, {Id: 1}}, 5)
	o.pend(9, edited)
	o.applied(5)
	if ev, ok := o.get(9); !ok || ev != edited {
		t.Errorf("pending edit: got %v, %v", ev, ok)
	}
	o.appended([]*pb.Event{edited}, 6)
	o.applied(5)
	if _, ok := o.get(9); !ok {
		t.Error("the edit is gone before the history has it")
	}
	o.applied(6)
	if _, ok := o.get(9); ok || len(o.messages)+len(o.order) != 0 {
		t.Errorf("applied: got %+v", o)
	}
	o.pend(9, nil)
	if ev, ok := o.get(9); !ok || ev != nil {
		t.Errorf("deleted: got %v, %v", ev, ok)
	}
}

// The member cache forgets what was not used for a generation, and only when told that it may.
func TestMembers(t *testing.T) {
	m := newMembers(2)
	for id := proto.ID(1); id <= 5; id++ {
		m.put(id, &proto.Member{})
	}
	m.put(6, nil) // known to be none
	m.trim()
	if _, ok := m.get(1); !ok { // and is young again
		t.Error("forgotten after one generation")
	}
	if v, ok := m.get(6); !ok || v != nil {
		t.Errorf("no member: got %v, %v", v, ok)
	}
	m.put(7, &proto.Member{})
	n := 0
	m.each(func(proto.ID, *proto.Member) { n++ })
	if n != 6 {
		t.Errorf("got %d members in memory, want 6", n)
	}
	m.trim()
	if _, ok := m.get(2); ok {
		t.Error("never forgotten")
	}
	if _, ok := m.get(1); !ok {
		t.Error("forgotten although used")
	}
}

func TestSplit(t *testing.T) {
	ev := func(n int) *pb.Event { return &pb.Event{Body: make([]byte, n)} }
	for _, c := range []struct {
		sizes []int
		want  int
	}{{[]int{10}, 1}, {[]int{2000, 10}, 1}, {[]int{400, 400, 400}, 2}, {[]int{400, 400}, 2}} {
		var events []*pb.Event
		for _, n := range c.sizes {
			events = append(events, ev(n))
		}
		head, rest := split(events, 1000)
		if len(head) != c.want || len(head)+len(rest) != len(events) {
			t.Errorf("%v: got %d and %d, want %d first", c.sizes, len(head), len(rest), c.want)
		}
	}
}
