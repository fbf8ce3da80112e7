package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const maxNick = 32

func (s *Server) getMember(c *call) (reply, error) {
	user, err := c.userID()
	if err != nil {
		return reply{}, err
	}
	return s.memberOf(c, user)
}

func (s *Server) ownMember(c *call) (reply, error) { return s.memberOf(c, c.who.User) }

func (s *Server) memberOf(c *call, user proto.ID) (reply, error) {
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	m, err := s.cfg.Directory.Member(c.ctx(), p.guild.ID, user)
	if errors.Is(err, core.ErrNotFound) {
		return reply{}, proto.ErrUnknownMember
	}
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: member %d: %w", p.guild.ID, user, err)
	}
	return reply{http.StatusOK, m}, nil
}

func (s *Server) listMembers(c *call) (reply, error) {
	page, err := pageOf(c, 1, 1000)
	if err != nil {
		return reply{}, err
	}
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	members, err := s.cfg.Directory.Members(c.ctx(), p.guild.ID, page.after, page.limit)
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: members: %w", p.guild.ID, err)
	}
	if members == nil {
		members = []proto.Member{}
	}
	return reply{http.StatusOK, members}, nil
}

// searchMembers finds members by the beginning of a name.
func (s *Server) searchMembers(c *call) (reply, error) {
	page, err := pageOf(c, 1, 1000)
	if err != nil {
		return reply{}, err
	}
	query := c.URL.Query().Get("query")
	if err := form.Length("query", query, 1, 100); err != nil {
		return reply{}, err
	}
	if !utf8.ValidString(query) {
		return reply{}, proto.InvalidForm("query", "BASE_TYPE_BAD", "Must be UTF-8.")
	}
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	members, err := s.cfg.Directory.FindMembers(c.ctx(), p.guild.ID, query, page.limit)
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: members: %w", p.guild.ID, err)
	}
	return reply{http.StatusOK, members}, nil
}

// editOwnNick is the older way to change one's own nick.
func (s *Server) editOwnNick(c *call) (reply, error) {
	cmd, err := targetCommand(c, core.KindMemberEdit, c.who.User)
	if err != nil {
		return reply{}, err
	}
	var in struct {
		Nick core.Optional[string] `json:"nick"`
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	nick := core.Optional[string]{Set: true, Value: in.Nick.Value}
	if nick.Value != nil {
		if err := form.Length("nick", *nick.Value, 0, maxNick); err != nil {
			return reply{}, err
		}
	}
	res, err := s.send(c, cmd, core.MemberEdit{Nick: nick})
	if err != nil {
		return reply{}, err
	}
	var m proto.Member
	if err := json.Unmarshal(res.Body, &m); err != nil {
		return reply{}, fmt.Errorf("member: %w", err)
	}
	return reply{http.StatusOK, map[string]*string{"nick": m.Nick}}, nil
}

// addMember adds a bot; people come by themselves.
func (s *Server) addMember(c *call) (reply, error) {
	cmd, err := memberCommand(c, core.KindMemberAdd)
	if err != nil {
		return reply{}, err
	}
	if err := form.Decode(c.Request, &struct{}{}); err != nil {
		return reply{}, err
	}
	u, err := s.user(c, proto.ID(cmd.Target))
	if err != nil {
		return reply{}, err
	}
	if !u.Bot {
		return reply{}, proto.InvalidForm("user_id", "USER_NOT_BOT", "Only bots can be added; people join by an invite.")
	}
	return s.do(c, cmd, nil)
}

func (s *Server) editMember(c *call) (reply, error) {
	cmd, err := memberCommand(c, core.KindMemberEdit)
	if err != nil {
		return reply{}, err
	}
	var in core.MemberEdit
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.Nick.Value != nil {
		if err := form.Length("nick", *in.Nick.Value, 0, maxNick); err != nil {
			return reply{}, err
		}
		if *in.Nick.Value == "" {
			in.Nick.Value = nil // "" clears like null
		}
	}
	if in.Roles != nil {
		if len(*in.Roles) > 250 {
			return reply{}, proto.InvalidForm("roles", "BASE_TYPE_MAX_LENGTH", "Must be 250 or fewer in length.")
		}
		for _, r := range *in.Roles {
			if r == 0 {
				return reply{}, proto.InvalidForm("roles", "NUMBER_TYPE_COERCE", "null is not snowflake.")
			}
		}
	}
	return s.do(c, cmd, in)
}

func (s *Server) removeMember(c *call) (reply, error) {
	cmd, err := memberCommand(c, core.KindMemberRemove)
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, nil)
}

func (s *Server) addMemberRole(c *call) (reply, error) {
	return s.memberRole(c, core.KindMemberRoleAdd)
}

func (s *Server) dropMemberRole(c *call) (reply, error) {
	return s.memberRole(c, core.KindMemberRoleDrop)
}

func (s *Server) memberRole(c *call, kind string) (reply, error) {
	cmd, err := memberCommand(c, kind)
	if err != nil {
		return reply{}, err
	}
	role, err := c.pathID("role")
	if err != nil {
		return reply{}, err
	}
	return s.do(c, cmd, core.RoleRef{Role: role})
}

// memberCommand is a command about the member of the path.
func memberCommand(c *call, kind string) (*pb.Command, error) {
	user, err := c.userID()
	if err != nil {
		return nil, err
	}
	return targetCommand(c, kind, user)
}

// roleCommand is a command about the role of the path.
func roleCommand(c *call, kind string) (*pb.Command, error) {
	role, err := c.pathID("role")
	if err != nil {
		return nil, err
	}
	return targetCommand(c, kind, role)
}

func targetCommand(c *call, kind string, target proto.ID) (*pb.Command, error) {
	guild, err := c.pathID("guild")
	if err != nil {
		return nil, err
	}
	cmd := c.guildCommand(kind, guild)
	cmd.Target = uint64(target)
	return cmd, nil
}
