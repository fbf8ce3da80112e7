package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/shape"
	"github.com/starling-chat/starling/proto"
)

// The mesh answers exactly the routes of docs/api.yaml, under each of their prefixes.
func TestEveryRouteIsDocumented(t *testing.T) {
	d, routes := readDocs(t), served(t, plain.get(t))
	documented := map[string]bool{}
	for _, o := range d.ops {
		prefixes := []string{"/api/v10", "/api/v9", "/v1"}
		if o.Root {
			prefixes = append(prefixes, "")
		}
		for _, prefix := range prefixes {
			route := o.Method + " " + prefix + unnamed(o.Path)
			documented[route] = true
			if !routes[route] {
				t.Errorf("%s is documented, and the server has no such route", route)
			}
		}
	}
	for _, route := range slices.Sorted(maps.Keys(routes)) {
		if !documented[route] {
			t.Errorf("the server answers %s, and docs/api.yaml says nothing of it", route)
		}
	}
}

// Olivia makes every call that docs/api.yaml describes, as its example shows it. Each answer has the status and the form that stand there,
// and each call brings the events that docs/gateway.yaml says it makes, in the form that stands there.
func TestDocumentedCalls(t *testing.T) {
	d := readDocs(t)
	g := newGuide(t)
	routes := served(t, g.m)
	made := map[string][]string{} // operation → events
	for name, e := range d.events {
		for _, by := range e.MadeBy {
			made[by] = append(made[by], name)
		}
	}
	known := map[string]bool{}
	for _, o := range d.ops {
		known[o.ID] = true
		if !routes[o.Method+" /api/v10"+unnamed(o.Path)] {
			continue // TestEveryRouteIsDocumented tells
		}
		g.t.Run(o.ID, func(t *testing.T) {
			c := g.call(t, o)
			marks := g.marks()
			a := take[*client.Answer](t)(c.as.Raw(within(t, patience), o.Method, o.fill(c.path)+c.query, c.body))
			if want := o.success(); fmt.Sprint(a.Status) != want {
				t.Errorf("got %d %.300s, want %s", a.Status, a.Body, want)
			}
			if err := d.answer(o, a.Status, a.Body); err != nil {
				t.Error(err)
			}
			for _, p := range shape.Limits(a.Header) {
				t.Error(p)
			}
			if a.Header.Get("Via") == "" || !shape.HasLimit(a.Header) {
				t.Errorf("headers %v, want Via and the limit's", a.Header)
			}
			for _, name := range made[o.ID] {
				if !g.hears(marks, event(name)) {
					t.Errorf("%s did not come", name)
				}
			}
		})
	}
	g.gatewayCalls(t)
	for by := range made {
		if !known[by] && !strings.HasPrefix(by, "op ") {
			t.Errorf("docs/gateway.yaml names the operation %q, which docs/api.yaml does not have", by)
		}
	}
	g.compareEvents(t, d)
}

// compareEvents holds everything that any session got against docs/gateway.yaml.
func (g *guide) compareEvents(t *testing.T, d *documents) {
	t.Helper()
	ops := map[int]string{}
	for name, e := range d.events {
		if e.Op != nil && *e.Op != 0 {
			ops[*e.Op] = name
		}
	}
	seen, bad := map[string]bool{}, map[string]bool{}
	for _, s := range g.sessions {
		for _, e := range s.Since(0) {
			name, frame := e.T, map[string]any{"op": e.Op, "d": e.D, "s": e.S, "t": e.T}
			if e.Op != 0 {
				name, frame = ops[e.Op], map[string]any{"op": e.Op, "d": e.D, "s": nil, "t": nil}
			}
			seen[name] = true
			if bad[name] {
				continue
			}
			schema, err := d.schema(gatewayDoc, "components", "messages", name, "payload")
			if err == nil {
				err = fits(schema, take[[]byte](t)(json.Marshal(frame)))
			}
			if err != nil {
				bad[name] = true
				t.Errorf("%s (op %d): %v", name, e.Op, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.events)) {
		e := d.events[name]
		if e.Elsewhere != "" { // it takes more than this mesh has: another test makes it
			if text, err := os.ReadFile("../" + e.Elsewhere); err != nil || !strings.Contains(string(text), name) {
				t.Errorf("%s: %s does not make it (%v)", name, e.Elsewhere, err)
			}
			continue
		}
		if e.Op != nil && *e.Op == 0 && !seen[name] {
			t.Errorf("%s is documented, and no call made it", name)
		}
	}
}

// What any story may meet is documented: the shapes that all stories hold frames against name no event that docs/gateway.yaml lacks.
func TestEveryEventIsDocumented(t *testing.T) {
	d := readDocs(t)
	for _, name := range shape.Events() {
		if _, ok := d.events[name]; !ok {
			t.Errorf("stories may see %s, and docs/gateway.yaml says nothing of it", name)
		}
	}
}

// Every example of docs/api.yaml is what its own schema asks for.
func TestDocumentedExamples(t *testing.T) {
	d := readDocs(t)
	for _, o := range d.ops {
		if o.RequestBody == nil {
			continue
		}
		body := take[[]byte](t)(json.Marshal(o.example()))
		s, err := d.schema(apiDoc, "paths", o.Path, strings.ToLower(o.Method), "requestBody", "content", "application/json", "schema")
		if err == nil {
			err = fits(s, body)
		}
		if err != nil {
			t.Errorf("%s: %v", o.ID, err)
		}
	}
}

// hears waits until one of the sessions gets such an event after its mark.
func (g *guide) hears(marks map[*session]int, what func(client.Event) bool) bool {
	ctx, stop := context.WithTimeout(g.t.Context(), patience)
	defer stop()
	found := make(chan bool, len(g.sessions))
	for _, s := range g.sessions {
		go func() { // ends with the first that finds it, or with patience
			_, err := s.Await(ctx, marks[s], what) // 0 for sessions that the call itself began
			found <- err == nil
		}()
	}
	heard := false
	for range g.sessions {
		if <-found && !heard {
			heard = true
			stop()
		}
	}
	return heard
}

func (g *guide) marks() map[*session]int {
	marks := map[*session]int{}
	for _, s := range g.sessions {
		marks[s] = s.Mark()
	}
	return marks
}

// gatewayCalls makes what docs/gateway.yaml puts down to opcodes.
func (g *guide) gatewayCalls(t *testing.T) {
	t.Helper()
	s := g.sessions[0]
	marks := g.marks()
	must(t, s.Send(proto.OpRequestMembers, map[string]any{"guild_id": g.path["guild"], "query": "", "limit": 0, "nonce": "n"}))
	must(t, s.Send(proto.OpPresence, map[string]any{"since": nil, "activities": []any{}, "status": "idle", "afk": false}))
	must(t, s.Send(proto.OpVoiceState, map[string]any{"guild_id": g.path["guild"], "channel_id": nil}))
	must(t, s.Heartbeat())
	if !g.hears(marks, event("PRESENCE_UPDATE")) {
		t.Error("op 3 brought no PRESENCE_UPDATE")
	}
	if !g.hears(marks, event("GUILD_MEMBERS_CHUNK")) {
		t.Error("op 8 brought no GUILD_MEMBERS_CHUNK")
	}
	s.Cut()
	marks = g.marks()
	s.Gateway = g.dial(0, client.Options{Log: s.Log})
	must(t, s.Resume(s.token, s.ready.SessionID, s.S()))
	if !g.hears(marks, event("RESUMED")) {
		t.Error("op 6 brought no RESUMED")
	}
}
