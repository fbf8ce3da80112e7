package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// The more wait, the more go out with one append; and none is lost, doubled or out of order.
func TestGroupCommitGrows(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	burst := func(n int) (entries uint64) {
		before := o.buckets[h.guild.Bucket()].at.Load().Counter
		var wg sync.WaitGroup
		var bad atomic.Int64
		for i := range n {
			wg.Go(func() {
				r, err := w.ask(h.cmd(core.KindMessageCreate, alice, 0), core.MessageCreate{Content: fmt.Sprint(i)})
				if err != nil || r.Status != 200 {
					bad.Add(1)
				}
			})
		}
		wg.Wait()
		if bad.Load() > 0 {
			t.Errorf("%d of %d sends failed", bad.Load(), n)
		}
		return o.buckets[h.guild.Bucket()].at.Load().Counter - before
	}
	if got := burst(1); got != 1 {
		t.Errorf("one message: got %d entries, want 1", got)
	}
	const many = 1000
	entries := burst(many)
	t.Logf("%d messages at once went out in %d entries", many, entries)
	if entries > many/4 {
		t.Errorf("%d messages: got %d entries, want at most a quarter", many, entries)
	}
	relaytest.Until(t, "the history, whom nobody waits for where it is slow", func() bool {
		return o.buckets[h.guild.Bucket()].stores.Load().hist.backlog() == 0
	})
	total := 0
	seen := map[string]bool{}
	for before := proto.ID(0); ; {
		page, err := w.hist.Before(context.Background(), h.general, before, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			if before != 0 && m.ID >= before || seen[m.Content] && m.Content != "0" {
				t.Errorf("message %d after %d, %q", m.ID, before, m.Content)
			}
			seen[m.Content] = true
			before = m.ID
		}
		total += len(page)
		if len(page) < 100 {
			break
		}
	}
	if total != many+1 {
		t.Errorf("history: got %d messages, want %d", total, many+1)
	}
}

