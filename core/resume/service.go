package resume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
)

// Numbers and times of resume.md.
const (
	Retention = 8 * time.Minute // of journals, tombs, registrations, and of what segments say of positions
	Half      = 1 << 30         // sessions that moved number from here on
	Margin    = 1 << 16         // above what the holder is known to have numbered
	Segments  = 6               // that a record keeps

	numberEnd   = 1<<31 - 1<<24 // a replay that would begin above has no room
	tailMost    = Margin        // numbers that a lost tail of a journal may have had: what is further above is of a stay that nobody knows of
	patience    = 2 * time.Second
	againAfter  = 20 * time.Millisecond // before the holder or its journal is asked again; grows to againMost
	againMost   = 200 * time.Millisecond
	releaseWait = time.Second // for one answer of the holder
	hopsMost    = 64          // moves since the registration was written
)

// ErrNobody says that no edge of a name is there to be asked.
var ErrNobody = errors.New("no such edge")

// ErrBadToken says that a token stands for nobody.
var ErrBadToken = errors.New("bad token")

// Journals reads what edges wrote of their numbers.
type Journals interface {
	// Index is the journal of a boot of an edge, with all that was acknowledged before the call; empty if there is none.
	Index(ctx context.Context, edge string, boot uint64) (*journal.Index, error)
}

// Tombs keeps, for Retention, what was the first to be written under a key. A key is tokens of letters, digits and hyphens with dots between.
type Tombs interface {
	// Tomb is what is under a key; core.ErrNotFound.
	Tomb(ctx context.Context, key string) ([]byte, error)
	// Bury writes where nothing is, or what is the same; core.ErrStale if something else is there.
	Bury(ctx context.Context, key string, body []byte) error
}

// Holders asks edges to let go of sessions.
type Holders interface {
	// Release has the edge close a session's socket; ErrNobody if no such edge answers.
	Release(ctx context.Context, edge string, call *pb.ReleaseCall) (*pb.ReleaseAnswer, error)
}

// Users knows whom tokens stand for.
type Users interface {
	// User is who has a token, and by which login; ErrBadToken.
	User(ctx context.Context, token string) (user, login proto.ID, err error)
	// Snapshot is what there is of a user now, a pb.UserSnapshot; ErrBadToken if there is no such user any more.
	Snapshot(ctx context.Context, user proto.ID) ([]byte, error)
}

// A Clock is time, or a simulator's.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error // ctx's error if it ends first
}

// Config is what a Service is made of. All of it is used by any goroutine.
type Config struct {
	Signer   *Signer
	Journals Journals
	Tombs    Tombs
	Registry core.Registry
	Holders  Holders
	Users    Users
	Clock    Clock // nil = the real one
	Log      *slog.Logger

	Mutation Mutation // of tests alone
}

// A Mutation leaves rules out, by which tests see that the simulation finds out.
type Mutation struct {
	NoTombs bool // of a stay that was left nothing is kept
	NoHalf  bool // sessions that moved number like those that never did
}

// A Service answers edges that want to go on with a session. It keeps nothing: any core's will do. Any goroutine may call it.
type Service struct {
	Config
}

// New makes a Service.
func New(cfg Config) *Service {
	if cfg.Clock == nil {
		cfg.Clock = NewClock(time.Now)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg}
}

// NewClock is one that says what now does, and sleeps as the world does.
func NewClock(now func() time.Time) Clock { return realClock{now} }

type realClock struct{ now func() time.Time }

func (c realClock) Now() time.Time { return c.now() }

func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// invalid is why a session cannot go on.
type invalid string

func (e invalid) Error() string { return string(e) }

func invalidf(format string, args ...any) error { return invalid(fmt.Sprintf(format, args...)) }

// Resume tells where the client of a session stands and what a segment has to be that goes on there.
func (s *Service) Resume(ctx context.Context, call *pb.ResumeCall) *pb.ResumeAnswer {
	out, err := s.resume(ctx, call)
	var why invalid
	switch {
	case err == nil:
		out.Outcome = pb.ResumeAnswer_OK
	case errors.Is(err, ErrBadToken):
		out = &pb.ResumeAnswer{Outcome: pb.ResumeAnswer_BAD_TOKEN}
	case errors.As(err, &why):
		out = &pb.ResumeAnswer{Outcome: pb.ResumeAnswer_INVALID, Why: string(why)}
		s.Log.Info("session cannot go on", "edge", call.Edge, "why", string(why))
	default:
		out = &pb.ResumeAnswer{Outcome: pb.ResumeAnswer_RETRY, Why: err.Error()}
	}
	resumes.WithLabelValues(out.Outcome.String()).Inc()
	if out.Tail {
		tails.Inc()
	}
	return out
}

func (s *Service) resume(ctx context.Context, call *pb.ResumeCall) (*pb.ResumeAnswer, error) {
	user, login, err := s.Users.User(ctx, call.Token)
	if err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	origin, err := s.Signer.Open(call.Session, uint64(user), uint64(login))
	switch {
	case err != nil:
		return nil, invalid(err.Error())
	case call.S < 0 || call.S >= 1<<31:
		return nil, invalidf("number %d", call.S)
	}
	// The user's owner is somebody else: whether it answers before or behind the rest makes no difference. Where both fail, at one moment perhaps, the
	// error is that of the rest, so that a schedule of the simulator is the same each time.
	asking, enough := context.WithCancel(ctx)
	defer enough()
	var snapshot []byte
	var unknown error
	var asked sync.WaitGroup
	asked.Go(func() { snapshot, unknown = s.Users.Snapshot(asking, user) })
	out, err := s.stand(ctx, origin, call.S)
	if err != nil {
		enough()
	}
	asked.Wait()
	switch {
	case err != nil:
		return nil, err
	case unknown != nil:
		return nil, fmt.Errorf("user: %w", unknown)
	}
	out.User, out.Login = snapshot, uint64(login)
	return out, nil
}

