package resume

import (
	"testing"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto/pb"
)

func TestWhoMayResume(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	ask := func(token, session string, s int64) *pb.ResumeAnswer {
		return w.Resume(t.Context(), &pb.ResumeCall{Token: token, Session: session, S: s})
	}
	id := w.sign(w.origin())
	w.outcome(ask("mallory", id, 0), pb.ResumeAnswer_BAD_TOKEN)
	w.outcome(ask("mallory", "nonsense", 0), pb.ResumeAnswer_BAD_TOKEN) // 4004 comes before op 9
	w.outcome(ask("bob", id, 0), pb.ResumeAnswer_INVALID)
	w.outcome(ask("alice, elsewhere", id, 0), pb.ResumeAnswer_INVALID)
	w.outcome(ask("alice", "nonsense", 0), pb.ResumeAnswer_INVALID)
	w.outcome(ask("alice", "", 0), pb.ResumeAnswer_INVALID)
	w.outcome(ask("alice", id, -1), pb.ResumeAnswer_INVALID)
	w.outcome(ask("alice", id, 1<<31), pb.ResumeAnswer_INVALID)
	if len(w.released) > 0 {
		t.Errorf("who may not resume had sockets closed: %v", w.released)
	}
	for _, what := range []string{"token", "user", "journal", "tombs", "registry"} {
		w.away[what] = true
		w.outcome(ask("alice", id, 0), pb.ResumeAnswer_RETRY)
		delete(w.away, what)
	}
	gone := w.origin()
	gone.User, gone.Login = 3, 33 // carol's account was deleted a moment ago: the token still counts
	w.outcome(ask("carol", w.sign(gone), 0), pb.ResumeAnswer_BAD_TOKEN)
	a := ask("alice", id, 0)
	w.stands(a, 1001, 0, false)
	if string(a.User) != "alice" || a.Login != 11 || a.N < uint64(w.now.UnixMilli()) {
		t.Errorf("got user %q, login %d, n %d", a.User, a.Login, a.N)
	}
}

// A session that never moved goes on from its id alone: where the journal says, and nowhere else.
func TestNeverMoved(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.writes("edge-a", 2, 100, 150)
	w.lives("edge-a", 150)
	a := w.resume(30)
	w.stands(a, 1300, 1, false)
	if a.Lo != Half || a.Record.Segments[0].N != 0 || len(w.released) != 1 {
		t.Errorf("lo %d, record %v, released %v", a.Lo, a.Record, w.released)
	}
	w.stands(w.resume(50), 1500, 1, false)
	w.outcome(w.resume(51), pb.ResumeAnswer_INVALID)   // the edge lives and has not numbered it
	w.outcome(w.resume(Half), pb.ResumeAnswer_INVALID) // only sessions that moved have such numbers
	w.stands(w.resume(0), 1001, 0, false)
	if w.slept > 0 {
		t.Errorf("waited %v for what was there", w.slept)
	}
	o := w.origin()
	o.Base = 0
	a = w.Resume(t.Context(), &pb.ResumeCall{Token: "alice", Session: w.sign(o), S: 99})
	w.outcome(a, pb.ResumeAnswer_INVALID) // in front of all that the journal knows
}

// The numbers of a replay are above all that the holder may have given, as far as anybody knows.
func TestNumbersOfReplay(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.writes("edge-a", 2, 100, Half+500)
	if a := w.resume(5); a.Lo != Half+400+Margin+1 {
		t.Errorf("by the journal: lo %d", a.Lo)
	}
	w.lives("edge-a", Half+1000)
	if a := w.resume(5); a.Lo != Half+900+Margin+1 {
		t.Errorf("by the holder: lo %d", a.Lo)
	}
	w.lives("edge-a", 1<<31)
	w.outcome(w.resume(5), pb.ResumeAnswer_INVALID) // no room left
}

