package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Presences runs the suite of core.Presences. Two stores are two cores that share what is kept; each test has users of its own, and runs with
// others on one store.
func Presences(t *testing.T, one, two core.Presences) {
	for name, test := range map[string]func(t *testing.T, h *hall){
		"a session comes and goes":  testComesAndGoes,
		"several edges":             testSeveralEdges,
		"invisible":                 testInvisible,
		"what was reported is told": testReportedIsTold,
		"lapse":                     testLapse,
		"refresh of the unknown":    testRefreshUnknown,
		"lapse by two cores":        testLapseTwice,
		"edges at once":             testEdgesAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, newHall(t, one, two)) })
	}
}

// A hall is where users of one test are seen.
type hall struct {
	*testing.T
	ctx      context.Context
	one, two core.Presences
	now      time.Time // far apart in different tests: what lapses is of this one
	users    []proto.ID
}

func newHall(t *testing.T, one, two core.Presences) *hall {
	h := &hall{T: t, ctx: bounded(t), one: one, two: two, now: time.Now().Truncate(time.Millisecond)}
	for range 4 {
		h.users = append(h.users, proto.ID(rand.Uint64()>>2))
	}
	t.Cleanup(func() { // nothing is left for the next test
		for range 100 {
			c, err := one.Lapse(context.WithoutCancel(h.ctx), h.now.Add(24*time.Hour), 10_000)
			if err != nil {
				t.Error(err)
			}
			if len(c) == 0 {
				return
			}
		}
	})
	return h
}

func (h *hall) look(user int, status proto.Status) core.PresenceReport {
	return core.PresenceReport{Presence: core.Presence{User: h.users[user], Status: status, LastActive: h.now,
		Activities: []byte(`[{"name":"chess <3", "type": 0}]`), Devices: map[string]proto.Status{"web": status}}}
}

func gone(user proto.ID) core.PresenceReport {
	return core.PresenceReport{Presence: core.Presence{User: user}, Gone: true}
}

func refreshed(r core.PresenceReport) core.PresenceReport {
	r.Refresh = true
	return r
}

func (h *hall) report(edge string, reports ...core.PresenceReport) []core.PresenceChange {
	h.Helper()
	return must[[]core.PresenceChange](h.T)(h.one.Report(h.ctx, edge, reports, h.now))
}

func (h *hall) lapse() []core.PresenceChange {
	h.Helper()
	return must[[]core.PresenceChange](h.T)(h.one.Lapse(h.ctx, h.now, 1000))
}

// told compares changes with "before>after" of users, in any order.
func (h *hall) told(what string, got []core.PresenceChange, want ...string) {
	h.Helper()
	have := make([]string, 0)
	for _, c := range got {
		if c.Before.User != c.After.User {
			h.Errorf("%s: a change from user %d to %d", what, c.Before.User, c.After.User)
		}
		have = append(have, fmt.Sprintf("%d:%s>%s", slices.Index(h.users, c.After.User), c.Before.Status, c.After.Status))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		h.Fatalf("%s: told %q, want %q", what, have, want)
	}
}

// seen compares how users look to others, by both cores.
func (h *hall) seen(what string, want ...string) {
	h.Helper()
	for i, s := range []core.Presences{h.one, h.two} {
		have := make([]string, 0)
		for _, p := range must[[]core.Presence](h.T)(s.Presences(h.ctx, h.users)) {
			have = append(have, fmt.Sprintf("%d:%s", slices.Index(h.users, p.User), p.Status))
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			h.Fatalf("%s: core %d sees %q, want %q", what, i, have, want)
		}
	}
}

func (h *hall) edges(what string, user int, want ...string) {
	h.Helper()
	have := must[[]string](h.T)(h.two.Edges(h.ctx, h.users[user], h.now))
	slices.Sort(have)
	if !slices.Equal(have, want) {
		h.Fatalf("%s: edges %q, want %q", what, have, want)
	}
}

