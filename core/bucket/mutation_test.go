package bucket

import (
	"context"
	"slices"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// sayTo has a certain owner hear a message, where two believe to own the bucket: both hear every command.
func (h *home) sayTo(b *bucket, user proto.ID, content string) *pb.Result {
	h.w.t.Helper()
	cmd := h.cmd(core.KindMessageCreate, user, 0)
	cmd.Id, cmd.Bucket, cmd.Body = newCommandID(), uint32(h.guild.Bucket()), encode(core.MessageCreate{Content: content})
	raw, err := protobuf.Marshal(cmd)
	if err != nil {
		h.w.t.Fatal(err)
	}
	reply := make(chan *pb.Result, 1)
	b.enqueue(&call{raw: raw, reply: func(b []byte) {
		r := &pb.Result{}
		if err := protobuf.Unmarshal(b, r); err != nil {
			h.w.t.Error(err)
		}
		reply <- r
	}})
	return <-reply
}

// inHistory tells whether the history has a message of such content.
func (h *home) inHistory(content string) bool {
	page, err := h.w.hist.Before(context.Background(), h.general, 0, 100)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return slices.ContainsFunc(page, func(m proto.Message) bool { return m.Content == content })
}

// What the log refused never touches a store; an owner that writes to stores before the log has taken it leaves a phantom, and this finds it.
func TestStoresComeBehindTheLog(t *testing.T) {
	defer storesFirst.Store(false)
	for _, first := range []bool{false, true} {
		w := newWorld(t)
		stale := w.own("first")
		alice := w.person("alice")
		h := w.home(alice)
		next := w.own("second")
		old := stale.buckets[h.guild.Bucket()]
		storesFirst.Store(first)
		r := h.sayTo(old, alice, "phantom")
		storesFirst.Store(false)
		if r.Status != 503 {
			t.Errorf("the first answers %d, want 503", r.Status)
		}
		relaytest.Until(t, "the first knows", func() bool { return old.phase.Load() == phaseLost })
		if first {
			relaytest.Until(t, "store write before the append: caught, a phantom is in the history", func() bool { return h.inHistory("phantom") })
		} else if h.say(alice, "after it"); h.inHistory("phantom") {
			t.Error("the history has what the log refused")
		}
		next.stop()
		stale.stop()
	}
}
