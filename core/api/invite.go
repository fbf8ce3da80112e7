package api

import (
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

// codeAlphabet is what codes of invites are made of; a path may hold anything, and not every store takes that.
const codeAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

const (
	maxInviteAge  = 604800 // seconds: a week
	maxInviteUses = 100
)

func (s *Server) createInvite(c *call) (reply, error) {
	var in core.InviteCreate
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.MaxAge != nil {
		if err := form.Range("max_age", *in.MaxAge, 0, maxInviteAge); err != nil {
			return reply{}, err
		}
	}
	if err := form.Range("max_uses", in.MaxUses, 0, maxInviteUses); err != nil {
		return reply{}, err
	}
	cmd, err := s.channelCommand(c, core.KindInviteCreate)
	if err != nil {
		return reply{}, err
	}
	in.Code = s.inviteCode(cmd.Id)
	return s.do(c, cmd, in)
}

// inviteCode is derived from the command's id, so that a repeated call makes no second invite: 50 bits that nobody can guess.
func (s *Server) inviteCode(command []byte) string {
	sum := s.cfg.Keys.Derive("invite", command)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10])
}

func (s *Server) getInvite(c *call) (reply, error) {
	in, err := s.pathInvite(c)
	if err != nil {
		return reply{}, err
	}
	if c.URL.Query().Get("with_counts") != "true" {
		return reply{http.StatusOK, in}, nil
	}
	g, err := s.cfg.Directory.Guild(c.ctx(), in.Guild.ID)
	if errors.Is(err, core.ErrNotFound) {
		return reply{}, proto.ErrUnknownInvite
	}
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: %w", in.Guild.ID, err)
	}
	return reply{http.StatusOK, countedInvite{Invite: in, Members: g.MemberCount}}, nil
}

// countedInvite is a preview with counts; nobody's presence is known.
type countedInvite struct {
	proto.Invite
	Members   int `json:"approximate_member_count"`
	Presences int `json:"approximate_presence_count"`
}

// deleteInvite revokes an invite, and answers what it was.
func (s *Server) deleteInvite(c *call) (reply, error) {
	in, err := s.pathInvite(c)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, c.guildCommand(core.KindInviteDelete, in.Guild.ID), core.InviteRef{Code: in.Code})
}

// joinInvite makes the caller a member.
func (s *Server) joinInvite(c *call) (reply, error) {
	if c.who.bot() {
		return reply{}, errNoBots
	}
	if err := form.Decode(c.Request, &struct{}{}); err != nil {
		return reply{}, err
	}
	in, err := s.pathInvite(c)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, c.guildCommand(core.KindMemberJoin, in.Guild.ID), core.InviteRef{Code: in.Code})
}

func (s *Server) pathInvite(c *call) (proto.Invite, error) {
	code := chi.URLParam(c.Request, "code")
	if code == "" || len(code) > 64 || strings.Trim(code, codeAlphabet) != "" {
		return proto.Invite{}, proto.ErrUnknownInvite
	}
	in, err := s.cfg.Directory.Invite(c.ctx(), code, s.cfg.Now())
	if errors.Is(err, core.ErrNotFound) {
		return in, proto.ErrUnknownInvite
	}
	if err != nil {
		return in, fmt.Errorf("invite: %w", err)
	}
	return in, nil
}

func (s *Server) listGuildInvites(c *call) (reply, error) {
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	if !p.base.Has(proto.PermManageGuild) {
		return reply{}, proto.ErrMissingPermission
	}
	return s.invites(c, p.guild.ID, 0)
}

func (s *Server) listChannelInvites(c *call) (reply, error) {
	id, err := c.pathID("channel")
	if err != nil {
		return reply{}, err
	}
	p, _, perms, err := s.channelSeat(c.ctx(), id, c.who.User)
	if err != nil {
		return reply{}, err
	}
	if !perms.Has(proto.PermManageChannels) {
		return reply{}, proto.ErrMissingPermission
	}
	return s.invites(c, p.guild.ID, id)
}

// invites of a guild, or of one of its channels.
func (s *Server) invites(c *call, guild, channel proto.ID) (reply, error) {
	all, err := s.cfg.Directory.Invites(c.ctx(), guild)
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: invites: %w", guild, err)
	}
	list := make([]proto.Invite, 0, len(all))
	for _, in := range all {
		if channel == 0 || in.Channel.ID == channel {
			list = append(list, in)
		}
	}
	return reply{http.StatusOK, list}, nil
}
