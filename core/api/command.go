package api

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// commandID derives the id of a command from the REST call's, so that the call repeated by an edge meets its first try. Kind and actor are
// in it: one call may cause several commands, and nobody gets at another's result by repeating a call id.
func (c *call) commandID(kind string) []byte {
	h := sha256.New()
	h.Write(c.id[:])
	fmt.Fprintf(h, "%s/%d", kind, c.who.User)
	return h.Sum(nil)[:16]
}

// command is a command of the caller to the bucket of an id.
func (c *call) command(kind string, bucket int) *pb.Command {
	return &pb.Command{Id: c.commandID(kind), Kind: kind, Actor: uint64(c.who.User), Bucket: uint32(bucket), Reason: c.reason()}
}

// guildCommand is a command to a guild's bucket.
func (c *call) guildCommand(kind string, guild proto.ID) *pb.Command {
	cmd := c.command(kind, guild.Bucket())
	cmd.Guild = uint64(guild)
	return cmd
}

// channelCommand is a command about the channel of the path.
func (s *Server) channelCommand(c *call, kind string) (*pb.Command, error) {
	channel, err := c.pathID("channel")
	if err != nil {
		return nil, err
	}
	guild, err := s.channels.guild(c.ctx(), channel)
	if err != nil {
		return nil, err
	}
	cmd := c.command(kind, channel.Bucket()) // its guild's as well; a direct channel has none
	cmd.Guild, cmd.Channel = uint64(guild), uint64(channel)
	return cmd, nil
}

// do sends a command with a body (nil for none) and answers what the owner answered.
func (s *Server) do(c *call, cmd *pb.Command, body any) (reply, error) {
	res, err := s.send(c, cmd, body)
	if err != nil {
		return reply{}, err
	}
	if res.Status == http.StatusNoContent || len(res.Body) == 0 {
		return reply{status: http.StatusNoContent}, nil
	}
	return reply{status: int(res.Status), body: json.RawMessage(res.Body)}, nil
}

func (s *Server) send(c *call, cmd *pb.Command, body any) (*pb.Result, error) {
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("command %s: %w", cmd.Kind, err)
		}
		cmd.Body = b
	}
	return s.dispatch.Do(c.ctx(), cmd)
}
