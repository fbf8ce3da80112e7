package api

import (
	"net/http"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

func (s *Server) listRoles(c *call) (reply, error) {
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, p.guild.Roles}, nil
}

func (s *Server) getRole(c *call) (reply, error) {
	id, err := c.pathID("role")
	if err != nil {
		return reply{}, err
	}
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	for _, r := range p.guild.Roles {
		if r.ID == id {
			return reply{http.StatusOK, r}, nil
		}
	}
	return reply{}, proto.ErrUnknownRole
}

func (s *Server) createRole(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	in, err := decodeRole(c)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, c.guildCommand(core.KindRoleCreate, guild), in)
}

func (s *Server) editRole(c *call) (reply, error) {
	cmd, err := roleCommand(c, core.KindRoleEdit)
	if err != nil {
		return reply{}, err
	}
	in, err := decodeRole(c)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, in)
}

// moveRoles orders several roles in one call and answers all of them.
func (s *Server) moveRoles(c *call) (reply, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return reply{}, err
	}
	var in core.RolesMove
	if err := form.DecodeList(c.Request, &in.Places); err != nil {
		return reply{}, err
	}
	for _, p := range in.Places {
		if p.ID == 0 {
			return reply{}, form.Required("id")
		}
	}
	if _, err := s.do(c, c.guildCommand(core.KindRolesMove, guild), in); err != nil {
		return reply{}, err
	}
	return s.listRoles(c)
}

func (s *Server) deleteRole(c *call) (reply, error) {
	cmd, err := roleCommand(c, core.KindRoleDelete)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, nil)
}

func decodeRole(c *call) (core.RoleEdit, error) {
	// colors repeats color in the newer form; clients that know it may send it alone.
	var in struct {
		core.RoleEdit
		Colors *struct {
			Primary *int `json:"primary_color"`
		} `json:"colors"`
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return in.RoleEdit, err
	}
	if in.Color == nil && in.Colors != nil {
		in.Color = in.Colors.Primary
	}
	if in.Name != nil {
		if err := form.Length("name", *in.Name, 1, 100); err != nil {
			return in.RoleEdit, err
		}
	}
	if in.Color != nil {
		if err := form.Range("color", *in.Color, 0, 0xFFFFFF); err != nil {
			return in.RoleEdit, err
		}
	}
	return in.RoleEdit, nil
}
