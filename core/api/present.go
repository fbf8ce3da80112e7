package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// lookups is how many messages that replies answer are read side by side.
const lookups = 8

// present turns stored messages of one channel into what a reader gets: with their reactions, and replies with what they answer.
func (s *Server) present(ctx context.Context, channel, reader proto.ID, messages []proto.Message) ([]proto.Message, error) {
	out := make([]proto.Message, 0, len(messages))
	ids := make([]proto.ID, 0, len(messages))
	for _, m := range messages {
		out, ids = append(out, m.REST()), append(ids, m.ID)
	}
	if len(out) == 0 {
		return out, nil
	}
	if err := s.presentReactions(ctx, channel, reader, ids, out); err != nil {
		return nil, fmt.Errorf("channel %d: reactions: %w", channel, err)
	}
	if err := s.presentReplies(ctx, channel, out); err != nil {
		return nil, fmt.Errorf("channel %d: replies: %w", channel, err)
	}
	return out, nil
}

func (s *Server) presentReactions(ctx context.Context, channel, reader proto.ID, ids []proto.ID, out []proto.Message) error {
	tallies, err := s.cfg.History.Reactions(ctx, channel, ids)
	if err != nil || len(tallies) == 0 {
		return err
	}
	var rounds []proto.ID
	for _, list := range tallies {
		for _, y := range list {
			rounds = append(rounds, y.Round)
		}
	}
	mine, err := s.cfg.History.Reacted(ctx, channel, rounds, reader)
	if err != nil {
		return err
	}
	for i := range out {
		for _, y := range tallies[out[i].ID] {
			out[i].Reactions = append(out[i].Reactions, proto.NewReaction(y.Emoji, y.Count, mine[y.Round]))
		}
	}
	return nil
}

func (s *Server) presentReplies(ctx context.Context, channel proto.ID, out []proto.Message) error {
	page := make(map[proto.ID]*proto.Message, len(out))
	for i := range out {
		inner := out[i].Stored()
		page[inner.ID] = &inner
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for i := range out {
		ref := out[i].Reference
		if ref == nil || out[i].Type != proto.MessageReply || ref.ChannelID != channel {
			continue
		}
		if m := page[ref.MessageID]; m != nil {
			out[i].Referenced = proto.Referenced{Known: true, Message: m}
			continue
		}
		g.Go(func() error {
			m, err := s.cfg.History.Message(ctx, channel, ref.MessageID)
			if errors.Is(err, core.ErrNotFound) {
				out[i].Referenced = proto.Referenced{Known: true}
				return nil
			}
			if err == nil {
				inner := m.Stored()
				out[i].Referenced = proto.Referenced{Known: true, Message: &inner}
			}
			return err
		})
	}
	return g.Wait()
}

// withReactions adds to the answer of an edit what the owner does not tell: the message's reactions.
func (s *Server) withReactions(c *call, r reply) (reply, error) {
	raw, ok := r.body.(json.RawMessage)
	if !ok || r.status != http.StatusOK {
		return r, nil
	}
	var m proto.Message
	if err := json.Unmarshal(raw, &m); err != nil {
		return reply{}, err
	}
	list := []proto.Message{m}
	if err := s.presentReactions(c.ctx(), m.ChannelID, c.who.User, []proto.ID{m.ID}, list); err != nil {
		return reply{}, err
	}
	if len(list[0].Reactions) > 0 {
		r.body = list[0]
	}
	return r, nil
}
