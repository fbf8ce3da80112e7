package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

const (
	maxBulkBan       = 200
	maxDeleteSeconds = 7 * 24 * 3600
	maxPruneDays     = 30
	standardPrune    = 7 // days
	maxPruneRoles    = 100
)

// may finds the caller's seat in the guild of the path and checks what the caller may do there.
func (s *Server) may(c *call, need proto.Permissions) (seat, error) {
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err == nil && !p.base.Has(need) {
		err = proto.ErrMissingPermission
	}
	return p, err
}

func (s *Server) listBans(c *call) (reply, error) {
	page, err := pageOf(c, 1000, 1000)
	if err != nil {
		return reply{}, err
	}
	p, err := s.may(c, proto.PermBanMembers)
	if err != nil {
		return reply{}, err
	}
	bans, err := s.cfg.Directory.Bans(c.ctx(), p.guild.ID, page.before, page.after, page.limit)
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: bans: %w", p.guild.ID, err)
	}
	return reply{http.StatusOK, bans}, nil
}

func (s *Server) getBan(c *call) (reply, error) {
	user, err := c.userID()
	if err != nil {
		return reply{}, err
	}
	p, err := s.may(c, proto.PermBanMembers)
	if err != nil {
		return reply{}, err
	}
	b, err := s.cfg.Directory.Ban(c.ctx(), p.guild.ID, user)
	if errors.Is(err, core.ErrNotFound) {
		return reply{}, proto.ErrUnknownBan
	}
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: ban of %d: %w", p.guild.ID, user, err)
	}
	return reply{http.StatusOK, b}, nil
}

// putBan bans, and then removes what the banned user wrote lately, where that is asked for.
func (s *Server) putBan(c *call) (reply, error) {
	cmd, err := memberCommand(c, core.KindBanPut)
	if err != nil {
		return reply{}, err
	}
	var in struct {
		Seconds *int `json:"delete_message_seconds"`
		Days    *int `json:"delete_message_days"` // the older form
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if v := c.URL.Query().Get("delete_message_days"); v != "" && in.Days == nil {
		n, err := strconv.Atoi(v)
		if err != nil {
			return reply{}, proto.InvalidForm("delete_message_days", "NUMBER_TYPE_COERCE", "Value is not int.")
		}
		in.Days = &n
	}
	seconds := 0
	switch {
	case in.Seconds != nil:
		seconds = *in.Seconds
		err = form.Range("delete_message_seconds", seconds, 0, maxDeleteSeconds)
	case in.Days != nil:
		err = form.Range("delete_message_days", *in.Days, 0, 7)
		seconds = *in.Days * 24 * 3600
	}
	if err != nil {
		return reply{}, err
	}
	r, err := s.do(c, cmd, nil)
	if err == nil && seconds > 0 {
		s.purge(c, proto.ID(cmd.Guild), []proto.ID{proto.ID(cmd.Target)}, time.Duration(seconds)*time.Second)
	}
	return r, err
}

func (s *Server) deleteBan(c *call) (reply, error) {
	cmd, err := memberCommand(c, core.KindBanDelete)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, nil)
}

func (s *Server) bulkBan(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	var in struct {
		core.BanBulk
		Seconds int `json:"delete_message_seconds"`
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if len(in.Users) < 1 || len(in.Users) > maxBulkBan {
		return reply{}, proto.InvalidForm("user_ids", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 200 in length.")
	}
	for _, id := range in.Users {
		if id == 0 {
			return reply{}, proto.InvalidForm("user_ids", "NUMBER_TYPE_COERCE", "null is not snowflake.")
		}
	}
	if err := form.Range("delete_message_seconds", in.Seconds, 0, maxDeleteSeconds); err != nil {
		return reply{}, err
	}
	r, err := s.do(c, c.guildCommand(core.KindBanBulk, guild), in.BanBulk)
	if err == nil && in.Seconds > 0 {
		s.purge(c, guild, in.Users, time.Duration(in.Seconds)*time.Second)
	}
	return r, err
}

// countPrune counts members without roles who joined so many days ago: who was active when is not recorded.
func (s *Server) countPrune(c *call) (reply, error) {
	q := c.URL.Query()
	days := standardPrune
	if v := q.Get("days"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return reply{}, proto.InvalidForm("days", "NUMBER_TYPE_COERCE", "Value is not int.")
		}
		days = n
	}
	if err := form.Range("days", days, 1, maxPruneDays); err != nil {
		return reply{}, err
	}
	roles, err := idList("include_roles", q["include_roles"])
	if err != nil {
		return reply{}, err
	}
	p, err := s.may(c, proto.PermKickMembers|proto.PermManageGuild)
	if err != nil {
		return reply{}, err
	}
	n, err := s.cfg.Directory.PruneCount(c.ctx(), p.guild.ID, core.PruneQuery{Joined: s.cfg.Now().Add(-time.Duration(days) * 24 * time.Hour),
		Roles: roles})
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: prune: %w", p.guild.ID, err)
	}
	return reply{http.StatusOK, core.Pruned{Pruned: &n}}, nil
}

func (s *Server) prune(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	var in struct {
		Days  *int       `json:"days"`
		Count *bool      `json:"compute_prune_count"`
		Roles []proto.ID `json:"include_roles"`
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	body := core.MembersPrune{Days: standardPrune, IncludeRoles: in.Roles}
	if in.Days != nil {
		body.Days = *in.Days
	}
	if err := form.Range("days", body.Days, 1, maxPruneDays); err != nil {
		return reply{}, err
	}
	if len(in.Roles) > maxPruneRoles {
		return reply{}, proto.InvalidForm("include_roles", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
	}
	r, err := s.do(c, c.guildCommand(core.KindMembersPrune, guild), body)
	if err == nil && in.Count != nil && !*in.Count {
		return reply{http.StatusOK, core.Pruned{}}, nil
	}
	return r, err
}

// idList reads ids given as one key several times, each with commas between them.
func idList(field string, values []string) ([]proto.ID, error) {
	var ids []proto.ID
	for _, one := range strings.FieldsFunc(strings.Join(values, ","), func(r rune) bool { return r == ',' }) {
		id, err := parseField(field, one)
		if err != nil {
			return nil, err
		}
		if ids = append(ids, id); len(ids) > maxPruneRoles {
			return nil, proto.InvalidForm(field, "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
		}
	}
	return ids, nil
}
