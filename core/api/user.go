package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func (s *Server) ownUser(c *call) (reply, error) {
	u, err := s.user(c, c.who.User)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, u.Self()}, nil
}

func (s *Server) getUser(c *call) (reply, error) {
	id, err := c.pathID("user")
	if err != nil {
		return reply{}, err
	}
	u, err := s.user(c, id)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, u}, nil
}

func (s *Server) user(c *call, id proto.ID) (proto.User, error) {
	u, err := s.cfg.Directory.User(c.ctx(), id)
	if errors.Is(err, core.ErrNotFound) {
		return u, proto.ErrUnknownUser
	}
	if err != nil {
		return u, fmt.Errorf("user %d: %w", id, err)
	}
	return u, nil
}

// userGuild is a guild in the list of one's own.
type userGuild struct {
	ID          proto.ID          `json:"id"`
	Name        string            `json:"name"`
	Icon        *string           `json:"icon"`
	Banner      *string           `json:"banner"`
	Owner       bool              `json:"owner"`
	Permissions proto.Permissions `json:"permissions"`
	Features    []string          `json:"features"`
}

func (s *Server) ownGuilds(c *call) (reply, error) {
	page, err := pageOf(c, 200, 200)
	if err != nil {
		return reply{}, err
	}
	ids, err := s.cfg.Directory.GuildsOf(c.ctx(), c.who.User)
	if err != nil {
		return reply{}, fmt.Errorf("guilds of %d: %w", c.who.User, err)
	}
	if page.before != 0 { // the last ones before
		end := 0
		for end < len(ids) && ids[end] < page.before {
			end++
		}
		ids = ids[max(0, end-page.limit):end]
	}
	guilds := make([]userGuild, 0, min(len(ids), page.limit))
	for _, id := range ids {
		if id <= page.after || len(guilds) == page.limit {
			continue
		}
		p, err := s.seat(c.ctx(), id, c.who.User, proto.ErrMissingAccess)
		if errors.Is(err, proto.ErrMissingAccess) || errors.Is(err, proto.ErrUnknownGuild) {
			continue // left a moment ago: the user's list follows the guild's
		}
		if err != nil {
			return reply{}, err
		}
		guilds = append(guilds, userGuild{ID: id, Name: p.guild.Name, Icon: p.guild.Icon, Banner: p.guild.Banner,
			Owner: p.guild.OwnerID == c.who.User, Permissions: p.base, Features: p.guild.Features})
	}
	return reply{http.StatusOK, guilds}, nil
}

func (s *Server) leaveGuild(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	cmd := c.guildCommand(core.KindMemberRemove, guild)
	cmd.Target = uint64(c.who.User)
	r, err := s.do(c, cmd, nil)
	var e *proto.Error
	if errors.As(err, &e) && e.Code == proto.ErrMissingAccess.Code {
		return reply{}, proto.ErrUnknownGuild // nobody leaves where he is not: as if it were not there
	}
	return r, err
}
