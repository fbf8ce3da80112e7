package bucket

import (
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxRoles = 250
	maxColor = 0xFFFFFF
)

func roleCreate(t *turn) error {
	var body core.RoleEdit
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
	if len(a.g.roles) >= maxRoles {
		return proto.ErrMaxRoles
	}
	// A new role stands below all others but everyone: of equal positions the older is higher.
	r := proto.Role{Name: "new role", Position: 1, Permissions: a.g.roles[a.g.info.ID].Permissions}
	if err := a.editRole(&r, body, 0); err != nil {
		return err
	}
	if r.ID, err = t.newID(); err != nil {
		return err
	}
	ev := t.emitRole(proto.EventGuildRoleCreate, a.g, r)
	if err := t.audit(a.g, proto.AuditRoleCreate, r.ID, changes(nil, r, auditedRole...), nil); err != nil {
		return err
	}
	return t.answered(ev, 200)
}

func roleEdit(t *turn) error {
	var body core.RoleEdit
	if err := t.body(&body); err != nil {
		return err
	}
	a, r, err := t.role(t.target())
	if err != nil {
		return err
	}
	if r.ID == a.g.info.ID {
		body.Name = nil // everyone keeps its name
	}
	if err := a.editRole(&r, body, r.Permissions); err != nil {
		return err
	}
	was := a.g.roles[r.ID]
	ev := t.emitRole(proto.EventGuildRoleUpdate, a.g, r)
	if diff := changes(was, r, auditedRole...); diff != nil {
		if err := t.audit(a.g, proto.AuditRoleUpdate, r.ID, diff, nil); err != nil {
			return err
		}
	}
	return t.answered(ev, 200)
}

// roleDelete emits one event: stores, edges and this state each take the role from members and overwrites themselves.
func roleDelete(t *turn) error {
	a, r, err := t.role(t.target())
	if err != nil {
		return err
	}
	if r.ID == a.g.info.ID {
		return proto.ErrInvalidRole
	}
	ev := t.emit(&pb.Event{Type: proto.EventGuildRoleDelete, Guild: uint64(a.g.info.ID), Id: uint64(r.ID)},
		proto.GuildRoleDelete{GuildID: a.g.info.ID, RoleID: r.ID}, func() { a.g.dropRole(r.ID) })
	if err := t.audit(a.g, proto.AuditRoleDelete, r.ID, changes(r, nil, auditedRole...), nil); err != nil {
		return err
	}
	return t.answered(ev, 204)
}

// role gives a role that the actor may manage.
func (t *turn) role(id proto.ID) (*access, proto.Role, error) {
	a, err := t.access()
	if err != nil {
		return nil, proto.Role{}, err
	}
	if err := a.need(proto.PermManageRoles); err != nil {
		return nil, proto.Role{}, err
	}
	r, ok := a.g.roles[id]
	if !ok {
		return nil, r, proto.ErrUnknownRole
	}
	return a, r, a.above(r)
}

// editRole changes r as the client asks; was is what the role granted before.
func (a *access) editRole(r *proto.Role, e core.RoleEdit, was proto.Permissions) (err error) {
	if e.Name != nil && *e.Name != "" {
		if r.Name, err = text("name", *e.Name, 1, 100); err != nil {
			return err
		}
	}
	if e.Permissions != nil {
		p := *e.Permissions & proto.PermAll
		if err := grant(a.base, p^was); err != nil {
			return err
		}
		r.Permissions = p
	}
	if e.Color != nil {
		if err := number("color", *e.Color, 0, maxColor); err != nil {
			return err
		}
		r.Color = *e.Color
		r.Colors = proto.RoleColors{Primary: *e.Color}
	}
	if e.Hoist != nil {
		r.Hoist = *e.Hoist
	}
	if e.Mentionable != nil {
		r.Mentionable = *e.Mentionable
	}
	return nil
}

func (t *turn) emitRole(kind string, g *guild, r proto.Role) *pb.Event {
	return t.emit(&pb.Event{Type: kind, Guild: uint64(g.info.ID), Id: uint64(r.ID)}, proto.GuildRole{GuildID: g.info.ID, Role: r},
		func() { g.roles[r.ID] = r })
}

// dropRole forgets a role, also of members and overwrites.
func (g *guild) dropRole(id proto.ID) {
	delete(g.roles, id)
	for _, ch := range g.channels {
		ch.Overwrites = slices.DeleteFunc(slices.Clone(ch.Overwrites), func(o proto.Overwrite) bool { return o.ID == id })
	}
	g.members.each(func(user proto.ID, m *proto.Member) {
		if slices.Contains(m.Roles, id) {
			less := *m
			less.Roles = without(m.Roles, id)
			g.members.put(user, &less)
		}
	})
}

// without is a copy of ids that lacks id; never nil.
func without(ids []proto.ID, id proto.ID) []proto.ID {
	out := make([]proto.ID, 0, len(ids))
	for _, v := range ids {
		if v != id {
			out = append(out, v)
		}
	}
	return out
}
