package resume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("away")

// A world is everything that a service asks, in memory, with a clock that moves only while somebody sleeps.
type world struct {
	t *testing.T
	*Service

	mu       sync.Mutex
	now      time.Time
	slept    time.Duration
	journals map[string]*journal.Index
	tombs    map[string][]byte
	holders  map[string]func(*pb.ReleaseCall) (*pb.ReleaseAnswer, error) // by edge; absent = nobody
	released []string
	onSleep  func()
	away     map[string]bool // what does not answer: user, journal, tombs, registry
	registry core.Registry
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.UnixMilli(1_700_000_000_000), journals: map[string]*journal.Index{}, tombs: map[string][]byte{},
		holders: map[string]func(*pb.ReleaseCall) (*pb.ReleaseAnswer, error){}, away: map[string]bool{}}
	w.registry = memory.NewRegistry(w.Now)
	w.Service = New(Config{Signer: NewSigner([32]byte{1}), Journals: w, Tombs: w, Registry: shaky{w}, Holders: w, Users: w, Clock: w})
	return w
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) Sleep(_ context.Context, d time.Duration) error {
	w.mu.Lock()
	w.now, w.slept = w.now.Add(d), w.slept+d
	f := w.onSleep
	w.mu.Unlock()
	if f != nil {
		f()
	}
	return nil
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) fails(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away[what] {
		return errAway
	}
	return nil
}

func (w *world) User(_ context.Context, token string) (user, login proto.ID, err error) {
	if err := w.fails("token"); err != nil {
		return 0, 0, err
	}
	switch token {
	case "alice":
		return 1, 11, nil
	case "bob":
		return 2, 22, nil
	case "alice, elsewhere":
		return 1, 12, nil
	case "carol":
		return 3, 33, nil
	}
	return 0, 0, fmt.Errorf("%w: %s", ErrBadToken, token)
}

func (w *world) Snapshot(_ context.Context, user proto.ID) ([]byte, error) {
	if err := w.fails("user"); err != nil {
		return nil, err
	}
	if user != 1 {
		return nil, fmt.Errorf("%w: %d", ErrBadToken, user)
	}
	return []byte("alice"), nil
}

func (w *world) Index(_ context.Context, edge string, boot uint64) (*journal.Index, error) {
	return w.journal(edge, boot), w.fails("journal")
}

func (w *world) journal(edge string, boot uint64) *journal.Index {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := fmt.Sprint(edge, boot)
	if w.journals[at] == nil {
		w.journals[at] = journal.New()
	}
	return w.journals[at]
}

func (w *world) Tomb(_ context.Context, key string) ([]byte, error) {
	if err := w.fails("tombs"); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if b, ok := w.tombs[key]; ok {
		return b, nil
	}
	return nil, core.ErrNotFound
}

