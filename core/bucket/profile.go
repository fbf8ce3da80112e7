package bucket

import (
	"strings"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxPicture   = 64   // characters of a picture's hash
	maxRelations = 1000 // of one user
)

// self gives the acting user, as the last command left it, if this is the user's home.
func (t *turn) self() (proto.User, error) {
	if t.actor() == 0 || t.actor().Bucket() != t.b.n {
		return proto.User{}, proto.ErrUnknownUser
	}
	if u, ok := t.b.state.users[t.actor()]; ok {
		return u, nil
	}
	return t.user(t.actor())
}

// userEdit changes the actor's profile. A person's new username must be reserved for the command.
func userEdit(t *turn) error {
	var body core.UserEdit
	if err := t.body(&body); err != nil {
		return err
	}
	old, err := t.self()
	if err != nil {
		return err
	}
	u := old
	if err := editProfile(&u, body); err != nil {
		return err
	}
	if core.ProfilePrint(u) == core.ProfilePrint(old) {
		return t.just(200, u.Self())
	}
	if !u.Bot && strings.ToLower(u.Username) != strings.ToLower(old.Username) {
		if _, err := t.holdName(u.Username); err != nil {
			return err
		}
	}
	ev := t.emit(&pb.Event{Type: proto.EventUserUpdate, Id: uint64(u.ID), User: uint64(u.ID)}, u.Self(), func() { t.b.state.users[u.ID] = u })
	return t.answered(ev, 200)
}

func editProfile(u *proto.User, e core.UserEdit) (err error) {
	if e.Username != nil {
		if u.Username, err = text("username", *e.Username, 2, 32); err != nil {
			return err
		}
	}
	if err := editText("avatar", &u.Avatar, e.Avatar, maxPicture); err != nil {
		return err
	}
	if err := editText("banner", &u.Banner, e.Banner, maxPicture); err != nil {
		return err
	}
	if u.Bot {
		return nil // the rest is for people
	}
	if err := editText("global_name", &u.GlobalName, e.GlobalName, 32); err != nil {
		return err
	}
	if e.AccentColor.Set {
		if v := e.AccentColor.Value; v != nil {
			if err := number("accent_color", *v, 0, 1<<24-1); err != nil {
				return err
			}
		}
		u.AccentColor = e.AccentColor.Value
	}
	return nil
}

// editText changes a text that may be absent; null and "" clear it.
func editText(field string, to **string, e core.Optional[string], most int) error {
	if !e.Set {
		return nil
	}
	if e.Value == nil {
		*to = nil
		return nil
	}
	s, err := text(field, *e.Value, 0, most)
	if err != nil {
		return err
	}
	if *to = &s; s == "" {
		*to = nil
	}
	return nil
}

// memberUser tells a guild that a member's profile has changed; only the mesh asks for it, from the outbox of the user's bucket.
func memberUser(t *turn) error {
	var user proto.User
	if err := t.body(&user); err != nil {
		return err
	}
	if t.actor() != 0 || user.ID != t.target() {
		return proto.ErrMissingPermission
	}
	g, err := t.guild()
	if err != nil {
		return err
	}
	m, err := t.b.state.member(t.ctx, g, user.ID)
	if err != nil {
		return err
	}
	if m == nil {
		return t.just(204, nil) // left meanwhile
	}
	next := *m
	next.User = &user
	ev := t.updateMember(g, next)
	ev.Author = uint64(user.ID)
	return t.answered(ev, 204)
}

func relationPut(t *turn) error {
	var body core.RelationPut
	if err := t.body(&body); err != nil {
		return err
	}
	if body.Type != proto.RelationshipBlocked {
		return proto.InvalidForm("type", "BASE_TYPE_CHOICES", "Value must be one of {2}.")
	}
	if _, err := t.self(); err != nil {
		return err
	}
	if t.target() == t.actor() {
		return proto.ErrInvalidRecipient
	}
	other, err := t.user(t.target())
	if err != nil {
		return err
	}
	ctx, cancel := t.read()
	defer cancel()
	all, err := t.b.state.directory.Relationships(ctx, t.actor())
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.ID == t.target() {
			return t.just(204, nil)
		}
	}
	if len(all) >= maxRelations {
		return proto.InvalidForm("type", "BASE_TYPE_MAX_LENGTH", "Too many relationships.")
	}
	ev := t.emit(&pb.Event{Type: proto.EventRelationshipAdd, Id: t.cmd.Target, User: t.cmd.Actor},
		proto.Relationship{ID: other.ID, Type: body.Type, User: other}, nil)
	return t.answered(ev, 204)
}

func relationDrop(t *turn) error {
	if _, err := t.self(); err != nil {
		return err
	}
	if t.target() == 0 {
		return proto.ErrUnknownUser
	}
	ev := t.emit(&pb.Event{Type: proto.EventRelationshipRemove, Id: t.cmd.Target, User: t.cmd.Actor},
		proto.RelationshipRemove{ID: t.target(), Type: proto.RelationshipBlocked}, nil)
	return t.answered(ev, 204)
}
