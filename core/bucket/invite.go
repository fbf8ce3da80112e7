package bucket

import (
	"errors"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxInviteAge  = 7 * 24 * 3600 // seconds
	inviteAge     = 24 * 3600
	maxInviteUses = 100
	maxInviteCode = 32
)

// inviteUsedBody is the body of _INVITE_USED. The invite is there for the answer.
type inviteUsedBody struct {
	Code   string       `json:"code"`
	Invite proto.Invite `json:"invite"`
}

func inviteCreate(t *turn) error {
	var body core.InviteCreate
	if err := t.body(&body); err != nil {
		return err
	}
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if !p.Has(proto.PermCreateInvite) {
		return proto.ErrMissingPermission
	}
	if ch.Type != proto.ChannelText {
		return proto.ErrUnknownChannel
	}
	age := inviteAge
	if body.MaxAge != nil {
		age = *body.MaxAge
	}
	if err := errors.Join(number("max_age", age, 0, maxInviteAge), number("max_uses", body.MaxUses, 0, maxInviteUses)); err != nil {
		return err
	}
	if !isCode(body.Code) {
		return proto.InvalidForm("code", "BASE_TYPE_BAD", "Must be letters and digits.")
	}
	switch _, err := t.invite(body.Code); {
	case err == nil:
		return proto.ErrUnavailable // taken: the API chooses another
	case !errors.Is(err, core.ErrNotFound):
		return err
	}
	made := proto.InviteCreate{Code: body.Code, ChannelID: ch.ID, GuildID: a.g.info.ID, Inviter: *a.member.User, MaxUses: body.MaxUses,
		MaxAge: age, Temporary: body.Temporary, CreatedAt: proto.Time(t.now)}
	ev := t.emit(&pb.Event{Type: proto.EventInviteCreate, Guild: uint64(a.g.info.ID), Channel: uint64(ch.ID), Id: uint64(ch.ID),
		Required: uint64(proto.PermManageChannels)}, made, func() { t.b.state.invites[made.Code] = a.g.invite(made) })
	if err := t.audit(a.g, proto.AuditInviteCreate, 0, changes(nil, auditableInvite(a.g.invite(made)), auditedInvite...), nil); err != nil {
		return err
	}
	return t.answered(ev, 200)
}

// memberJoin makes the actor a member by an invite.
func memberJoin(t *turn) error {
	var body core.InviteRef
	if err := t.body(&body); err != nil {
		return err
	}
	g, err := t.guild()
	if err != nil {
		return err
	}
	inv, err := t.invite(body.Code)
	if errors.Is(err, core.ErrNotFound) || err == nil && inv.Guild.ID != g.info.ID {
		return proto.ErrUnknownInvite
	}
	if err != nil {
		return err
	}
	m, err := t.b.state.member(t.ctx, g, t.actor())
	if err != nil {
		return err
	}
	if m != nil {
		return t.just(200, inv)
	}
	user, err := t.user(t.actor())
	if err != nil {
		return err
	}
	if user.Bot {
		return errBotInvite
	}
	if err := t.notBanned(g, user.ID); err != nil {
		return err
	}
	t.addMember(g, user)
	inv.Uses++
	used := t.emit(&pb.Event{Type: proto.EventInternalInviteUsed, Guild: uint64(g.info.ID), Channel: uint64(inv.Channel.ID),
		Id: uint64(user.ID)}, inviteUsedBody{body.Code, inv}, func() { t.b.state.inviteUses[body.Code]++ })
	return t.answered(used, 200)
}

// inviteDelete revokes an invite.
func inviteDelete(t *turn) error {
	var body core.InviteRef
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	inv, err := t.invite(body.Code)
	if errors.Is(err, core.ErrNotFound) || err == nil && inv.Guild.ID != a.g.info.ID {
		return proto.ErrUnknownInvite
	}
	if err != nil {
		return err
	}
	ch := a.g.channels[inv.Channel.ID]
	if !a.base.Has(proto.PermManageGuild) && (ch == nil || !a.in(ch).Has(proto.PermManageChannels)) {
		return proto.ErrMissingPermission
	}
	t.emit(&pb.Event{Type: proto.EventInviteDelete, Guild: uint64(a.g.info.ID), Channel: uint64(inv.Channel.ID), Id: uint64(inv.Channel.ID),
		Required: uint64(proto.PermManageChannels)}, proto.InviteDelete{Code: inv.Code, ChannelID: inv.Channel.ID, GuildID: a.g.info.ID},
		func() { t.b.state.inviteGone[inv.Code] = true })
	if err := t.audit(a.g, proto.AuditInviteDelete, 0, changes(auditableInvite(inv), nil, auditedInvite...), nil); err != nil {
		return err
	}
	return t.answered(t.emitAnswer(a.g, inv), 200)
}

// auditableInvite is an invite as the audit log shows it.
func auditableInvite(i proto.Invite) any {
	return struct {
		proto.Invite
		ChannelID proto.ID `json:"channel_id"`
		InviterID proto.ID `json:"inviter_id"`
	}{i, i.Channel.ID, i.Inviter.ID}
}

var errBotInvite = &proto.Error{Status: 403, Code: 20001, Message: "Bots cannot use this endpoint"}

// invite gives a live invite with the uses that are still pending; core.ErrNotFound.
func (t *turn) invite(code string) (proto.Invite, error) {
	if !isCode(code) || t.b.state.inviteGone[code] {
		return proto.Invite{}, core.ErrNotFound
	}
	inv, ok := t.b.state.invites[code]
	if !ok {
		ctx, cancel := t.read()
		defer cancel()
		var err error
		if inv, err = t.b.state.directory.Invite(ctx, code, t.now); err != nil {
			return inv, err
		}
	}
	inv.Uses += t.b.state.inviteUses[code]
	if inv.MaxUses > 0 && inv.Uses >= inv.MaxUses || inv.ExpiresAt != nil && !t.now.Before(time.Time(*inv.ExpiresAt)) {
		return inv, core.ErrNotFound
	}
	return inv, nil
}

// invite is the whole invite that INVITE_CREATE tells of.
func (g *guild) invite(c proto.InviteCreate) proto.Invite {
	inv := proto.Invite{Code: c.Code, Guild: proto.InviteGuild{ID: g.info.ID, Name: g.info.Name, Icon: g.info.Icon},
		Channel: proto.InviteChannel{ID: c.ChannelID}, Inviter: c.Inviter, Uses: c.Uses, MaxUses: c.MaxUses, MaxAge: c.MaxAge,
		Temporary: c.Temporary, CreatedAt: c.CreatedAt}
	if ch := g.channels[c.ChannelID]; ch != nil {
		inv.Channel.Name, inv.Channel.Type = ch.Name, ch.Type
	}
	if c.MaxAge > 0 {
		ends := proto.Time(time.Time(c.CreatedAt).Add(time.Duration(c.MaxAge) * time.Second))
		inv.ExpiresAt = &ends
	}
	return inv
}

// isCode tells whether s can be an invite's code.
func isCode(s string) bool {
	if s == "" || len(s) > maxInviteCode {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