// stand finds where the client of a session stands that has everything up to a number.
func (s *Service) stand(ctx context.Context, origin *pb.SessionOrigin, number int64) (*pb.ResumeAnswer, error) {
	rec, registered, err := s.record(ctx, origin, number)
	if err != nil {
		return nil, err
	}
	head := newest(rec)
	h, err := s.release(ctx, origin.Key, head)
	if err != nil {
		return nil, err
	}
	at, err := s.locate(ctx, rec, number, h)
	if err != nil {
		return nil, err
	}
	highest := max(head.Lo+head.Replayed, h.index.End()-head.Base)
	if h.alive {
		highest = max(highest, h.numbered-head.Base)
	}
	out := &pb.ResumeAnswer{Record: rec, From: journal.Pack(at.positions), Waiting: at.waiting, Within: at.within, Tail: at.tail}
	if out.Lo = max(s.half(), number+1, highest+Margin+1); out.Lo >= numberEnd {
		return nil, invalidf("number %d is too near to the end", out.Lo)
	}
	out.N = max(head.N+1, registered+1, uint64(s.Clock.Now().UnixMilli()))
	return out, nil
}

// half is where numbers of sessions that moved begin.
func (s *Service) half() int64 {
	if s.Mutation.NoHalf {
		return 0
	}
	return Half
}

// record is where a session is: as registered, or else as it began, and where it went from there. registered is the generation of what the
// registry has, 0 for nothing.
func (s *Service) record(ctx context.Context, origin *pb.SessionOrigin, number int64) (rec *pb.ResumeRecord, registered uint64, err error) {
	reg, err := s.Registry.Registration(ctx, registryKey(origin.Key))
	switch {
	case errors.Is(err, core.ErrNotFound):
		rec = &pb.ResumeRecord{Origin: origin, Segments: []*pb.ResumeSegment{{Edge: origin.Edge, Boot: origin.Boot, Base: origin.Base}}}
	case err != nil:
		return nil, 0, fmt.Errorf("registration: %w", err)
	default:
		if rec, err = decode(reg.Body, origin.Key); err != nil {
			return nil, 0, fmt.Errorf("registration: %w", err)
		}
		registered = reg.N
	}
	for range hopsMost {
		moved, err := s.movedTo(ctx, newest(rec), origin.Key)
		if errors.Is(err, core.ErrNotFound) {
			if newest(rec).N == 0 && number >= Half && !s.Mutation.NoHalf {
				return nil, 0, invalidf("number %d of a session that moved, and nobody knows where to", number)
			}
			return rec, registered, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("tomb: %w", err)
		}
		rec = moved
	}
	return nil, 0, invalidf("the session moved more than %d times since it was registered", hopsMost)
}

// movedTo is the record that left a segment, or core.ErrNotFound.
func (s *Service) movedTo(ctx context.Context, left *pb.ResumeSegment, key uint64) (*pb.ResumeRecord, error) {
	if s.Mutation.NoTombs {
		return nil, core.ErrNotFound
	}
	body, err := s.Tombs.Tomb(ctx, tombKey(left, key))
	if err != nil {
		return nil, err
	}
	rec, err := decode(body, key)
	if err != nil {
		return nil, err
	}
	if newest(rec).N <= left.N {
		return nil, fmt.Errorf("segment %d was left for %d", left.N, newest(rec).N)
	}
	return rec, nil
}

// newest is the segment where a session is.
func newest(r *pb.ResumeRecord) *pb.ResumeSegment { return r.Segments[len(r.Segments)-1] }

func registryKey(key uint64) string { return fmt.Sprintf("%016x", key) }

// tombKey is of one stay: a session may come back to an edge.
func tombKey(left *pb.ResumeSegment, key uint64) string {
	return fmt.Sprintf("%s.%d.%016x.%d", left.Edge, left.Boot, key, left.N)
}

func decode(body []byte, key uint64) (*pb.ResumeRecord, error) {
	rec := new(pb.ResumeRecord)
	if err := gproto.Unmarshal(body, rec); err != nil {
		return nil, err
	}
	if err := check(rec); err != nil {
		return nil, err
	}
	if rec.Origin.Key != key {
		return nil, fmt.Errorf("record of session %x, not %x", rec.Origin.Key, key)
	}
	return rec, nil
}

// check reports a record that no core of ours writes.
func check(rec *pb.ResumeRecord) error {
	if rec.GetOrigin() == nil || len(rec.Segments) == 0 || len(rec.Segments) > Segments {
		return fmt.Errorf("a record without an origin, or with %d segments", len(rec.GetSegments()))
	}
	for i, g := range rec.Segments {
		if g == nil || g.Edge == "" || g.Lo < 0 || g.Replayed < 0 || i > 0 && (g.N <= rec.Segments[i-1].N || g.Lo <= rec.Segments[i-1].Lo) {
			return fmt.Errorf("segment %d of %d does not follow the one before", i, len(rec.Segments))
		}
	}
	return nil
}