// The owner dies after the append and before the directory has it: the next owner replays it, and the retry gets the first answer.
func TestReplayAfterCrash(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	w.dir.set(true)
	cmd := h.cmd(core.KindChannelCreate, alice, 0)
	before := o.at(h.guild)
	answered := make(chan *pb.Result, 1)
	go func() {
		r, _ := w.ask(cmd, core.ChannelCreate{Name: "attic"})
		answered <- r
	}()
	relaytest.Until(t, "the log has it", func() bool { return o.at(h.guild) > before })
	o.stop()
	if r := <-answered; r != nil && r.Status < 500 {
		t.Errorf("answered %d although the directory does not have it", r.Status)
	}
	if g, err := w.dir.Guild(context.Background(), h.guild); err != nil || len(g.Channels) != 1 {
		t.Fatalf("directory: %d channels, %v, want 1", len(g.Channels), err)
	}
	w.dir.set(false)
	o = w.own("core")
	if g, err := w.dir.Guild(context.Background(), h.guild); err != nil || len(g.Channels) != 2 {
		t.Errorf("directory after replay: %d channels, %v, want 2", len(g.Channels), err)
	}
	var ch proto.Channel
	w.do(201, cmd, core.ChannelCreate{Name: "attic"}, &ch)
	if ch.Name != "attic" {
		t.Errorf("retry answered %+v", ch)
	}
	if next := h.say(alice, "x"); next.ID <= ch.ID {
		t.Errorf("id %d after %d", next.ID, ch.ID)
	}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// While the directory is down messages go on; structure waits and is done when it is back.
func TestDirectoryDown(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	w.dir.set(true)
	var wg sync.WaitGroup
	statuses := make([]int32, 3)
	for i := range statuses {
		wg.Go(func() {
			r, err := w.ask(h.cmd(core.KindChannelCreate, alice, 0), core.ChannelCreate{Name: fmt.Sprint("room-", i)})
			if err == nil {
				statuses[i] = r.Status
			}
		})
	}
	b := o.buckets[h.guild.Bucket()]
	relaytest.Until(t, "a channel waits for the directory", func() bool {
		lags := make(chan bool, 1)
		return b.between(func(context.Context) { lags <- !b.synced() }) && <-lags
	})
	for range 5 {
		h.say(alice, "still here")
	}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
	w.dir.set(false)
	wg.Wait()
	if !slices.Equal(statuses, []int32{201, 201, 201}) {
		t.Errorf("channels: got %v, want 201 each", statuses)
	}
	if g, _ := h.snapshot(); len(g.Channels) != 4 {
		t.Errorf("snapshot: got %d channels, want 4", len(g.Channels))
	}
}

// While the history hangs, sends are answered on the log alone, and edits find what it lacks.
func TestHistorySlow(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	release := w.hist.halt()
	begun := time.Now()
	m := h.say(alice, "first")
	if took := time.Since(begun); took < storeWait || took > 10*storeWait {
		t.Errorf("the first send took %s, want some %s", took, storeWait)
	}
	begun = time.Now()
	for range 10 {
		h.say(alice, "more")
	}
	if took := time.Since(begun); took > 10*storeWait/2 {
		t.Errorf("ten sends to a history known to be slow took %s", took)
	}
	text := "second"
	var edited proto.Message
	w.do(200, h.cmd(core.KindMessageEdit, alice, m.ID), core.MessageEdit{Content: &text}, &edited)
	if edited.Content != text {
		t.Errorf("edited: %q", edited.Content)
	}
	if got, err := w.hist.Message(context.Background(), h.general, m.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("history has %+v, %v", got, err)
	}
	release()
	relaytest.Until(t, "the history catches up", func() bool {
		got, err := w.hist.Message(context.Background(), h.general, m.ID)
		return err == nil && got.Content == text
	})
	relaytest.Until(t, "the tables agree", func() bool { return o.Check() == nil })
}

// A second owner over the same log fences the first, which answers no success any more.
func TestTwoOwners(t *testing.T) {
	w := newWorld(t)
	first := w.own("first")
	alice := w.person("alice")
	h := w.home(alice)
	h.say(alice, "to the first")
	lost := counter(t, supersededTotal)
	second := w.own("second")
	old, now := first.buckets[h.guild.Bucket()], second.buckets[h.guild.Bucket()]

	if r := h.sayTo(old, alice, "to whom?"); r.Status != 503 {
		t.Errorf("the first answers %d, want 503", r.Status)
	}
	relaytest.Until(t, "the first knows", func() bool { return old.phase.Load() == phaseLost })
	if got := counter(t, supersededTotal); got != lost+1 {
		t.Errorf("superseded: got %v, want %v", got, lost+1)
	}
	at := now.at.Load().Epoch
	for range 20 {
		m := h.say(alice, "to the second")
		if got, err := w.hist.Message(context.Background(), h.general, m.ID); err != nil || got.ID != m.ID {
			t.Errorf("message %d: %v", m.ID, err)
		}
	}
	if p := now.at.Load(); p == nil || p.Epoch != at || old.phase.Load() != phaseLost {
		t.Errorf("the first took the bucket back from a living owner")
	}
	second.stop()
	relaytest.Until(t, "the first takes back what nobody owns", func() bool { return old.phase.Load() == phaseOwned })
	if m := h.say(alice, "to the first again"); m.ID == 0 {
		t.Error("no id")
	}
}

// Beyond its queue a bucket refuses at once.
func TestQueueFull(t *testing.T) {
	o := New(Config{Name: "core", Region: relaytest.Region, Log: &relay.Log{}, Directory: &faulty{}, History: &slowHistory{}})
	o.closed = true // no goroutine takes anything out
	b := o.buckets[7]
	var refused []int32
	put := func() {
		b.enqueue(&call{raw: make([]byte, 10), reply: func(body []byte) {
			r := &pb.Result{}
			if err := protobuf.Unmarshal(body, r); err != nil {
				t.Error(err)
			}
			refused = append(refused, r.Status)
		}})
	}
	for range queueCalls {
		put()
	}
	if len(refused) != 0 {
		t.Fatalf("%d refused below the limit", len(refused))
	}
	put()
	if !slices.Equal(refused, []int32{503}) {
		t.Errorf("one past the limit: got %v, want one 503", refused)
	}
}

func counter(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
