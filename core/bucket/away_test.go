package bucket

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

// absentHistory is a real history that nobody can reach while told so.
type absentHistory struct {
	core.History
	gone atomic.Bool
}

var errAbsent = errors.New("nobody there")

func (a *absentHistory) err() error {
	if a.gone.Load() {
		return errAbsent
	}
	return nil
}

func (a *absentHistory) Apply(ctx context.Context, e []core.Applied) error {
	if err := a.err(); err != nil {
		return err
	}
	return a.History.Apply(ctx, e)
}

func (a *absentHistory) Checkpoint(ctx context.Context, bucket int) (core.Checkpoint, error) {
	if err := a.err(); err != nil {
		return core.Checkpoint{}, err
	}
	return a.History.Checkpoint(ctx, bucket)
}

func (a *absentHistory) Checkpoints(ctx context.Context) ([]core.Checkpoint, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.History.Checkpoints(ctx)
}

func (a *absentHistory) Message(ctx context.Context, channel, id proto.ID) (proto.Message, error) {
	if err := a.err(); err != nil {
		return proto.Message{}, err
	}
	return a.History.Message(ctx, channel, id)
}

func (a *absentHistory) LastID(ctx context.Context, channel proto.ID) (proto.ID, error) {
	if err := a.err(); err != nil {
		return 0, err
	}
	return a.History.LastID(ctx, channel)
}

// The history goes away, an owner dies with messages that only the log has, and the next one starts before the history is back: it serves,
// and what the history lacks is there in the end, once and in order. The same without a note of how far the history was, and with a log that
// was lost as well.
func TestStartWhileHistoryIsAway(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name        string
		noted, anew bool
	}{{name: "noted", noted: true}, {name: "no note"}, {name: "log made anew", noted: true, anew: true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			o := w.own("core")
			alice := w.person("alice")
			h := w.home(alice)
			var sent []proto.Message
			for n := range 5 {
				sent = append(sent, h.say(alice, fmt.Sprint("before ", n)))
			}
			if c.noted {
				o.noteHistory(ctx, map[int]core.Checkpoint{})
				note, err := w.dir.HistoryNote(ctx, h.guild.Bucket())
				if err != nil || note.Counter == 0 || note.Incarnation != o.log.Incarnation() {
					t.Fatalf("note: %+v, %v", note, err)
				}
			}
			w.absent.gone.Store(true)
			if !c.anew { // what only a lost log had is lost
				for n := range 5 {
					sent = append(sent, h.say(alice, fmt.Sprint("in the log alone ", n)))
				}
			}
			o.stop()
			if c.anew {
				w.mesh.StopHub()
				if err := os.RemoveAll(w.mesh.Dir); err != nil {
					t.Fatal(err)
				}
				w.mesh.StartHub(t)
				w.bus = w.mesh.CoreBus(t)
			}
			o = w.own("core")
			for n := range 5 {
				sent = append(sent, h.say(alice, fmt.Sprint("after the start ", n)))
			}
			if g, _ := h.snapshot(); g.Name != "Roost" || len(g.Members) != 1 {
				t.Errorf("snapshot: %+v", g)
			}
			text := "edited"
			w.refused(proto.ErrUnavailable, h.cmd(core.KindMessageEdit, alice, sent[0].ID), core.MessageEdit{Content: &text})
			w.absent.gone.Store(false)
			b := o.buckets[h.guild.Bucket()]
			relaytest.Until(t, "the history catches up", func() bool { s := b.stores.Load(); return s != nil && s.hist.backlog() == 0 })
			page, err := w.hist.Before(ctx, h.general, 0, 100)
			if err != nil || len(page) != len(sent) {
				t.Fatalf("history: %d messages, %v, want %d", len(page), err, len(sent))
			}
			for i, m := range page {
				if want := sent[len(sent)-1-i]; m.ID != want.ID || m.Content != want.Content {
					t.Errorf("message %d from the end: got %d %q, want %d %q", i, m.ID, m.Content, want.ID, want.Content)
				}
			}
			w.do(200, h.cmd(core.KindMessageEdit, alice, sent[0].ID), core.MessageEdit{Content: &text}, nil)
			relaytest.Until(t, "the edit is in the history", func() bool {
				m, err := w.hist.Message(ctx, h.general, sent[0].ID)
				return err == nil && m.Content == text
			})
			if err := o.Check(); err != nil {
				t.Error(err)
			}
			o.stop()
			w.own("core")
			if got := h.say(alice, "and on"); got.ID <= sent[len(sent)-1].ID {
				t.Errorf("id %d after %d", got.ID, sent[len(sent)-1].ID)
			}
		})
	}
}
