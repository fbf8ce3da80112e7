package bucket

import (
	"crypto/sha256"
	"errors"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// tokenResetBody is the body of _TOKEN_RESET. The user is there for the answer.
type tokenResetBody struct {
	core.TokenReset
	User proto.User `json:"user"`
}

// newAccount is core.Account as it is asked for: without an id, which would be written as "0", which is no id.
type newAccount struct {
	User struct {
		Username string `json:"username"`
		Bot      bool   `json:"bot"`
	} `json:"user"`
	TokenHash []byte   `json:"token_hash"`
	OwnerID   proto.ID `json:"owner_id"`
}

// userCreate gives birth to a person (actor 0: nobody is logged in yet) or to a bot (actor: who makes it).
func userCreate(t *turn) error {
	var body newAccount
	if err := t.body(&body); err != nil {
		return err
	}
	if core.BirthBucket(t.cmd.Id) != t.b.n {
		return errBirthplace
	}
	name, err := text("username", body.User.Username, 2, 32)
	if err != nil {
		return err
	}
	account := core.Account{TokenHash: body.TokenHash, OwnerID: body.OwnerID}
	id, err := t.newID()
	if err != nil {
		return err
	}
	if body.User.Bot {
		err = t.checkBot(body)
	} else {
		err = t.checkPerson(body, name)
	}
	if err != nil {
		return err
	}
	account.User = proto.NewUser(id, name, body.User.Bot)
	author := t.cmd.Actor
	if author == 0 {
		author = uint64(id)
	}
	ev := t.emit(&pb.Event{Type: proto.EventInternalUserBorn, Id: uint64(id), User: uint64(id), Author: author}, account, nil)
	return t.answered(ev, 201)
}

// checkPerson holds the reservation of the username, where the password hash lies: both must be certain before the log has the birth. It
// is the last check, as what is held stays so.
func (t *turn) checkPerson(a newAccount, name string) error {
	missing := proto.InvalidForm("password", "BASE_TYPE_REQUIRED", "This field is required")
	if len(a.TokenHash) > 0 || a.OwnerID != 0 {
		return missing
	}
	password, err := t.holdName(name)
	if err == nil && !password {
		err = missing
	}
	return err
}

// holdName holds the command's reservation of a username.
func (t *turn) holdName(name string) (password bool, err error) {
	ctx, cancel := t.read()
	defer cancel()
	password, err = t.b.state.directory.Hold(ctx, name, t.cmd.Id, t.now)
	if errors.Is(err, core.ErrTaken) {
		err = proto.InvalidForm("username", "USERNAME_ALREADY_TAKEN", "Username is unavailable.")
	}
	return password, err
}

// checkBot checks that a person makes the bot.
func (t *turn) checkBot(a newAccount) error {
	if len(a.TokenHash) != sha256.Size || a.OwnerID == 0 || a.OwnerID != t.actor() {
		return proto.ErrMissingPermission
	}
	owner, err := t.user(a.OwnerID)
	if err == nil && owner.Bot {
		err = proto.ErrMissingPermission
	}
	return err
}

func tokenReset(t *turn) error {
	var body core.TokenReset
	if err := t.body(&body); err != nil {
		return err
	}
	if len(body.TokenHash) != sha256.Size {
		return proto.InvalidForm("token_hash", "BASE_TYPE_BAD_LENGTH", "Must be 32 bytes.")
	}
	if err := t.home(proto.ErrUnknownApp); err != nil {
		return err
	}
	ctx, cancel := t.read()
	defer cancel()
	bot, err := t.b.state.directory.Account(ctx, t.target())
	if errors.Is(err, core.ErrNotFound) || err == nil && (!bot.User.Bot || t.actor() != 0 && bot.OwnerID != t.actor()) {
		return proto.ErrUnknownApp
	}
	if err != nil {
		return err
	}
	ev := t.emit(&pb.Event{Type: proto.EventInternalTokenReset, Id: t.cmd.Target, User: t.cmd.Target}, tokenResetBody{body, bot.User}, nil)
	return t.answered(ev, 200)
}

// sessionGone tells edges that a login was revoked.
func sessionGone(t *turn) error {
	var body core.SessionGone
	if err := t.body(&body); err != nil {
		return err
	}
	if err := t.home(proto.ErrUnknownUser); err != nil {
		return err
	}
	if t.actor() != 0 && t.actor() != t.target() {
		return proto.ErrMissingPermission
	}
	ev := t.emit(&pb.Event{Type: proto.EventInternalSessionRevoke, Id: uint64(body.Session), User: t.cmd.Target, Author: t.cmd.Target},
		body, nil)
	return t.answered(ev, 204)
}

func guildJoined(t *turn) error { return guildLink(t, proto.EventInternalGuildJoined) }
func guildLeft(t *turn) error   { return guildLink(t, proto.EventInternalGuildLeft) }

// guildLink tells a user's home bucket what a guild's bucket has decided; only the mesh asks for it, from an outbox.
func guildLink(t *turn, kind string) error {
	var body core.GuildLink
	if err := t.body(&body); err != nil {
		return err
	}
	if t.actor() != 0 {
		return proto.ErrMissingPermission
	}
	if err := t.home(proto.ErrUnknownUser); err != nil {
		return err
	}
	ev := t.emit(&pb.Event{Type: kind, Guild: t.cmd.Guild, Id: body.Sequence, User: t.cmd.Target, Author: t.cmd.Target}, body, nil)
	return t.answered(ev, 204)
}

// home is nil if the target is a user of this bucket, else unknown.
func (t *turn) home(unknown error) error {
	if t.target() == 0 || t.target().Bucket() != t.b.n {
		return unknown
	}
	return nil
}
