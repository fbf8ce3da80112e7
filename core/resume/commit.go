package resume

import (
	"context"
	"errors"
	"fmt"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto/pb"
)

const registerTries = 4

// errLost says that somebody else has the session.
var errLost = errors.New("somebody else moved the session")

// Commit moves a session: the segment that it leaves is left for good (rule 11a), then the registry is told (11b). The same call may be made
// again until it is answered.
func (s *Service) Commit(ctx context.Context, call *pb.ResumeCommit) *pb.ResumeCommitAnswer {
	err := s.commit(ctx, call)
	switch {
	case err == nil:
		moves.WithLabelValues("ok").Inc()
		return &pb.ResumeCommitAnswer{Ok: true}
	case errors.Is(err, errLost):
		moves.WithLabelValues("lost").Inc()
		return &pb.ResumeCommitAnswer{Lost: true}
	}
	moves.WithLabelValues("error").Inc()
	return &pb.ResumeCommitAnswer{Error: err.Error()}
}

func (s *Service) commit(ctx context.Context, call *pb.ResumeCommit) error {
	if call.Before == nil || call.Segment == nil {
		return errors.New("commit: nothing to move")
	}
	if err := check(call.Before); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	head := newest(call.Before)
	after := &pb.ResumeRecord{Origin: call.Before.Origin, Segments: append(call.Before.Segments[:len(call.Before.Segments):len(call.Before.Segments)], call.Segment)}
	after.Segments = after.Segments[max(0, len(after.Segments)-Segments):]
	if err := check(after); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	body, err := gproto.MarshalOptions{Deterministic: true}.Marshal(after)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	key := after.Origin.Key
	// What the registry has above the segment is of somebody who moved on from it: a tomb would be wrong.
	at, err := s.registered(ctx, key, head.N, call.Segment.N, body)
	if err != nil {
		return err
	}
	if err := s.bury(ctx, tombKey(head, key), body); errors.Is(err, core.ErrStale) {
		return errLost
	} else if err != nil {
		return fmt.Errorf("commit: tomb: %w", err)
	}
	// The tomb has decided. A holder that refreshes its registration meanwhile only makes this look again.
	for try := 0; ; try++ {
		err := s.Registry.Register(ctx, registryKey(key), at, core.Registration{N: call.Segment.N, Body: body}, Retention)
		if err == nil {
			return nil
		}
		if !errors.Is(err, core.ErrStale) || try == registerTries {
			return fmt.Errorf("commit: registration: %w", err)
		}
		if at, err = s.registered(ctx, key, head.N, call.Segment.N, body); err != nil {
			return err
		}
	}
}

func (s *Service) bury(ctx context.Context, key string, body []byte) error {
	if s.Mutation.NoTombs {
		return nil
	}
	return s.Tombs.Bury(ctx, key, body)
}

// registered is the generation that the registry has, 0 for nothing; errLost if it is above the one to be left, and not what is to be written.
func (s *Service) registered(ctx context.Context, key, left, to uint64, body []byte) (uint64, error) {
	reg, err := s.Registry.Registration(ctx, registryKey(key))
	switch {
	case errors.Is(err, core.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("registration: %w", err)
	case reg.N > left && !(reg.N == to && string(reg.Body) == string(body)):
		return 0, errLost
	}
	return reg.N, nil
}
