package api_test

import (
	"context"
	"fmt"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core/resume"
	positions "github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// rpc asks any core, as an edge does.
func (m *mesh) rpc(name string, in, out gproto.Message) {
	m.t.Helper()
	raw, err := gproto.Marshal(in)
	must(m.t, err)
	m.request(relay.RPCSubject(relaytest.Region, name), raw, out)
}

// Alice's session begins on edge-0, which numbers a few events and dies; edge-1 takes the session over, by rpcs, a real journal and real tombs.
func TestSessionMovesBetweenEdges(t *testing.T) {
	m := startMesh(t, false)
	alice, bob := m.register("alice"), m.register("bob")

	journal := relay.OpenJournal(m.edge, "edge-0")
	run(t, "journal", journal.Run)
	must(t, journal.Write(t.Context(), &pb.JournalRecord{To: 10, Snapshot: &pb.JournalSnapshot{Buckets: []uint32{3}, Sequences: []uint64{70}}}))
	var begun pb.IdentifyAnswer
	m.rpc("identify", &pb.IdentifyCall{Token: alice.token, Start: true, Origin: &pb.SessionOrigin{Edge: "edge-0", Boot: journal.Boot(), Base: 4, Intents: 513,
		User: 99, Key: 98, Login: 97}}, &begun)
	if begun.Error != "" || begun.Session == "" || begun.Key == 0 || begun.Key == 98 {
		t.Fatalf("identify: got %v", &begun)
	}
	must(t, journal.Write(t.Context(), &pb.JournalRecord{To: 12, Events: []*pb.JournalEvent{{Index: 11, Bucket: 3, Sequence: 75, Width: 2}}}))
	must(t, journal.WaitAcked(t.Context(), 12))

	var plain pb.IdentifyAnswer
	m.rpc("identify", &pb.IdentifyCall{Token: alice.token}, &plain)
	if plain.Session != "" || plain.Key != 0 || plain.User == nil {
		t.Errorf("a question without a start: got %v", &plain)
	}
	m.rpc("identify", &pb.IdentifyCall{Token: alice.token, Start: true, Origin: &pb.SessionOrigin{Edge: "edge.*"}}, &plain)
	if plain.Error == "" || plain.Session != "" {
		t.Errorf("an edge with no name: got %v", &plain)
	}

	resumes := func(token string, s int64) *pb.ResumeAnswer {
		var out pb.ResumeAnswer
		m.rpc("resume", &pb.ResumeCall{Token: token, Session: begun.Session, S: s, Edge: "edge-1", Boot: 5}, &out)
		return &out
	}
	outcome := func(what string, a *pb.ResumeAnswer, want pb.ResumeAnswer_Outcome) {
		t.Helper()
		if a.Outcome != want {
			t.Errorf("%s: got %v, want %v", what, a, want)
		}
	}
	outcome("Bob", resumes(bob.token, 7), pb.ResumeAnswer_INVALID)
	outcome("a bad token", resumes("nonsense", 7), pb.ResumeAnswer_BAD_TOKEN)
	a := resumes("Bearer "+alice.token, 7) // edge-0 is not there to be asked
	outcome("Alice", a, pb.ResumeAnswer_OK)
	var user pb.UserSnapshot
	must(t, gproto.Unmarshal(a.User, &user))
	if p := positions.Find(a.From, 3); p.GetSequence() != 75 || p.GetFrames() != 1 || len(a.From.Buckets) != 1 || fmt.Sprint(user.User) != alice.id || a.Lo != resume.Half {
		t.Errorf("got %v, user %d", a, user.User)
	}
	o := a.Record.GetOrigin()
	if o.GetKey() != begun.Key || fmt.Sprint(o.GetUser()) != alice.id || o.GetLogin() != begun.AuthSession || o.GetIntents() != 513 {
		t.Errorf("origin %v of %v", o, &begun)
	}

	// In its last moment edge-0 answers, but cannot say what it has numbered any more: its journal does.
	mute, err := m.edge.Serve(relay.EdgeSubject("edge-0"), "", 1, func(context.Context, []byte) []byte { return []byte{} })
	must(t, err)
	outcome("Alice, of an edge that stops", resumes(alice.token, 7), pb.ResumeAnswer_OK)
	mute()

	// The same while edge-0 is there: it is asked to close her socket, and its journal is as far as it says.
	asked := make(chan *pb.ReleaseCall, 4)
	stop, err := m.edge.Serve(relay.EdgeSubject("edge-0"), "", 1, func(_ context.Context, body []byte) []byte {
		call := new(pb.ReleaseCall)
		if gproto.Unmarshal(body, call) == nil {
			asked <- call
		}
		b, _ := gproto.Marshal(&pb.ReleaseAnswer{Index: 12})
		return b
	})
	must(t, err)
	relaytest.Until(t, "edge-0 is asked", func() bool {
		outcome("Alice again", resumes(alice.token, 8), pb.ResumeAnswer_OK)
		return len(asked) > 0
	})
	if call := <-asked; call.Session != begun.Key || call.Boot != journal.Boot() {
		t.Errorf("edge-0 was asked %v", call)
	}
	outcome("a number it never gave", resumes(alice.token, 9), pb.ResumeAnswer_INVALID)
	stop()

	segment := &pb.ResumeSegment{N: a.N, Edge: "edge-1", Boot: 5, S0: 7, Lo: a.Lo, Replayed: 3, Ic: 100, Base: 100 - a.Lo - 3, From: []*pb.ResumePosition{positions.Find(a.From, 3)}, TimeMs: int64(a.N),
		To: []*pb.ResumePosition{{Bucket: 3, Sequence: 90}}}
	var moved pb.ResumeCommitAnswer
	for range 2 { // an answer may get lost
		moved.Reset()
		m.rpc("resumed", &pb.ResumeCommit{Before: a.Record, Segment: segment}, &moved)
		if !moved.Ok {
			t.Fatalf("resumed: got %v", &moved)
		}
	}
	other := gproto.CloneOf(segment)
	other.Edge = "edge-2"
	m.rpc("resumed", &pb.ResumeCommit{Before: a.Record, Segment: other}, &moved)
	if !moved.Lost {
		t.Errorf("resumed elsewhere: got %v", &moved)
	}
	b := resumes(alice.token, a.Lo+1)
	outcome("out of the replay", b, pb.ResumeAnswer_OK)
	if b.Within != 2 || len(b.Record.GetSegments()) != 2 || b.N <= a.N {
		t.Errorf("out of the replay: got %v", b)
	}
	var held pb.HoldAnswer
	m.rpc("hold", &pb.HoldCall{Records: []*pb.ResumeRecord{b.Record}}, &held)
	if held.Error != "" || len(held.Superseded) > 0 {
		t.Errorf("hold: got %v", &held)
	}
	stale := gproto.CloneOf(b.Record)
	stale.Segments[1].Edge, stale.Segments[1].N = "edge-3", a.N-1
	m.rpc("hold", &pb.HoldCall{Records: []*pb.ResumeRecord{stale}}, &held)
	if len(held.Superseded) != 1 || held.Superseded[0] != begun.Key {
		t.Errorf("hold of one that is elsewhere: got %v", &held)
	}
}