func testComesAndGoes(t *testing.T, h *hall) {
	h.seen("nobody yet")
	h.edges("nobody yet", 0)
	h.told("Alice and Bob come", h.report("e1", h.look(0, "online"), h.look(1, "idle")), "0:>online", "1:>idle")
	h.seen("both", "0:online", "1:idle")
	h.edges("Alice", 0, "e1")
	h.told("the same again", h.report("e1", h.look(0, "online")))
	h.told("refresh", h.report("e1", refreshed(h.look(0, "online")), refreshed(h.look(1, "idle"))))
	h.told("Bob is busy", h.report("e1", h.look(1, "dnd")), "1:idle>dnd")
	h.told("Alice leaves an edge where she was not", h.report("e9", gone(h.users[0])))
	h.told("she leaves", h.report("e1", gone(h.users[0])), "0:online>")
	h.seen("Bob alone", "1:dnd")
	h.edges("Alice", 0)
	h.told("she leaves again", h.report("e1", gone(h.users[0])))
	h.told("gone and back in one batch", h.report("e1", gone(h.users[1]), h.look(1, "dnd")), "1:dnd>", "1:>dnd")
	h.edges("Bob", 1, "e1")
}

func testSeveralEdges(t *testing.T, h *hall) {
	h.report("e1", h.look(0, "idle"))
	h.now = h.now.Add(time.Second)
	h.told("active on another", h.report("e2", h.look(0, "online")), "0:idle>online")
	h.edges("both", 0, "e1", "e2")
	p := must[[]core.Presence](t)(h.two.Presences(h.ctx, h.users))
	if len(p) != 1 || !p[0].LastActive.Equal(h.now) {
		t.Fatalf("got %+v, want online since %v", p, h.now)
	}
	h.told("one ends", h.report("e2", gone(h.users[0])), "0:online>idle")
	h.told("the other ends", h.report("e1", gone(h.users[0])), "0:idle>")
}

// Alice hides: others are told nothing of her, not even that she ceases to.
func testInvisible(t *testing.T, h *hall) {
	h.told("invisible", h.report("e1", h.look(0, "invisible")))
	h.seen("invisible")
	h.edges("invisible", 0, "e1")
	h.told("online elsewhere", h.report("e2", h.look(0, "idle")), "0:>idle")
	p := must[[]core.Presence](t)(h.one.Presences(h.ctx, h.users[:1]))
	if len(p) != 1 || len(p[0].Devices) != 1 || p[0].Devices["web"] != "idle" {
		t.Fatalf("got %+v", p)
	}
	h.told("invisible there, too", h.report("e2", h.look(0, "invisible")), "0:idle>")
	h.told("one goes", h.report("e2", gone(h.users[0])))
	h.told("she shows herself", h.report("e1", h.look(0, "dnd")), "0:>dnd")
	h.told("and hides", h.report("e1", h.look(0, "invisible")), "0:dnd>")
	h.now = h.now.Add(core.PresenceTTL)
	h.told("her edge dies", h.lapse())
	h.edges("dead", 0)
}

func testReportedIsTold(t *testing.T, h *hall) {
	r := h.look(0, "online")
	r.Devices = map[string]proto.Status{"desktop": "online", "mobile": "idle"}
	want := r.Presence
	check := func(what string, got core.Presence) {
		t.Helper()
		if !got.Same(want) || !got.LastActive.Equal(want.LastActive) {
			t.Fatalf("%s: got %+v %s, want %+v %s", what, got, got.Activities, want, want.Activities)
		}
	}
	changes := h.report("e1", r)
	h.told("she comes", changes, "0:>online")
	check("told", changes[0].After)
	check("asked", must[[]core.Presence](t)(h.two.Presences(h.ctx, h.users[:1]))[0])
	r.Activities = nil
	want = r.Presence
	changes = h.report("e1", r)
	h.told("no game any more", changes, "0:online>online")
	check("told", changes[0].After)
	check("asked", must[[]core.Presence](t)(h.two.Presences(h.ctx, h.users[:1]))[0])
}