// The holder's journal is on its way: it is awaited, for two seconds.
func TestJournalOnItsWay(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	arrives := func(after time.Duration) {
		w.slept = 0
		w.onSleep = func() {
			if w.slept >= after && w.journal("edge-a", 1).End() < 150 {
				w.writes("edge-a", 2, 100, 150)
			}
		}
	}
	arrives(time.Second) // its edge is dead
	w.stands(w.resume(40), 1400, 1, false)
	if w.slept < time.Second || w.slept > 1500*time.Millisecond {
		t.Errorf("waited %v", w.slept)
	}

	w = newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.holders["edge-a"] = func(*pb.ReleaseCall) (*pb.ReleaseAnswer, error) {
		return &pb.ReleaseAnswer{Index: 150, Pending: w.slept < time.Second}, nil
	}
	w.outcome(w.resume(40), pb.ResumeAnswer_RETRY) // alive, so nothing is lost: later
	arrives(500 * time.Millisecond)
	w.stands(w.resume(40), 1400, 1, false)
}

// The holder is dead and the end of its journal lost: the session repeats from the last number that was covered, and says so until it is
// through.
func TestTailLost(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.writes("edge-a", 2, 100, 150)
	w.writes("edge-a", 4, 160, 170) // 3 was lost with its host
	a := w.resume(65)
	w.stands(a, 1500, 1, true)
	if w.slept < patience || w.slept > patience+againMost {
		t.Errorf("waited %v", w.slept)
	}
	w.stands(w.resume(50), 1500, 1, false)
	w.holders["edge-a"] = func(*pb.ReleaseCall) (*pb.ReleaseAnswer, error) { return &pb.ReleaseAnswer{Gone: true}, nil } // it runs again
	w.stands(w.resume(65), 1500, 1, true)
	w.outcome(w.resume(50+tailMost+1), pb.ResumeAnswer_INVALID)

	w.writes("edge-b", 1, 0, 500)
	g, _ := w.moves("edge-b", 65, 20, 500)
	for s, tail := range map[int64]bool{65: true, g.Lo: true, g.Lo + 19: true, g.Lo + 20: false} {
		if a := w.resume(s); a.Outcome != pb.ResumeAnswer_OK || a.Tail != tail {
			t.Errorf("number %d: got %v %q, tail %v, want %v", s, a.Outcome, a.Why, a.Tail, tail)
		}
	}
}

// The registry went back to before the last move, and its tomb is lost: the number is of a stay that nobody knows of, which is told from a lost tail by
// how far above the journal it is. The session begins anew instead of repeating what it may never have lacked.
func TestLastMoveForgotten(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.writes("edge-a", 2, 100, 200)
	first, before := w.moves("edge-b", 50, 2, 7)
	w.writes("edge-b", 1, 0, 20)
	second, _ := w.moves("edge-c", 12-first.Base, 0, 3)
	w.writes("edge-c", 1, 0, 3)
	w.writes("edge-c", 2, 3, 10)
	number := second.Ic + 4 - second.Base
	w.stands(w.resume(number), 70, 1, false)
	clear(w.tombs)
	w.stands(w.resume(number), 70, 1, false) // the registry knows

	body, err := gproto.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.registry.Register(t.Context(), registryKey(77), second.N, core.Registration{N: first.N, Body: body}, Retention); err != nil {
		t.Fatal(err)
	}
	w.outcome(w.resume(number), pb.ResumeAnswer_INVALID)
	w.outcome(w.resume(12-first.Base), pb.ResumeAnswer_OK)
}

