package edge_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

// console asks a page of the edge.
func (w *world) console(t *testing.T, method, target string, into any) int {
	t.Helper()
	rec := httptest.NewRecorder()
	w.edge.Console().ServeHTTP(rec, httptest.NewRequest(method, "/admin/v1/"+target, nil))
	if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
		t.Fatalf("%s %s: %d %q: %v", method, target, rec.Code, rec.Body, err)
	}
	return rec.Code
}

func (w *world) sessions(t *testing.T, query string) edge.Sessions {
	t.Helper()
	var s edge.Sessions
	if status := w.console(t, "GET", "sessions"+query, &s); status != 200 {
		t.Fatalf("sessions%s: got %d", query, status)
	}
	return s
}

func TestOperatorsSeeSessions(t *testing.T) {
	w := newWorld(t, nil)
	if s := w.sessions(t, ""); s.Total != 0 || s.Sessions == nil || s.Edge != "edge-test" {
		t.Errorf("nobody is here: got %+v", s)
	}
	alice := w.dial(t)
	ready := alice.Identify(w.alice.Token, map[string]any{"intents": 513})
	alice.Expect(proto.EventGuildCreate, nil)
	bob, _ := w.login(t, w.bob, nil)

	var at edge.Standing
	relaytest.Until(t, "the edge tells where it stands", func() bool {
		return w.console(t, "GET", "edge", &at) == 200 && at.BeatAge != nil
	})
	if at.Name != "edge-test" || at.Healthy != "" || at.Drains || at.Leaf == "" || at.BeatAge == nil || at.Connections != 2 || at.Sessions != 2 ||
		at.Detached != 0 || at.Guilds != 1 || at.Buckets < 2 || at.Delivered < 4 {
		t.Errorf("the edge: got %+v", at)
	}

	got := w.sessions(t, "?user="+w.alice.ID.String())
	if got.Total != 1 || len(got.Sessions) != 1 || got.Next != nil {
		t.Fatalf("Alice's: got %+v, want one", got)
	}
	s := got.Sessions[0]
	if !strings.HasPrefix(ready.SessionID, s.ID) || len(s.ID) != 8 || s.User != w.alice.ID || s.Bot || s.Login != w.alice.Login || s.Guilds != 1 ||
		s.Intents != 513 || s.Encoding != "json" || s.Compress != "none" || !s.Connected || s.Since.IsZero() || s.Remote != "127.0.0.1" {
		t.Errorf("Alice's: got %+v", s)
	}
	text, _ := json.Marshal(got)
	for _, secret := range []string{ready.SessionID, w.alice.Token} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the list shows %q", secret)
		}
	}

	var paged []string
	for after, more := "", true; more; {
		p := w.sessions(t, "?limit=1&after="+url.QueryEscape(after))
		if p.Total != 2 || len(p.Sessions) != 1 || len(paged) > 2 {
			t.Fatalf("page after %q: got %+v, want one of two", after, p)
		}
		paged = append(paged, p.Sessions[0].ID)
		if more = p.Next != nil; more {
			after = *p.Next
		}
	}
	if all := w.sessions(t, "?order=queued"); len(paged) != 2 || !slices.IsSorted(paged) || len(all.Sessions) != 2 {
		t.Errorf("pages %q, all %+v, want two sessions in order", paged, all)
	}

	bob.Close(4000)
	relaytest.Until(t, "Bob is detached", func() bool { return !w.sessions(t, "?user="+w.bob.ID.String()).Sessions[0].Connected })
	if b := w.sessions(t, "?user="+w.bob.ID.String()).Sessions[0]; !b.Bot || b.Remote != "" || b.Since.IsZero() || b.Kept == 0 {
		t.Errorf("Bob's: got %+v, want a detached bot", b)
	}

	var answer struct{ Error string }
	if status := w.console(t, "POST", "sessions/"+s.ID+"/close", &answer); status != 200 {
		t.Fatalf("close: got %d %s", status, answer.Error)
	}
	alice.ExpectClose(proto.CloseUnknown)
	if s := w.sessions(t, "?user="+w.alice.ID.String()); s.Total != 0 {
		t.Errorf("after the close: got %+v, want none", s)
	}
	for target, want := range map[string]int{"sessions/" + s.ID + "/close": 404, "sessions/x/close": 400} {
		if status := w.console(t, "POST", target, &answer); status != want || answer.Error == "" {
			t.Errorf("%s: got %d %q, want %d", target, status, answer.Error, want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?user=bob", "?order=x"} {
		if status := w.console(t, "GET", "sessions"+query, &answer); status != 400 {
			t.Errorf("%s: got %d, want 400", query, status)
		}
	}
}