func testLapse(t *testing.T, h *hall) {
	h.report("e1", h.look(0, "online"), h.look(1, "idle"), h.look(2, "dnd"))
	h.report("e2", h.look(2, "online"))
	h.now = h.now.Add(core.PresenceTTL - time.Second)
	h.told("in time", h.lapse())
	h.report("e1", refreshed(h.look(1, "idle")))
	h.report("e2", refreshed(h.look(2, "online")))
	h.now = h.now.Add(2 * time.Second)
	h.edges("before somebody looks", 2, "e2")
	h.told("two were not repeated", h.lapse(), "0:online>", "2:dnd>online")
	h.seen("the others", "1:idle", "2:online")
	h.edges("the others", 2, "e2")
	h.told("only once", h.lapse())
	h.told("back", h.report("e1", h.look(0, "online")), "0:>online")
	h.now = h.now.Add(core.PresenceTTL)
	first := must[[]core.PresenceChange](t)(h.two.Lapse(h.ctx, h.now, 1))
	if len(first) > 1 {
		t.Fatalf("Lapse of 1 told %d changes", len(first))
	}
	all := first
	for range 20 {
		all = append(all, must[[]core.PresenceChange](t)(h.one.Lapse(h.ctx, h.now, 100))...)
	}
	h.told("all, in parts", all, "0:online>", "1:idle>", "2:online>")
	h.seen("nobody")
}

// Alice's edge refreshes what the store has lost.
func testRefreshUnknown(t *testing.T, h *hall) {
	h.told("never seen", h.report("e1", refreshed(h.look(0, "online")), refreshed(h.look(1, "invisible"))), "0:>online")
	h.edges("Bob", 1, "e1")
	h.told("seen now", h.report("e1", refreshed(h.look(0, "online")), refreshed(h.look(1, "invisible"))))
	h.now = h.now.Add(core.PresenceTTL)
	h.told("the edge froze", h.lapse(), "0:online>")
	h.told("and woke up", h.report("e1", refreshed(h.look(0, "online"))), "0:>online")
	h.seen("again", "0:online")
	h.now = h.now.Add(core.PresenceTTL)
	h.told("it lapses like others", h.lapse(), "0:online>")
}

func testLapseTwice(t *testing.T, h *hall) {
	for range 200 {
		h.users = append(h.users, proto.ID(rand.Uint64()>>2))
	}
	var reports []core.PresenceReport
	var want []string
	for i := range h.users {
		reports = append(reports, h.look(i, "online"))
		want = append(want, fmt.Sprintf("%d:online>", i))
	}
	h.report("e1", reports...)
	h.now = h.now.Add(core.PresenceTTL)
	var mu sync.Mutex
	var all []core.PresenceChange
	var wg sync.WaitGroup
	for _, s := range []core.Presences{h.one, h.two, h.one, h.two} {
		wg.Go(func() {
			for range 20 {
				c, err := s.Lapse(h.ctx, h.now, 64)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				all = append(all, c...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	h.told("each once", all, want...)
}

// Edges report Alice at once; the changes, in whatever order they were told, form one chain from offline to what she is in the end.
func testEdgesAtOnce(t *testing.T, h *hall) {
	rng := seeded(t)
	statuses := []proto.Status{"online", "idle", "dnd", "invisible"}
	last := make([]proto.Status, 4)
	var mu sync.Mutex
	count := map[proto.Status]int{} // how often she became it, less how often she ceased to be it
	var wg sync.WaitGroup
	for edge := range 4 {
		plan := make([]int, 50)
		for i := range plan {
			plan[i] = rng.IntN(5)
		}
		wg.Go(func() {
			for _, p := range plan {
				r := gone(h.users[0])
				if p < 4 {
					r = core.PresenceReport{Presence: core.Presence{User: h.users[0], Status: statuses[p], LastActive: h.now}}
				}
				last[edge] = r.Status
				s := []core.Presences{h.one, h.two}[edge%2]
				changes, err := s.Report(h.ctx, fmt.Sprint("e", edge), []core.PresenceReport{r}, h.now)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, c := range changes {
					count[c.Before.Status]--
					count[c.After.Status]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var reports []core.PresenceReport
	for _, s := range last {
		reports = append(reports, core.PresenceReport{Presence: core.Presence{User: h.users[0], Status: s, LastActive: h.now}, Gone: s == ""})
	}
	end := core.MergePresence(h.users[0], reports).Status
	want := map[proto.Status]int{}
	want[""]--
	want[end]++
	for s, n := range count {
		if n != want[s] {
			t.Errorf("%q: became it %d times more than ceased, want %d (in the end %q)", s, n, want[s], end)
		}
	}
	if end != "" {
		h.seen("in the end", "0:"+string(end))
	} else {
		h.seen("in the end")
	}
}