// A session that moved stands, by its number: where it was when it moved, within the replay, at its end, or live.
func TestMoved(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.writes("edge-a", 2, 100, 150)
	w.lives("edge-a", 150)
	w.writes("edge-b", 1, 0, 500)
	w.writes("edge-b", 2, 500, 600)
	w.lives("edge-b", 600)
	g, _ := w.moves("edge-b", 30, 20, 500)
	live := g.Lo + 20 // its number at ic

	w.stands(w.resume(30), 1300, 1, false) // got nothing of it
	a := w.resume(g.Lo)
	w.stands(a, 1300, 1, false)
	if a.Within != 1 || len(a.Waiting) != 0 {
		t.Errorf("first of the replay: within %d, waiting %v", a.Within, a.Waiting)
	}
	if a = w.resume(g.Lo + 19); a.Within != 20 {
		t.Errorf("last of the replay: within %d", a.Within)
	}
	a = w.resume(live)
	w.stands(a, 5001, 0, false)
	if a.Within != 0 || len(a.Waiting) != 1 {
		t.Errorf("at the start of live: within %d, waiting %v", a.Within, a.Waiting)
	}
	w.stands(w.resume(live+7), 5070, 1, false)
	w.stands(w.resume(live+100), 6000, 1, false)
	w.outcome(w.resume(live+101), pb.ResumeAnswer_INVALID)
	w.outcome(w.resume(g.Lo-1), pb.ResumeAnswer_INVALID) // edge-a lives and had not so many
	w.stands(w.resume(31), 1310, 1, false)               // a client that goes back to before it moved
	if a.Lo != live+100+Margin+1 || a.N <= g.N {
		t.Errorf("lo %d after %d, n %d after %d", a.Lo, live, a.N, g.N)
	}

	g2, _ := w.moves("edge-a", g.Lo+4, 16, 140) // out of the middle of the replay, back to where it began
	w.stands(w.resume(g.Lo+4), 1300, 1, false)
	a = w.resume(g.Lo + 3) // a replay that it left: a move that the client gave up may have come later
	w.stands(a, 1300, 1, false)
	if a.Within != 4 {
		t.Errorf("in the first replay, behind a move out of it: within %d", a.Within)
	}
	if a = w.resume(g2.Lo + 2); a.Within != 3 {
		t.Errorf("in the second replay: within %d", a.Within)
	}
	w.stands(w.resume(g2.Lo+16+4), 1440, 1, false)

	w.pass(Retention + time.Second) // nobody has refreshed the registration; what segments say of positions is void
	w.outcome(w.resume(g2.Lo+2), pb.ResumeAnswer_INVALID)
	w.stands(w.resume(g2.Lo+20), 1440, 1, false) // but the journal is there, and the tombs are
	w.tombs = map[string][]byte{}
	w.outcome(w.resume(g2.Lo+20), pb.ResumeAnswer_INVALID)
}

// What segments say counts for the retention; where it ends, the journal alone counts.
func TestSegmentsGrowOld(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.writes("edge-b", 1, 0, 500)
	w.writes("edge-b", 2, 500, 600)
	g, rec := w.moves("edge-b", 0, 20, 500)
	live := g.Lo + 20
	for _, c := range []struct {
		name    string
		age     time.Duration
		s       int64
		outcome pb.ResumeAnswer_Outcome
	}{
		{"where it moved, in time", Retention, 0, pb.ResumeAnswer_OK},
		{"where it moved, late: by the journal", Retention + time.Millisecond, 0, pb.ResumeAnswer_OK},
		{"replay, in time", Retention, g.Lo + 3, pb.ResumeAnswer_OK},
		{"replay, late", Retention + time.Millisecond, g.Lo + 3, pb.ResumeAnswer_INVALID},
		{"start of live, in time", Retention, live, pb.ResumeAnswer_OK},
		{"live, late: by the journal", Retention + time.Millisecond, live + 5, pb.ResumeAnswer_OK},
	} {
		w.now = time.UnixMilli(g.TimeMs).Add(c.age)
		if got := w.Hold(t.Context(), &pb.HoldCall{Records: []*pb.ResumeRecord{rec}}); got.Error != "" || len(got.Superseded) > 0 {
			t.Fatalf("%s: hold: %v", c.name, got)
		}
		if a := w.resume(c.s); a.Outcome != c.outcome {
			t.Errorf("%s: got %v %q, want %v", c.name, a.Outcome, a.Why, c.outcome)
		}
	}
	w.journal("edge-b", 1).Expire(w.now.Add(time.Hour))
	w.outcome(w.resume(live+5), pb.ResumeAnswer_INVALID)
	w.outcome(w.resume(live), pb.ResumeAnswer_INVALID)
}

