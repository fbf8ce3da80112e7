package resume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	holdMost   = 10000 // sessions of one call
	holdAtOnce = 32
)

// Hold keeps the registrations of sessions that are still where they moved to (rule 12), and tells which of them are elsewhere by now. A call
// that ended in an error may have done part of it, and may be made again.
func (s *Service) Hold(ctx context.Context, call *pb.HoldCall) *pb.HoldAnswer {
	out := &pb.HoldAnswer{}
	if len(call.Records) > holdMost {
		out.Error = fmt.Sprintf("%d sessions in one call, want at most %d", len(call.Records), holdMost)
		return out
	}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(holdAtOnce)
	for _, rec := range call.Records {
		g.Go(func() error {
			err := s.hold(ctx, rec)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, errLost):
				out.Superseded = append(out.Superseded, rec.Origin.Key)
			case err != nil:
				out.Error = err.Error()
			}
			return nil
		})
	}
	_ = g.Wait()
	slices.Sort(out.Superseded)
	return out
}

// hold writes one registration again; errLost if the session is elsewhere.
func (s *Service) hold(ctx context.Context, rec *pb.ResumeRecord) error {
	if err := check(rec); err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	key, head := rec.Origin.Key, newest(rec)
	if head.N == 0 {
		return nil // it never moved: its session_id says all
	}
	body, err := gproto.MarshalOptions{Deterministic: true}.Marshal(rec)
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	for try := 0; ; try++ {
		reg, err := s.Registry.Registration(ctx, registryKey(key))
		switch {
		case errors.Is(err, core.ErrNotFound):
			reg = core.Registration{}
		case err != nil:
			return fmt.Errorf("hold: %w", err)
		case reg.N > head.N || reg.N == head.N && !same(reg.Body, rec):
			return errLost
		}
		if reg.N != head.N { // absent, or rolled back: it may have moved on before that
			switch _, err := s.Tombs.Tomb(ctx, tombKey(head, key)); {
			case err == nil:
				return errLost
			case !errors.Is(err, core.ErrNotFound):
				return fmt.Errorf("hold: tomb: %w", err)
			}
		}
		err = s.Registry.Register(ctx, registryKey(key), reg.N, core.Registration{N: head.N, Body: body}, Retention)
		if err == nil {
			return nil
		}
		if !errors.Is(err, core.ErrStale) || try == registerTries {
			return fmt.Errorf("hold: %w", err)
		}
	}
}

// same compares a registration with a record: two moves may have the same number.
func same(body []byte, rec *pb.ResumeRecord) bool {
	other := new(pb.ResumeRecord)
	return gproto.Unmarshal(body, other) == nil && gproto.Equal(other, rec)
}