func (w *world) Bury(_ context.Context, key string, body []byte) error {
	if err := w.fails("tombs"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if b, ok := w.tombs[key]; ok && !bytes.Equal(b, body) {
		return core.ErrStale
	}
	w.tombs[key] = body
	return nil
}

func (w *world) Release(_ context.Context, edge string, call *pb.ReleaseCall) (*pb.ReleaseAnswer, error) {
	w.mu.Lock()
	w.released = append(w.released, fmt.Sprint(edge, call.Boot))
	f := w.holders[edge]
	w.mu.Unlock()
	if f == nil {
		return nil, ErrNobody
	}
	return f(call)
}

// shaky is the world's registry, which may be away.
type shaky struct{ w *world }

func (s shaky) Registration(ctx context.Context, session string) (core.Registration, error) {
	if err := s.w.fails("registry"); err != nil {
		return core.Registration{}, err
	}
	return s.w.registry.Registration(ctx, session)
}

func (s shaky) Register(ctx context.Context, session string, n uint64, r core.Registration, ttl time.Duration) error {
	if err := s.w.fails("registry"); err != nil {
		return err
	}
	if err := s.w.fails("writing to the registry"); err != nil {
		return err
	}
	return s.w.registry.Register(ctx, session, n, r, ttl)
}

func (s shaky) Forget(ctx context.Context, session string, n uint64) error {
	return s.w.registry.Forget(ctx, session, n)
}

// lives has an edge run, with so many numbers in boot 1.
func (w *world) lives(edge string, numbered int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holders[edge] = func(call *pb.ReleaseCall) (*pb.ReleaseAnswer, error) {
		return &pb.ReleaseAnswer{Gone: call.Boot != 1, Index: numbered}, nil
	}
}

// writes has an edge's first boot journal the indices above from, up to to, as events of bucket 5 with ten times their index as sequence; the
// first record has a snapshot.
func (w *world) writes(edge string, number uint64, from, to int64) {
	w.t.Helper()
	r := &pb.JournalRecord{Boot: 1, Number: number, From: from, To: to}
	for i := from + 1; i <= to && i <= from+2000; i++ {
		r.Events = append(r.Events, &pb.JournalEvent{Index: i, Bucket: 5, Sequence: uint64(10 * i)})
	}
	if number == 1 {
		r.Snapshot, r.Events = &pb.JournalSnapshot{Buckets: []uint32{5}, Sequences: []uint64{uint64(10 * to)}}, nil
	}
	if err := w.journal(edge, 1).Add(r, w.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// origin is alice's session on edge-a, whose s is index - 100.
func (w *world) origin() *pb.SessionOrigin {
	return &pb.SessionOrigin{Key: 77, User: 1, Login: 11, Edge: "edge-a", Boot: 1, Base: 100}
}

func (w *world) sign(o *pb.SessionOrigin) string {
	w.t.Helper()
	id, err := w.Signer.Sign(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// resume asks for alice's session.
func (w *world) resume(s int64) *pb.ResumeAnswer {
	w.t.Helper()
	return w.Resume(w.t.Context(), &pb.ResumeCall{Token: "alice", Session: w.sign(w.origin()), S: s, Edge: "edge-b", Boot: 1})
}

// segment is what an edge makes of an answer: a replay of so many, then live from index ic.
func (w *world) segment(a *pb.ResumeAnswer, edge string, s, replayed, ic int64) *pb.ResumeSegment {
	return &pb.ResumeSegment{N: a.N, Edge: edge, Boot: 1, S0: s, Lo: a.Lo, Replayed: replayed, Ic: ic, Base: ic - (a.Lo + replayed), From: unpacked(a.From),
		To: []*pb.ResumePosition{{Bucket: 5, Sequence: uint64(10*ic) + 1}}, Waiting: a.Waiting,
		Left: []*pb.JournalPlace{{Session: 77, Place: 9}}, TimeMs: w.Now().UnixMilli(), Tail: a.Tail}
}

// unpacked are positions as a segment has them.
func unpacked(in *pb.ResumePositions) (list []*pb.ResumePosition) {
	for _, b := range in.GetBuckets() {
		list = append(list, journal.Find(in, int(b)))
	}
	return list
}

// moves has alice's session go on at an edge.
func (w *world) moves(edge string, s, replayed, ic int64) (*pb.ResumeSegment, *pb.ResumeRecord) {
	w.t.Helper()
	a := w.resume(s)
	w.outcome(a, pb.ResumeAnswer_OK)
	g := w.segment(a, edge, s, replayed, ic)
	if got := w.Commit(w.t.Context(), &pb.ResumeCommit{Before: a.Record, Segment: g}); !got.Ok {
		w.t.Fatalf("move to %s: got %v", edge, got)
	}
	after := &pb.ResumeRecord{Origin: a.Record.Origin, Segments: append(a.Record.Segments, g)}
	after.Segments = after.Segments[max(0, len(after.Segments)-Segments):]
	return g, after
}

func (w *world) outcome(a *pb.ResumeAnswer, want pb.ResumeAnswer_Outcome) {
	w.t.Helper()
	if a.Outcome != want {
		w.t.Fatalf("got %v %q, want %v", a.Outcome, a.Why, want)
	}
	if (want == pb.ResumeAnswer_INVALID || want == pb.ResumeAnswer_RETRY) && a.Why == "" {
		w.t.Errorf("%v without a reason", want)
	}
}

// stands wants the client to be at a sequence of bucket 5: with so many events of it, in an exact place or not.
func (w *world) stands(a *pb.ResumeAnswer, sequence uint64, events uint32, tail bool) {
	w.t.Helper()
	w.outcome(a, pb.ResumeAnswer_OK)
	if from := unpacked(a.From); len(from) != 1 || from[0].Sequence != sequence || from[0].Events != events || a.Tail != tail {
		w.t.Fatalf("got %v, tail %v, want sequence %d, %d events, tail %v", a.From, a.Tail, sequence, events, tail)
	}
}
