package api

import (
	"net/http"
	"strings"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

func (s *Server) createGuild(c *call) (reply, error) {
	var in core.GuildCreate
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	in.Name = strings.TrimSpace(in.Name)
	if err := form.Length("name", in.Name, 2, 100); err != nil {
		return reply{}, err
	}
	return s.do(c, c.command(core.KindGuildCreate, core.BirthBucket(c.commandID(core.KindGuildCreate))), in)
}

func (s *Server) editGuild(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	var in core.GuildEdit
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.Name != nil {
		*in.Name = strings.TrimSpace(*in.Name)
		if err := form.Length("name", *in.Name, 2, 100); err != nil {
			return reply{}, err
		}
	}
	return s.do(c, c.guildCommand(core.KindGuildEdit, guild), in)
}

func (s *Server) deleteGuild(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	return s.do(c, c.guildCommand(core.KindGuildDelete, guild), nil)
}

// restGuild is a guild as GET gives it: no channels, no members, but a count where one is asked for.
type restGuild struct {
	proto.Guild
	Members   int `json:"approximate_member_count,omitempty"`
	Presences int `json:"approximate_presence_count,omitempty"`
}

func (s *Server) getGuild(c *call) (reply, error) {
	p, err := s.pathSeat(c, proto.ErrUnknownGuild)
	if err != nil {
		return reply{}, err
	}
	out := restGuild{Guild: p.guild}
	if c.URL.Query().Get("with_counts") == "true" {
		out.Members = p.guild.MemberCount
	}
	out.Guild.Channels, out.Guild.Members, out.Guild.MemberCount = nil, nil, 0
	return reply{http.StatusOK, out}, nil
}

// pathSeat is the caller's seat in the guild of the path.
func (s *Server) pathSeat(c *call, stranger *proto.Error) (seat, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return seat{}, err
	}
	return s.seat(c.ctx(), guild, c.who.User, stranger)
}
