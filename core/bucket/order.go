package bucket

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// channelsMove gives places, categories and, where asked, the categories' overwrites to several channels at once.
func channelsMove(t *turn) error {
	var body core.ChannelsMove
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermManageChannels); err != nil {
		return err
	}
	if len(body.Places) > 2*maxChannels {
		return proto.InvalidForm("_", "BASE_TYPE_MAX_LENGTH", "Too many channels.")
	}
	next := map[proto.ID]proto.Channel{}
	var order []proto.ID
	for _, place := range body.Places {
		old := a.g.channels[place.ID]
		if old == nil {
			return proto.ErrUnknownChannel
		}
		ch, again := next[place.ID]
		if !again {
			ch = old.Channel
			order = append(order, place.ID)
		}
		if ch, err = t.placed(a, old, ch, place); err != nil {
			return err
		}
		next[place.ID] = ch
	}
	var first *pb.Event
	for _, id := range order {
		old, ch := a.g.channels[id], next[id]
		was := old.Channel
		if bytes.Equal(encode(was), encode(ch)) {
			continue
		}
		ev := t.updateChannel(old, ch)
		if first == nil {
			first = ev
		}
		if err := t.auditChannel(a.g, was, ch); err != nil {
			return err
		}
	}
	if first == nil {
		return t.just(204, nil)
	}
	return t.answered(first, 204)
}

// placed is ch, which is old but for earlier places in the same command, where a place wants it.
func (t *turn) placed(a *access, old *channel, ch proto.Channel, place core.ChannelPlace) (proto.Channel, error) {
	was := encode(ch)
	if err := a.g.applyEdit(&ch, core.ChannelEdit{Position: place.Position, ParentID: place.ParentID}); err != nil {
		return ch, err
	}
	p := a.in(old)
	if place.LockPermissions && ch.ParentID != nil {
		if !p.Has(proto.PermManageRoles) {
			return ch, proto.ErrMissingPermission
		}
		var err error
		if ch.Overwrites, err = t.checkOverwrites(a, p, ch.Overwrites, a.g.channels[*ch.ParentID].Overwrites); err != nil {
			return ch, err
		}
	}
	if !bytes.Equal(was, encode(ch)) && !p.Has(proto.PermViewChannel|proto.PermManageChannels) {
		return ch, proto.ErrMissingPermission // lists may name, where they stand, channels that the actor may not move
	}
	return ch, nil
}

// auditChannel notes what changed in a channel, overwrites each for itself.
func (t *turn) auditChannel(g *guild, was, is proto.Channel) error {
	if diff := changes(was, is, auditedChannel...); diff != nil {
		if err := t.audit(g, proto.AuditChannelUpdate, is.ID, diff, nil); err != nil {
			return err
		}
	}
	return t.auditOverwrites(g, is.ID, was.Overwrites, is.Overwrites)
}

// rolesMove puts roles in a new order. What stands at or above the actor's own highest role stays as it is.
func rolesMove(t *turn) error {
	var body core.RolesMove
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermManageRoles); err != nil {
		return err
	}
	old := a.g.ladder()
	next, err := a.g.moved(old, body.Places)
	if err != nil {
		return err
	}
	if err := a.sameAbove(old, next); err != nil {
		return err
	}
	var first *pb.Event
	for i, id := range next {
		was := a.g.roles[id]
		is := was
		if is.Position = i + 1; is == was {
			continue
		}
		ev := t.emitRole(proto.EventGuildRoleUpdate, a.g, is)
		if first == nil {
			first = ev
		}
		if err := t.audit(a.g, proto.AuditRoleUpdate, id, changes(was, is, auditedRole...), nil); err != nil {
			return err
		}
	}
	if first == nil {
		return t.just(204, nil)
	}
	return t.answered(first, 204)
}

// ladder lists the roles from the lowest up, without everyone.
func (g *guild) ladder() []proto.ID {
	roles := slices.SortedFunc(maps.Values(g.roles), func(x, y proto.Role) int {
		switch {
		case x.ID == y.ID:
			return 0
		case x.Above(y):
			return 1
		}
		return -1
	})
	ids := make([]proto.ID, 0, len(roles))
	for _, r := range roles {
		if r.ID != g.info.ID {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// moved is the ladder once the roles named in places stand where they shall, 1 being the lowest place; the others close ranks.
func (g *guild) moved(ladder []proto.ID, places []core.RolePlace) ([]proto.ID, error) {
	if len(places) > 2*maxRoles {
		return nil, proto.InvalidForm("_", "BASE_TYPE_MAX_LENGTH", "Too many roles.")
	}
	wanted := map[proto.ID]int{}
	for _, p := range places {
		if _, ok := g.roles[p.ID]; !ok {
			return nil, proto.ErrUnknownRole
		}
		if p.Position == nil {
			continue
		}
		if p.ID == g.info.ID {
			if *p.Position != 0 {
				return nil, proto.ErrInvalidRole // everyone stays the lowest
			}
			continue
		}
		if err := number("position", *p.Position, 0, 1<<20); err != nil {
			return nil, err
		}
		wanted[p.ID] = *p.Position
	}
	var named []proto.ID
	next := make([]proto.ID, 0, len(ladder))
	for _, id := range ladder {
		if _, ok := wanted[id]; ok {
			named = append(named, id)
		} else {
			next = append(next, id)
		}
	}
	slices.SortStableFunc(named, func(x, y proto.ID) int { return cmp.Compare(wanted[x], wanted[y]) })
	for _, id := range named { // from the lowest up, so that each finds its place filled below
		next = slices.Insert(next, min(max(wanted[id]-1, 0), len(next)), id)
	}
	return next, nil
}

// sameAbove is nil if from the actor's own highest role up two ladders are the same.
func (a *access) sameAbove(old, next []proto.ID) error {
	if a.owner() {
		return nil
	}
	top := slices.Index(old, proto.HighestRole(a.g.info.ID, a.member.Roles, a.g.roles).ID)
	if top < 0 && !slices.Equal(old, next) || top >= 0 && !slices.Equal(old[top:], next[top:]) {
		return proto.ErrMissingPermission
	}
	return nil
}
