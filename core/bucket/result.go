package bucket

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// resultOf makes a command's answer from the event that carries the command's id. The first answer and every repeat come from here, also
// after a restart, from the log.
func (b *bucket) resultOf(ctx context.Context, m *memo) *pb.Result {
	body, err := b.answerBody(ctx, m.event)
	if err != nil {
		b.log.Warn("answer not made", "type", m.event.Type, "err", err)
		return errorResult(asError(err))
	}
	return &pb.Result{Status: m.event.Status, Body: body, Sequence: m.sequence}
}

// answerBody is what REST shows of an event: the payload without what only the gateway has.
func (b *bucket) answerBody(ctx context.Context, ev *pb.Event) ([]byte, error) {
	if ev.Status == 204 {
		return nil, nil
	}
	switch ev.Type {
	case proto.EventMessageCreate, proto.EventMessageUpdate:
		return recode(ev, func(m proto.Message) any { return restMessage(m) })
	case proto.EventGuildRoleCreate, proto.EventGuildRoleUpdate:
		return recode(ev, func(r proto.GuildRole) any { return r.Role })
	case proto.EventGuildMemberAdd, proto.EventGuildMemberUpdate:
		return recode(ev, func(m proto.GuildMember) any { return m.Member })
	case proto.EventInternalGuildBorn:
		return recode(ev, func(g proto.Guild) any {
			g.Channels, g.Members, g.MemberCount = nil, nil, 0
			return g
		})
	case proto.EventInternalUserBorn:
		return recode(ev, func(a core.Account) any { return a.User.Self() })
	case proto.EventInternalTokenReset:
		return recode(ev, func(r tokenResetBody) any { return r.User })
	case proto.EventInternalInviteUsed:
		return recode(ev, func(u inviteUsedBody) any { return u.Invite })
	case proto.EventInviteCreate:
		return b.inviteAnswer(ctx, ev)
	}
	return ev.Body, nil
}

// recode decodes an event's body, and encodes what show makes of it.
func recode[T any](ev *pb.Event, show func(T) any) ([]byte, error) {
	var v T
	if err := json.Unmarshal(ev.Body, &v); err != nil {
		return nil, fmt.Errorf("%s: %w", ev.Type, err)
	}
	return json.Marshal(show(v))
}

// inviteAnswer adds what INVITE_CREATE lacks: the names of guild and channel.
func (b *bucket) inviteAnswer(ctx context.Context, ev *pb.Event) ([]byte, error) {
	g, err := b.state.guild(ctx, proto.ID(ev.Guild), b.o.cfg.Now())
	if err != nil {
		return nil, err
	}
	return recode(ev, func(c proto.InviteCreate) any { return g.invite(c) })
}
