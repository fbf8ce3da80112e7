package api

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/core/resume"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	resumeWorkers = 512 // a resume may wait 2 s for a journal
	moveWorkers   = 128
	holdWorkers   = 16
	resumeHeld    = 250 // milliseconds that a resume waits here for its turn: to be told of it, and ask again, costs more
)

// releaseAgain is after how long an edge is asked once more to let go of a session, and then again.
var releaseAgain = []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}

// begin makes the session_id of a session that starts, of what its edge says and the core knows.
func (s *Server) begin(o *pb.SessionOrigin, who identity, out *pb.IdentifyAnswer) error {
	if err := relay.CheckName(o.Edge); err != nil {
		return fmt.Errorf("session: edge: %w", err)
	}
	o.Key, o.User, o.Login = randomKey(), uint64(who.User), uint64(who.Login)
	id, err := s.signer.Sign(o)
	out.Session, out.Key = id, o.Key
	return err
}

// randomKey is never 0.
func randomKey() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails
		if k := binary.BigEndian.Uint64(b[:]); k != 0 {
			return k
		}
	}
}

// newResume wires the resume service to what the server has; nil where there are no journals to read.
func (s *Server) newResume() *resume.Service {
	if s.cfg.Journals == nil {
		return nil
	}
	return resume.New(resume.Config{Signer: s.signer, Journals: s.cfg.Journals, Tombs: s.cfg.Tombs, Registry: s.cfg.Registry,
		Holders: holders{s.cfg.Bus}, Users: users{s}, Clock: resume.NewClock(s.cfg.Now), Log: s.log})
}

// answerResume is the rpc "resume".
func (s *Server) answerResume(ctx context.Context, body []byte) []byte {
	var in pb.ResumeCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		s.warn("call not understood", "resume", err)
		return encode(&pb.ResumeAnswer{Why: "not understood"})
	}
	if !in.Admitted {
		ms := later(s.admit.move, "move")
		if ms > resumeHeld {
			return encode(&pb.ResumeAnswer{Outcome: pb.ResumeAnswer_LATER, LaterMs: ms})
		}
		if ms > 0 {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	ctx, cancel := s.deadline(ctx, 0)
	defer cancel()
	out := s.resume.Resume(ctx, &in)
	if out.Outcome == pb.ResumeAnswer_RETRY {
		s.warn("call failed", "resume", errors.New(out.Why))
	}
	return encode(out)
}

// answerResumed is the rpc "resumed".
func (s *Server) answerResumed(ctx context.Context, body []byte) []byte {
	var in pb.ResumeCommit
	if err := gproto.Unmarshal(body, &in); err != nil {
		s.warn("call not understood", "resumed", err)
		return encode(&pb.ResumeCommitAnswer{Error: "not understood"})
	}
	ctx, cancel := s.deadline(ctx, 0)
	defer cancel()
	out := s.resume.Commit(ctx, &in)
	if out.Error != "" {
		s.warn("call failed", "resumed", errors.New(out.Error))
	}
	return encode(out)
}

// answerHold is the rpc "hold".
func (s *Server) answerHold(ctx context.Context, body []byte) []byte {
	var in pb.HoldCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		s.warn("call not understood", "hold", err)
		return encode(&pb.HoldAnswer{Error: "not understood"})
	}
	ctx, cancel := s.deadline(ctx, 0)
	defer cancel()
	out := s.resume.Hold(ctx, &in)
	if out.Error != "" {
		s.warn("call failed", "hold", errors.New(out.Error))
	}
	return encode(out)
}

// users implements resume.Users.
type users struct{ s *Server }

func (u users) User(ctx context.Context, token string) (user, login proto.ID, err error) {
	who, err := u.s.who.check(ctx, token)
	if errors.Is(err, auth.ErrBadToken) {
		err = fmt.Errorf("%w: %w", resume.ErrBadToken, err)
	}
	return who.User, who.Login, err
}

func (u users) Snapshot(ctx context.Context, user proto.ID) ([]byte, error) {
	res, err := u.s.snapshotUser(ctx, user)
	if isNotFound(err) {
		return nil, fmt.Errorf("%w: %w", resume.ErrBadToken, err)
	}
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// holders implements resume.Holders.
type holders struct{ bus Bus }

func (h holders) Release(ctx context.Context, edge string, call *pb.ReleaseCall) (*pb.ReleaseAnswer, error) {
	if err := relay.CheckName(edge); err != nil {
		return nil, err
	}
	b, err := h.ask(ctx, relay.EdgeSubject(edge), encode(call))
	if errors.Is(err, relay.ErrNobody) {
		return nil, fmt.Errorf("%w: %s", resume.ErrNobody, edge)
	}
	if err != nil {
		return nil, err
	}
	if len(b) == 0 { // it could not say: an edge that runs, and has a session, has numbered something
		return nil, fmt.Errorf("%s: an empty answer", edge)
	}
	out := new(pb.ReleaseAnswer)
	if err := gproto.Unmarshal(b, out); err != nil {
		return nil, fmt.Errorf("answer of %s: %w", edge, err)
	}
	return out, nil
}

// ask repeats a question to an edge that is slow to answer, and takes what comes first: of what an edge that dies was asked in its last moment
// nobody tells, while whoever asks again hears at once that there is nobody.
func (h holders) ask(ctx context.Context, subject string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		body []byte
		err  error
	}
	answers := make(chan answer, 1+len(releaseAgain))
	request := func() {
		b, err := h.bus.Request(ctx, subject, body)
		answers <- answer{b, err}
	}
	go request()
	for _, d := range releaseAgain {
		t := time.NewTimer(d)
		select {
		case a := <-answers:
			t.Stop()
			return a.body, a.err
		case <-t.C:
			go request()
		}
	}
	a := <-answers // ctx ends them all
	return a.body, a.err
}

// Tombs are the relay's, as the resume service wants them.
func Tombs(t *relay.Tombs) resume.Tombs { return tombs{t} }

type tombs struct{ relay *relay.Tombs }

func (t tombs) Tomb(ctx context.Context, key string) ([]byte, error) {
	b, err := t.relay.Tomb(ctx, key)
	if errors.Is(err, relay.ErrNoTomb) {
		return nil, core.ErrNotFound
	}
	return b, err
}

func (t tombs) Bury(ctx context.Context, key string, body []byte) error {
	err := t.relay.Bury(ctx, key, body)
	if errors.Is(err, relay.ErrConflict) {
		return core.ErrStale
	}
	return err
}
