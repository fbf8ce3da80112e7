package bucket

import (
	"errors"
	"strconv"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxBulkBan   = 200
	maxPruneDays = 30
	maxPrune     = 1000 // members in one command; whoever wants more asks again
)

var errNobodyBanned = &proto.Error{Status: 400, Code: 500000, Message: "Failed to ban users"}

// banKey names a ban that the directory may not hold yet, or no more.
type banKey struct{ guild, user proto.ID }

// banned tells whether a user is banned, by what the directory holds and by what is pending.
func (t *turn) banned(g *guild, user proto.ID) (bool, error) {
	if is, ok := t.b.state.bans[banKey{g.info.ID, user}]; ok {
		return is, nil
	}
	ctx, cancel := t.read()
	defer cancel()
	_, err := t.b.state.directory.Ban(ctx, g.info.ID, user)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// notBanned is nil for a user who may join.
func (t *turn) notBanned(g *guild, user proto.ID) error {
	out, err := t.banned(g, user)
	if err == nil && out {
		err = proto.ErrBanned
	}
	return err
}

// banPut bans a user, member or not. To ban again changes nothing.
func banPut(t *turn) error {
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermBanMembers); err != nil {
		return err
	}
	ev, err := t.ban(a, t.target())
	if err != nil {
		return err
	}
	if ev == nil {
		return t.just(204, nil)
	}
	return t.answered(ev, 204)
}

// ban emits what bans a user whom the actor may ban; nil if the user is banned already.
func (t *turn) ban(a *access, id proto.ID) (*pb.Event, error) {
	if id == a.user() {
		return nil, proto.ErrMissingPermission
	}
	m, err := t.b.state.member(t.ctx, a.g, id)
	if err != nil {
		return nil, err
	}
	if m != nil || id == a.g.info.OwnerID {
		if err := a.aboveMember(id, m); err != nil {
			return nil, err
		}
	}
	user, err := t.user(id)
	if err != nil {
		return nil, err
	}
	if was, err := t.banned(a.g, id); err != nil || was {
		return nil, err
	}
	ban := proto.Ban{User: user}
	if reason := t.reason(); reason != "" {
		ban.Reason = &reason
	}
	// Internal, as everybody with the intent hears of the ban, but the reason is for those who may read it.
	ev := t.emit(&pb.Event{Type: proto.EventInternalBanned, Guild: uint64(a.g.info.ID), Id: uint64(id)}, ban,
		func() { t.b.state.bans[banKey{a.g.info.ID, id}] = true })
	if m != nil {
		t.removeMember(a.g, user)
	}
	t.emit(&pb.Event{Type: proto.EventGuildBanAdd, Guild: uint64(a.g.info.ID), Id: uint64(id)},
		proto.GuildBan{GuildID: a.g.info.ID, User: user}, nil)
	return ev, t.audit(a.g, proto.AuditMemberBanAdd, id, nil, nil)
}

func banDelete(t *turn) error {
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermBanMembers); err != nil {
		return err
	}
	is, err := t.banned(a.g, t.target())
	if err != nil {
		return err
	}
	if !is {
		return proto.ErrUnknownBan
	}
	user, err := t.user(t.target())
	if err != nil {
		return err
	}
	ev := t.emit(&pb.Event{Type: proto.EventGuildBanRemove, Guild: uint64(a.g.info.ID), Id: uint64(user.ID)},
		proto.GuildBan{GuildID: a.g.info.ID, User: user}, func() { t.b.state.bans[banKey{a.g.info.ID, user.ID}] = false })
	if err := t.audit(a.g, proto.AuditMemberBanRemove, user.ID, nil, nil); err != nil {
		return err
	}
	return t.answered(ev, 204)
}

// banBulk bans those of many whom the actor may ban, and tells who they were.
func banBulk(t *turn) error {
	var body core.BanBulk
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermBanMembers | proto.PermManageGuild); err != nil {
		return err
	}
	if len(body.Users) == 0 || len(body.Users) > maxBulkBan {
		return proto.InvalidForm("user_ids", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 200 in length.")
	}
	out := proto.BulkBan{Banned: []proto.ID{}, Failed: []proto.ID{}}
	seen := map[proto.ID]bool{}
	for _, id := range body.Users {
		if seen[id] {
			continue
		}
		seen[id] = true
		ev, err := t.ban(a, id)
		var told *proto.Error
		if err != nil && !errors.As(err, &told) {
			return err
		}
		if ev == nil {
			out.Failed = append(out.Failed, id)
		} else {
			out.Banned = append(out.Banned, id)
		}
	}
	if len(out.Banned) == 0 {
		return errNobodyBanned
	}
	return t.answered(t.emitAnswer(a.g, out), 200)
}

// membersPrune removes members without roles who joined days ago: the mesh keeps no record of who was last active when.
func membersPrune(t *turn) error {
	var body core.MembersPrune
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermKickMembers | proto.PermManageGuild); err != nil {
		return err
	}
	if err := number("days", body.Days, 1, maxPruneDays); err != nil {
		return err
	}
	ctx, cancel := t.read()
	defer cancel()
	found, err := t.b.state.directory.Prunable(ctx, a.g.info.ID, core.PruneQuery{Joined: t.now.Add(-time.Duration(body.Days) * 24 * time.Hour),
		Roles: body.IncludeRoles}, maxPrune)
	if err != nil {
		return err
	}
	n := 0
	for _, m := range found {
		id := m.User.ID
		if pending, ok := a.g.members.get(id); ok { // newer than what the directory has
			if pending == nil || len(pending.Roles) != len(m.Roles) {
				continue
			}
		} else {
			a.g.members.put(id, &m) // GUILD_MEMBER_REMOVE tells how it was
		}
		if id == a.user() || a.aboveMember(id, &m) != nil {
			continue
		}
		t.removeMember(a.g, *m.User)
		n++
	}
	if n == 0 {
		return t.just(200, core.Pruned{Pruned: &n})
	}
	err = t.audit(a.g, proto.AuditMemberPrune, 0, nil, &proto.AuditOptions{DeleteMemberDays: strconv.Itoa(body.Days), MembersRemoved: strconv.Itoa(n)})
	if err != nil {
		return err
	}
	return t.answered(t.emitAnswer(a.g, core.Pruned{Pruned: &n}), 200)
}

// emitAnswer keeps in the log what a command was answered with, for its repeats.
func (t *turn) emitAnswer(g *guild, v any) *pb.Event {
	return t.emit(&pb.Event{Type: proto.EventInternalAnswer, Guild: uint64(g.info.ID)}, v, nil)
}
