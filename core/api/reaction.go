package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// reactionCommand is a command about an emoji of the path's message.
func (s *Server) reactionCommand(c *call, kind string) (*pb.Command, core.ReactionRef, error) {
	emoji, err := c.emoji()
	if err != nil {
		return nil, core.ReactionRef{}, err
	}
	cmd, err := s.messageCommand(c, kind)
	return cmd, core.ReactionRef{Emoji: emoji}, err
}

// emoji reads the path's, which the router gives as it was sent where that is not the one standard way of escaping.
func (c *call) emoji() (string, error) {
	emoji := chi.URLParam(c.Request, "emoji")
	if strings.Contains(emoji, "%") {
		var err error
		if emoji, err = url.PathUnescape(emoji); err != nil {
			return "", proto.ErrUnknownEmoji
		}
	}
	if !proto.ValidEmoji(emoji) {
		return "", proto.ErrUnknownEmoji // name:id, too: there are no emojis of guilds
	}
	return emoji, nil
}

func (s *Server) addReaction(c *call) (reply, error) {
	cmd, ref, err := s.reactionCommand(c, core.KindReactionAdd)
	if err != nil {
		return reply{}, err
	}
	if cmd.Guild == 0 {
		if err := s.mayReach(c, proto.ID(cmd.Channel)); err != nil {
			return reply{}, err
		}
	}
	return s.do(c, cmd, ref)
}

func (s *Server) removeReaction(c *call) (reply, error) {
	user, err := c.userID()
	if err != nil {
		return reply{}, err
	}
	return s.removeReactionOf(c, user)
}

func (s *Server) removeOwnReaction(c *call) (reply, error) { return s.removeReactionOf(c, c.who.User) }

func (s *Server) removeReactionOf(c *call, user proto.ID) (reply, error) {
	cmd, ref, err := s.reactionCommand(c, core.KindReactionRemove)
	if err != nil {
		return reply{}, err
	}
	ref.User = user
	return s.do(c, cmd, ref)
}

func (s *Server) removeReactions(c *call) (reply, error) {
	cmd, err := s.messageCommand(c, core.KindReactionRemoveAll)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, nil)
}

func (s *Server) removeReactionsOf(c *call) (reply, error) {
	cmd, ref, err := s.reactionCommand(c, core.KindReactionRemoveEmoji)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, ref)
}

// listReactors gives the users who reacted with an emoji, in order of ids. Burst reactions (type 1) there are none.
func (s *Server) listReactors(c *call) (reply, error) {
	emoji, err := c.emoji()
	if err != nil {
		return reply{}, err
	}
	page, err := pageOf(c, 25, 100)
	if err != nil {
		return reply{}, err
	}
	kind := 0
	if v := c.URL.Query().Get("type"); v != "" {
		if kind, err = strconv.Atoi(v); err != nil {
			return reply{}, proto.InvalidForm("type", "NUMBER_TYPE_COERCE", "Value is not int.")
		}
		if err := form.Range("type", kind, 0, 1); err != nil {
			return reply{}, err
		}
	}
	m, err := s.readMessage(c)
	if err != nil {
		return reply{}, err
	}
	users := []proto.User{}
	tallies, err := s.cfg.History.Reactions(c.ctx(), m.ChannelID, []proto.ID{m.ID})
	if err != nil {
		return reply{}, err
	}
	at := slices.IndexFunc(tallies[m.ID], func(y core.Tally) bool { return y.Emoji == emoji })
	if at < 0 || kind != 0 {
		return reply{http.StatusOK, users}, nil
	}
	ids, err := s.cfg.History.Reactors(c.ctx(), m.ChannelID, tallies[m.ID][at].Round, page.after, page.limit)
	if err != nil {
		return reply{}, err
	}
	for _, id := range ids {
		u, err := s.cfg.Directory.User(c.ctx(), id)
		if err != nil {
			return reply{}, err
		}
		users = append(users, u)
	}
	return reply{http.StatusOK, users}, nil
}
