package api

import (
	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

func (s *Server) putOverwrite(c *call) (reply, error) {
	target, err := c.pathID("overwrite")
	if err != nil {
		return reply{}, err
	}
	var in core.OverwritePut
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if err := checkOverwriteType(in.Type); err != nil {
		return reply{}, err
	}
	cmd, err := s.channelCommand(c, core.KindOverwritePut)
	if err != nil {
		return reply{}, err
	}
	cmd.Target = uint64(target)
	return s.do(c, cmd, in)
}

func (s *Server) deleteOverwrite(c *call) (reply, error) {
	target, err := c.pathID("overwrite")
	if err != nil {
		return reply{}, err
	}
	cmd, err := s.channelCommand(c, core.KindOverwriteDelete)
	if err != nil {
		return reply{}, err
	}
	cmd.Target = uint64(target)
	return s.do(c, cmd, nil)
}

func checkOverwriteType(t int) error {
	if t != proto.OverwriteRole && t != proto.OverwriteMember {
		return proto.InvalidForm("type", "BASE_TYPE_CHOICES", "Value must be one of {0, 1}.")
	}
	return nil
}
