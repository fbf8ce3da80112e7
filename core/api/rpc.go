package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxSnapshotMembers = 10000 // of one call
	maxDirects         = 1000
	directsAtOnce      = 32
	directPatience     = 2500 * time.Millisecond // the edge waits 3 s
)

// answerIdentify is the rpc "identify": whom a token stands for, and the user as of a sequence of the home bucket.
func (s *Server) answerIdentify(ctx context.Context, body []byte) []byte {
	out, err := s.identify(ctx, body)
	if err != nil {
		s.warn("call failed", "identify", err)
		out = &pb.IdentifyAnswer{Error: "unavailable"}
	}
	return encode(out)
}

// identify answers an empty message for a bad token; an error means that nobody can say now.
func (s *Server) identify(ctx context.Context, body []byte) (*pb.IdentifyAnswer, error) {
	var in pb.IdentifyCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	ctx, cancel := s.deadline(ctx, 0)
	defer cancel()
	who, err := s.who.check(ctx, in.Token)
	if errors.Is(err, auth.ErrBadToken) {
		return &pb.IdentifyAnswer{}, nil
	}
	if err != nil {
		return nil, err
	}
	if in.Start && !in.Admitted {
		if ms := later(s.admit.begin, "begin"); ms > 0 {
			return &pb.IdentifyAnswer{LaterMs: ms}, nil
		}
	}
	res, err := s.snapshotUser(ctx, who.User)
	if isNotFound(err) {
		return &pb.IdentifyAnswer{}, nil
	}
	if err != nil {
		return nil, err
	}
	user := &pb.UserSnapshot{}
	if err := gproto.Unmarshal(res.Body, user); err != nil {
		return nil, fmt.Errorf("user %d: snapshot: %w", who.User, err)
	}
	out := &pb.IdentifyAnswer{User: user, AuthSession: uint64(who.Login)}
	if in.Start {
		wait, allowed := s.takeStart(ctx, who.User)
		out.WaitMs, out.Limited = uint32(wait.Milliseconds()), !allowed
	}
	if in.Start && in.Origin != nil && !out.Limited {
		if err := s.begin(in.Origin, who, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// snapshotUser asks the owner of a user's home bucket.
func (s *Server) snapshotUser(ctx context.Context, user proto.ID) (*pb.Result, error) {
	return s.dispatch.Do(ctx, &pb.Command{Id: newCommandID(), Kind: core.KindSnapshotUser, Target: uint64(user), Bucket: uint32(user.Bucket())})
}

// answerGuild is the rpc "guild": a guild as of a sequence of its bucket.
func (s *Server) answerGuild(ctx context.Context, body []byte) []byte {
	out, err := s.guildSnapshot(ctx, body)
	switch {
	case isNotFound(err):
		out = &pb.GuildAnswer{Status: http.StatusNotFound}
	case err != nil:
		s.warn("call failed", "guild", err)
		out = &pb.GuildAnswer{Status: http.StatusServiceUnavailable}
	}
	return encode(out)
}

func (s *Server) guildSnapshot(ctx context.Context, body []byte) (*pb.GuildAnswer, error) {
	var in pb.GuildCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if in.Guild == 0 {
		return nil, proto.ErrUnknownGuild
	}
	if in.Query != nil {
		return s.queryGuild(ctx, &in)
	}
	ask := core.SnapshotGuild{AllMembersUpTo: int(min(in.AllMembersUpTo, maxSnapshotMembers))}
	for _, m := range in.Members[:min(len(in.Members), maxSnapshotMembers)] {
		if m != 0 {
			ask.Members = append(ask.Members, proto.ID(m))
		}
	}
	b, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.deadline(ctx, 0)
	defer cancel()
	res, err := s.dispatch.Do(ctx, &pb.Command{Id: newCommandID(), Kind: core.KindSnapshotGuild, Guild: in.Guild, Body: b,
		Bucket: uint32(proto.ID(in.Guild).Bucket())})
	if err != nil {
		return nil, err
	}
	guild := &pb.GuildSnapshot{}
	if err := gproto.Unmarshal(res.Body, guild); err != nil {
		return nil, fmt.Errorf("guild %d: snapshot: %w", in.Guild, err)
	}
	return &pb.GuildAnswer{Guild: guild, Status: http.StatusOK}, nil
}

// answerDirect is the rpc "direct": direct channels as of sequences of their buckets.
func (s *Server) answerDirect(ctx context.Context, body []byte) []byte {
	out, err := s.directSnapshots(ctx, body)
	if err != nil {
		s.warn("call failed", "direct", err)
		out = &pb.DirectAnswer{Error: "unavailable"}
	}
	return encode(out)
}

// directSnapshots asks the owners of the channels side by side. Who does not answer in time is left out.
func (s *Server) directSnapshots(ctx context.Context, body []byte) (*pb.DirectAnswer, error) {
	var in pb.DirectCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if len(in.Wants) > maxDirects {
		return nil, fmt.Errorf("user %d: %d direct channels in one call", in.User, len(in.Wants))
	}
	ctx, cancel := context.WithTimeout(ctx, directPatience)
	defer cancel()
	found := make([]*pb.DirectSnapshot, len(in.Wants))
	var g errgroup.Group
	g.SetLimit(directsAtOnce)
	for i, w := range in.Wants {
		g.Go(func() error {
			ask, err := json.Marshal(core.SnapshotDirect{Since: proto.ID(w.Since)})
			if err != nil {
				return err
			}
			res, err := s.dispatch.Do(ctx, &pb.Command{Id: newCommandID(), Kind: core.KindSnapshotDirect, Channel: w.Channel, Target: in.User,
				Body: ask, Bucket: uint32(proto.ID(w.Channel).Bucket())})
			snap := &pb.DirectSnapshot{Channel: w.Channel}
			if err == nil {
				err = gproto.Unmarshal(res.Body, snap)
			}
			if err == nil || isNotFound(err) { // what does not exist is in nobody's list
				found[i] = snap
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &pb.DirectAnswer{Directs: slices.DeleteFunc(found, func(d *pb.DirectSnapshot) bool { return d == nil })}, nil
}

// newCommandID is for snapshots: nobody repeats them.
func newCommandID() []byte {
	id := make([]byte, 16)
	rand.Read(id)
	return id
}

func isNotFound(err error) bool {
	var e *proto.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

func encode(m gproto.Message) []byte {
	b, err := gproto.Marshal(m)
	if err != nil {
		return nil // strings of ours that are no UTF-8: a bug; the caller fails to decode what it needs
	}
	return b
}