// A journal of which nothing is left: what the segment knows stands in for it, with repeats.
func TestJournalLost(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	g, _ := w.moves("edge-b", 0, 20, 500)
	a := w.resume(g.Lo + 20 + 5)
	w.stands(a, 5001, 0, true)
	if len(a.Waiting) != 1 {
		t.Errorf("waiting %v", a.Waiting)
	}
}

// The death of a core between the tomb and the registry: the session is where the tomb says.
func TestDeathBetweenTombAndRegistry(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	a := w.resume(0)
	call := &pb.ResumeCommit{Before: a.Record, Segment: w.segment(a, "edge-b", 0, 5, 500)}
	w.away["writing to the registry"] = true
	if got := w.Commit(t.Context(), call); got.Ok || got.Lost || got.Error == "" {
		t.Fatalf("commit without a registry: %v", got)
	}
	late := &pb.ResumeCommit{Before: a.Record, Segment: w.segment(a, "edge-c", 0, 5, 500)}
	if got := w.Commit(t.Context(), late); !got.Lost {
		t.Errorf("another move: %v", got)
	}
	delete(w.away, "writing to the registry")
	b := w.resume(0)
	w.stands(b, 1001, 0, false)
	if newest(b.Record).Edge != "edge-b" || b.N <= a.N {
		t.Errorf("the session is at %v, n %d", newest(b.Record), b.N)
	}
	w.stands(w.resume(a.Lo), 1001, 0, false) // also for a number that only sessions that moved have
	w.mu.Lock()
	w.tombs = map[string][]byte{}
	w.mu.Unlock()
	w.outcome(w.resume(a.Lo), pb.ResumeAnswer_INVALID) // and with both lost nobody guesses
}

func TestCommit(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	a := w.resume(0)
	first := &pb.ResumeCommit{Before: a.Record, Segment: w.segment(a, "edge-b", 0, 5, 500)}
	commit := func(what string, call *pb.ResumeCommit, want string) {
		t.Helper()
		got := w.Commit(t.Context(), gproto.CloneOf(call))
		if is := map[bool]string{true: "ok"}[got.Ok] + map[bool]string{true: "lost"}[got.Lost] + map[bool]string{true: "error"}[got.Error != ""]; is != want {
			t.Errorf("%s: got %v, want %s", what, got, want)
		}
	}
	for _, what := range []string{"registry", "tombs"} {
		w.away[what] = true
		commit("without "+what, first, "error")
		delete(w.away, what)
	}
	commit("first", first, "ok")
	commit("the same again", first, "ok")
	commit("another", &pb.ResumeCommit{Before: a.Record, Segment: w.segment(a, "edge-c", 0, 5, 500)}, "lost")
	commit("nothing", &pb.ResumeCommit{}, "error")
	low := w.segment(a, "edge-c", 0, 5, 500)
	low.N = 0
	commit("backwards", &pb.ResumeCommit{Before: a.Record, Segment: low}, "error")

	// The tombs are wiped: the registry still knows, and nothing wrong is buried.
	w.mu.Lock()
	w.tombs = map[string][]byte{}
	w.mu.Unlock()
	commit("a third, without tombs", &pb.ResumeCommit{Before: a.Record, Segment: w.segment(a, "edge-c", 0, 5, 500)}, "lost")
	if len(w.tombs) > 0 {
		t.Errorf("who lost has buried %v", w.tombs)
	}

	// Ten moves: a record keeps the last six.
	w.writes("edge-b", 1, 0, 500)
	s := a.Lo + 5
	for i := range 10 {
		edge := []string{"edge-c", "edge-b"}[i%2]
		if i == 0 {
			w.writes("edge-c", 1, 0, 500)
		}
		g, rec := w.moves(edge, s, 3, 500)
		if len(rec.Segments) != min(i+3, Segments) {
			t.Fatalf("after %d moves: %d segments", i+2, len(rec.Segments))
		}
		s = g.Lo + 3
	}
	if len(w.resume(s).Record.Segments) != Segments {
		t.Error("the registry has another number of segments")
	}
}

