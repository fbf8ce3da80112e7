package edge_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

// order sends the body of POST drain.
func (w *world) order(t *testing.T, body string) (status int, text string) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.edge.Console().ServeHTTP(rec, httptest.NewRequest("POST", "/admin/v1/drain", strings.NewReader(body)))
	return rec.Code, rec.Body.String()
}

func (w *world) draining(t *testing.T) (at edge.Draining) {
	t.Helper()
	if status := w.console(t, "GET", "drain", &at); status != 200 {
		t.Fatalf("drain: got %d", status)
	}
	return at
}

// An operator drains an edge: Alice goes when she is told, Bob is closed. The edge lives on without clients, and takes them again once that is undone.
func TestDrainByAnOperator(t *testing.T) {
	w := newWorld(t, nil)
	if at := w.draining(t); at.Drains || at.Edge != "edge-test" || at.Window != 0 {
		t.Errorf("nobody has drained it: got %+v", at)
	}
	alice, _ := w.login(t, w.alice, nil)
	bob, _ := w.login(t, w.bob, nil)
	if status, text := w.order(t, `{"window":0.05}`); status != 200 {
		t.Fatalf("got %d %s", status, text)
	}
	alice.ExpectOp(proto.OpReconnect)
	alice.Cut()
	bob.ExpectOp(proto.OpReconnect)
	bob.ExpectClose(proto.CloseRestart)
	relaytest.Until(t, "the drain is over", func() bool { return w.draining(t).Over })
	at := w.draining(t)
	if !at.Drains || at.Stops || at.Clients != 2 || at.Sessions != 2 || at.Told != 2 || at.Connections != 0 || at.Waiting != 2 || at.Resumed != 0 || at.Left != 0 {
		t.Errorf("after the drain: got %+v", at)
	}
	if err := w.edge.Healthy(); err == nil || !strings.Contains(err.Error(), "drains") {
		t.Errorf("a drained edge wants clients: %v", err)
	}
	relaytest.Until(t, "it is linked all the same", func() bool { return w.edge.Linked() == nil })
	late := w.dial(t)
	late.ExpectOp(proto.OpHello)
	late.ExpectClose(proto.CloseRestart)

	for range 2 { // once more changes nothing
		if status, text := w.order(t, `{"undo":true}`); status != 200 {
			t.Fatalf("undo: got %d %s", status, text)
		}
	}
	if at := w.draining(t); at.Drains || w.edge.Healthy() != nil {
		t.Errorf("undone: got %+v, %v", at, w.edge.Healthy())
	}
	w.core.Say(w.general, w.alice, "meanwhile")
	again := w.dial(t)
	again.Resume(w.bob.Token, bob.Session, bob.Seq)
	var got []string // the edge may hear of the message before or after the RESUME
	for range 2 {
		f := again.Next()
		got = append(got, f.T)
		if f.T == proto.EventMessageCreate && !strings.Contains(string(f.D), `"meanwhile"`) {
			t.Errorf("got %s", f.D)
		}
	}
	if slices.Sort(got); !slices.Equal(got, []string{proto.EventMessageCreate, proto.EventResumed}) {
		t.Errorf("got %v", got)
	}
}

// A drain that is under way can be undone: who was not told stays. Another with a shorter window takes its place, and the end of the edge likewise.
func TestDrainIsUndoneOnItsWay(t *testing.T) {
	w := newWorld(t, func(c *edge.Config) { c.DrainGrace = time.Hour })
	bob, _ := w.login(t, w.bob, nil)
	must := func(body string) {
		t.Helper()
		if status, text := w.order(t, body); status != 200 {
			t.Fatalf("%s: got %d %s", body, status, text)
		}
	}
	must(`{"window":3600}`)
	bob.ExpectOp(proto.OpReconnect) // the first is told at once
	if at := w.draining(t); at.Over || at.Left < 3600 || at.Told != 1 || at.Connections != 1 {
		t.Errorf("on its way: got %+v", at)
	}
	must(`{"undo":true}`)
	w.core.Say(w.general, w.alice, "stay")
	expectMessage(t, bob, "stay")
	alice, _ := w.login(t, w.alice, nil)

	must(`{"window":3600}`)
	must(`{"window":0}`)
	alice.ExpectOp(proto.OpReconnect) // Bob was told before
	alice.Cut()
	bob.Cut()
	relaytest.Until(t, "the drain is over", func() bool { return w.draining(t).Over })
	if err := w.edge.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"undo":true}`, `{"window":1}`} {
		if status, text := w.order(t, body); status != 409 || !strings.Contains(text, "stopping") {
			t.Errorf("%s to an edge that has stopped: got %d %s", body, status, text)
		}
	}
}

func TestOrdersToDrainThatAreNone(t *testing.T) {
	w := newWorld(t, nil)
	for _, body := range []string{``, `{"window":-1}`, `{"window":3601}`, `{"window":"soon"}`, `[]`} {
		if status, text := w.order(t, body); status != 400 || !strings.Contains(text, "error") {
			t.Errorf("%q: got %d %s", body, status, text)
		}
	}
	if at := w.draining(t); at.Drains {
		t.Errorf("it drains: %+v", at)
	}
}
