package bucket

import (
	"errors"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// guildCreate gives birth to a guild: the everyone role, a text channel, and its owner as the first member.
func guildCreate(t *turn) error {
	var body core.GuildCreate
	if err := t.body(&body); err != nil {
		return err
	}
	if core.BirthBucket(t.cmd.Id) != t.b.n {
		return errBirthplace
	}
	name, err := text("name", body.Name, 2, 100)
	if err != nil {
		return err
	}
	icon, err := image("icon", body.Icon)
	if err != nil {
		return err
	}
	owner, err := t.user(t.actor())
	if err != nil {
		return err
	}
	id, err := t.newID()
	if err != nil {
		return err
	}
	general, err := t.newID()
	if err != nil {
		return err
	}
	info := proto.NewGuild(id, name, owner.ID)
	info.Icon = icon
	info.SystemChannelID = &general
	info.Roles = []proto.Role{{ID: id, Name: "@everyone", Permissions: proto.PermDefault}}
	info.Channels = []proto.Channel{{ID: general, Type: proto.ChannelText, GuildID: id, Name: "general", Overwrites: []proto.Overwrite{}}}
	info.Members = []proto.Member{{User: &owner, Roles: []proto.ID{}, JoinedAt: proto.Time(t.now)}}
	info.MemberCount = 1
	ev := t.emit(&pb.Event{Type: proto.EventInternalGuildBorn, Guild: uint64(id), Id: uint64(id)}, info, func() {
		g := newGuild(info)
		g.used = t.now
		g.members.put(owner.ID, &info.Members[0])
		for _, ch := range g.channels {
			ch.lastKnown, ch.pinKnown = true, true
		}
		t.b.state.guilds[id] = g
	})
	return t.answered(ev, 201)
}

// errBirthplace: the API sent a birth to a bucket that a retry would not find again.
var errBirthplace = errors.New("born in a bucket that does not follow from the command's id")

// user gives a user from the directory; ErrUnknownUser.
func (t *turn) user(id proto.ID) (proto.User, error) {
	ctx, cancel := t.read()
	defer cancel()
	u, err := t.b.o.cfg.Directory.User(ctx, id)
	if errors.Is(err, core.ErrNotFound) {
		return u, proto.ErrUnknownUser
	}
	return u, err
}