// Of many who move a session at once one wins, and is where it is found.
func TestOneMoverWins(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	for round := range 20 {
		s := int64(0)
		a := w.resume(s)
		if round > 0 {
			s = newest(a.Record).S0
			a = w.resume(s)
		}
		w.outcome(a, pb.ResumeAnswer_OK)
		won := make(chan string, 8)
		done := make(chan bool)
		for i := range 8 {
			go func() {
				defer func() { done <- true }()
				edge := string("edge-" + string(rune('k'+i)))
				call := &pb.ResumeCommit{Before: gproto.CloneOf(a.Record), Segment: w.segment(a, edge, s, 5, 500)}
				for range 2 { // answers get lost
					switch got := w.Commit(t.Context(), call); {
					case got.Ok:
						won <- edge
						return
					case !got.Lost:
						t.Errorf("commit: %v", got)
					}
				}
			}()
		}
		for range 8 {
			<-done
		}
		close(won)
		if len(won) != 1 {
			t.Fatalf("round %d: %d of 8 won", round, len(won))
		}
		if edge := <-won; newest(w.resume(s).Record).Edge != edge {
			t.Errorf("round %d: it is at %s, %s won", round, newest(w.resume(s).Record).Edge, edge)
		}
	}
}

func TestHold(t *testing.T) {
	w := newWorld(t)
	w.writes("edge-a", 1, 0, 100)
	w.writes("edge-b", 1, 0, 500)
	_, rec := w.moves("edge-b", 0, 5, 500)
	hold := func(what string, rec *pb.ResumeRecord, superseded, fails bool) {
		t.Helper()
		got := w.Hold(t.Context(), &pb.HoldCall{Records: []*pb.ResumeRecord{gproto.CloneOf(rec)}})
		if (len(got.Superseded) == 1) != superseded || (got.Error != "") != fails {
			t.Errorf("%s: got %v, want superseded %v, error %v", what, got, superseded, fails)
		}
	}
	registered := func() uint64 {
		r, err := w.registry.Registration(t.Context(), registryKey(77))
		if err != nil && err != core.ErrNotFound {
			t.Fatal(err)
		}
		return r.N
	}
	n := newest(rec).N
	for range 5 { // kept alive far beyond its time
		w.pass(Retention - time.Minute)
		hold("refresh", rec, false, false)
	}
	if registered() != n {
		t.Errorf("registered %d, want %d", registered(), n)
	}
	w.pass(2 * Retention)
	hold("absent", rec, false, false)
	if registered() != n {
		t.Errorf("not recreated: %d", registered())
	}
	w.away["registry"] = true
	hold("away", rec, false, true)
	delete(w.away, "registry")
	hold("a session that never moved", &pb.ResumeRecord{Origin: w.origin(), Segments: []*pb.ResumeSegment{{Edge: "edge-a", Boot: 1}}}, false, false)
	hold("nonsense", &pb.ResumeRecord{}, false, true)
	twin := gproto.CloneOf(rec)
	newest(twin).Edge = "edge-c"
	hold("one of the same moment", twin, true, false)

	w.now = time.UnixMilli(newest(rec).TimeMs)
	_, later := w.moves("edge-c", 0, 5, 500)
	hold("it moved", rec, true, false)
	hold("to here", later, false, false)
	if err := w.registry.Forget(t.Context(), registryKey(77), newest(later).N); err != nil {
		t.Fatal(err)
	}
	hold("it moved, and the registry is lost", rec, true, false)
	if registered() != 0 {
		t.Error("who was superseded has written a registration")
	}
	hold("to here, again", later, false, false)
	if got := w.Hold(t.Context(), &pb.HoldCall{Records: make([]*pb.ResumeRecord, holdMost+1)}); got.Error == "" {
		t.Error("too many at once are taken")
	}
}
