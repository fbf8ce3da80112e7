package bucket

import (
	"cmp"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const maxOverwrites = 50

var errMaxOverwrites = &proto.Error{Status: 400, Code: 30060, Message: "Maximum number of channel permission overwrites reached (50)"}

func overwritePut(t *turn) error {
	var body core.OverwritePut
	if err := t.body(&body); err != nil {
		return err
	}
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if !p.Has(proto.PermManageRoles) {
		return proto.ErrMissingPermission
	}
	list := slices.Clone(ch.Overwrites)
	list = slices.DeleteFunc(list, func(o proto.Overwrite) bool { return o.ID == t.target() })
	list = append(list, proto.Overwrite{ID: t.target(), Type: body.Type, Allow: body.Allow, Deny: body.Deny})
	changed := ch.Channel
	if changed.Overwrites, err = t.checkOverwrites(a, p, ch.Overwrites, list); err != nil {
		return err
	}
	return t.overwritten(a.g, ch, changed)
}

func overwriteDelete(t *turn) error {
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if !p.Has(proto.PermManageRoles) {
		return proto.ErrMissingPermission
	}
	list := slices.DeleteFunc(slices.Clone(ch.Overwrites), func(o proto.Overwrite) bool { return o.ID == t.target() })
	if len(list) == len(ch.Overwrites) {
		return proto.ErrUnknownOverwrite
	}
	changed := ch.Channel
	if changed.Overwrites, err = t.checkOverwrites(a, p, ch.Overwrites, list); err != nil {
		return err
	}
	return t.overwritten(a.g, ch, changed)
}

// overwritten answers a change of a channel's overwrites.
func (t *turn) overwritten(g *guild, ch *channel, changed proto.Channel) error {
	was := ch.Overwrites
	ev := t.updateChannel(ch, changed)
	if err := t.auditOverwrites(g, ch.ID, was, changed.Overwrites); err != nil {
		return err
	}
	return t.answered(ev, 204)
}

// checkOverwrites checks a channel's next list of overwrites against its present one, for an actor with the permissions have: targets
// exist, and no permission changes that the actor lacks. It gives the list sorted by target.
func (t *turn) checkOverwrites(a *access, have proto.Permissions, old, next []proto.Overwrite) ([]proto.Overwrite, error) {
	if len(next) > maxOverwrites && len(next) > len(old) {
		return nil, errMaxOverwrites
	}
	was := map[proto.ID]proto.Overwrite{}
	for _, o := range old {
		was[o.ID] = o
	}
	seen := map[proto.ID]bool{}
	list := make([]proto.Overwrite, 0, len(next))
	var changed proto.Permissions
	for _, o := range next {
		if o.Type != proto.OverwriteRole && o.Type != proto.OverwriteMember {
			return nil, proto.InvalidForm("permission_overwrites", "BASE_TYPE_CHOICES", "Value must be one of {0, 1}.")
		}
		if seen[o.ID] {
			return nil, proto.InvalidForm("permission_overwrites", "DUPLICATE", "Named twice.")
		}
		seen[o.ID] = true
		before, known := was[o.ID]
		if !known || before.Type != o.Type {
			if err := t.checkTarget(a.g, o); err != nil {
				return nil, err
			}
		}
		o.Allow &= proto.PermAll
		o.Deny &= proto.PermAll &^ o.Allow
		changed |= before.Allow ^ o.Allow | before.Deny ^ o.Deny
		list = append(list, o)
	}
	for id, o := range was {
		if !seen[id] {
			changed |= o.Allow | o.Deny
		}
	}
	if err := grant(have, changed); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(x, y proto.Overwrite) int { return cmp.Compare(x.ID, y.ID) })
	return list, nil
}

// checkTarget checks that an overwrite names a role or a member of the guild.
func (t *turn) checkTarget(g *guild, o proto.Overwrite) error {
	if o.Type == proto.OverwriteRole {
		if _, ok := g.roles[o.ID]; !ok {
			return proto.ErrUnknownRole
		}
		return nil
	}
	m, err := t.b.state.member(t.ctx, g, o.ID)
	if err == nil && m == nil {
		err = proto.ErrUnknownMember
	}
	return err
}
