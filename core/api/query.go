package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	queryMembers = 1000 // of one answer
	queryPrefix  = 100  // of one answer to a prefix
	queryPause   = 20 * time.Millisecond
)

// queryGuild answers a GuildCall with a MemberQuery from the directory alone: whoever asks for a million members does not hold up the
// bucket's owner.
func (s *Server) queryGuild(ctx context.Context, in *pb.GuildCall) (*pb.GuildAnswer, error) {
	ctx, cancel := s.deadline(ctx, 0)
	defer cancel()
	guild, q := proto.ID(in.Guild), in.Query
	if err := s.reach(ctx, guild.Bucket(), q.Since); err != nil {
		return nil, err
	}
	g, err := s.cfg.Directory.Guild(ctx, guild)
	if errors.Is(err, core.ErrNotFound) {
		return nil, proto.ErrUnknownGuild
	}
	if err != nil {
		return nil, fmt.Errorf("guild %d: %w", guild, err)
	}
	rows, err := s.queryRows(ctx, guild, in)
	if err != nil {
		return nil, fmt.Errorf("guild %d: %w", guild, err)
	}
	body, err := json.Marshal(proto.Guild{ID: guild, OwnerID: g.OwnerID, Members: rows, MemberCount: g.MemberCount})
	if err != nil {
		return nil, err
	}
	return &pb.GuildAnswer{Status: http.StatusOK, Guild: &pb.GuildSnapshot{Guild: in.Guild, Bucket: uint32(guild.Bucket()), Body: body}}, nil
}

func (s *Server) queryRows(ctx context.Context, guild proto.ID, in *pb.GuildCall) ([]proto.Member, error) {
	limit := int(min(max(in.Query.Limit, 1), queryMembers))
	switch {
	case len(in.Members) > 0:
		rows := make([]proto.Member, 0, min(len(in.Members), limit))
		for _, id := range in.Members[:min(len(in.Members), limit)] {
			m, err := s.cfg.Directory.Member(ctx, guild, proto.ID(id))
			switch {
			case errors.Is(err, core.ErrNotFound):
			case err != nil:
				return nil, err
			default:
				rows = append(rows, m)
			}
		}
		return rows, nil
	case in.Query.Prefix != "":
		return s.cfg.Directory.FindMembers(ctx, guild, in.Query.Prefix, min(limit, queryPrefix))
	}
	return s.cfg.Directory.Members(ctx, guild, proto.ID(in.Query.After), limit)
}

// reach waits until the directory has applied the bucket's log up to a sequence that changed it: the edge must not hand out a row older than
// an event that it has handed out already.
func (s *Server) reach(ctx context.Context, bucket int, sequence uint64) error {
	if sequence == 0 {
		return nil
	}
	tick := time.NewTicker(queryPause)
	defer tick.Stop()
	for {
		cp, err := s.cfg.Directory.Checkpoint(ctx, bucket)
		if err != nil {
			return fmt.Errorf("bucket %d: %w", bucket, err)
		}
		if cp.Sequence >= sequence {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("bucket %d: directory at %d, want %d: %w", bucket, cp.Sequence, sequence, ctx.Err())
		}
	}
}
