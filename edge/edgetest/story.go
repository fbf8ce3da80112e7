package edgetest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

func body(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Message makes the event of a message; without is its content for sessions that lack the intent.
func (c *Core) Message(ch *proto.Channel, author *User, content string, mentions ...*User) *pb.Event {
	id := c.NewID(ch.ID.Bucket())
	m := proto.Message{ID: id, ChannelID: ch.ID, GuildID: &ch.GuildID, Author: author.User, Content: content, Timestamp: proto.Time(time.Now()),
		Mentions: []proto.User{}, MentionRoles: []proto.ID{}, Attachments: []proto.Nothing{}, Embeds: []proto.Nothing{}, Components: []proto.Nothing{}}
	e := &pb.Event{Type: proto.EventMessageCreate, Guild: uint64(ch.GuildID), Channel: uint64(ch.ID), Id: uint64(id), Author: uint64(author.ID),
		Required: uint64(proto.PermViewChannel)}
	for _, u := range mentions {
		m.Mentions = append(m.Mentions, u.User)
		e.Mentions = append(e.Mentions, uint64(u.ID))
	}
	e.Body = body(m)
	m.Content = ""
	e.BodyNoContent = body(m)
	return e
}

// Say publishes a message.
func (c *Core) Say(ch *proto.Channel, author *User, content string, mentions ...*User) {
	c.t.Helper()
	c.Publish(ch.ID.Bucket(), nil, c.Message(ch, author, content, mentions...))
}

// Typing publishes what no log holds.
func (c *Core) Typing(ch *proto.Channel, u *User) {
	m := member(u)
	b, _ := pbMarshal(&pb.Event{Type: proto.EventTypingStart, Guild: uint64(ch.GuildID), Channel: uint64(ch.ID), Author: uint64(u.ID),
		Required: uint64(proto.PermViewChannel), Body: body(proto.TypingStart{ChannelID: ch.ID, GuildID: ch.GuildID, UserID: u.ID, Timestamp: 1, Member: &m})})
	if err := c.bus.Publish(relay.EphemeralSubject(relaytest.Region, ch.ID.Bucket()), b); err != nil {
		c.t.Error(err)
	}
}

// SetChannel creates or replaces a channel of a guild.
func (c *Core) SetChannel(g *proto.Guild, ch proto.Channel) {
	kind := proto.EventChannelUpdate
	if !slices.ContainsFunc(g.Channels, func(x proto.Channel) bool { return x.ID == ch.ID }) {
		kind = proto.EventChannelCreate
	}
	c.Publish(g.ID.Bucket(), func() {
		g.Channels = append(slices.DeleteFunc(slices.Clone(g.Channels), func(x proto.Channel) bool { return x.ID == ch.ID }), ch)
	}, &pb.Event{Type: kind, Guild: uint64(g.ID), Channel: uint64(ch.ID), Id: uint64(ch.ID), Body: body(ch)})
}

// SetRole creates or replaces a role.
func (c *Core) SetRole(g *proto.Guild, r proto.Role) {
	kind := proto.EventGuildRoleUpdate
	if !slices.ContainsFunc(g.Roles, func(x proto.Role) bool { return x.ID == r.ID }) {
		kind = proto.EventGuildRoleCreate
	}
	c.Publish(g.ID.Bucket(), func() {
		g.Roles = append(slices.DeleteFunc(slices.Clone(g.Roles), func(x proto.Role) bool { return x.ID == r.ID }), r)
	}, &pb.Event{Type: kind, Guild: uint64(g.ID), Id: uint64(r.ID), Body: body(proto.GuildRole{GuildID: g.ID, Role: r})})
}

// SetRoles changes a member's roles.
func (c *Core) SetRoles(g *proto.Guild, u *User, roles ...proto.ID) {
	m := member(u)
	m.Roles = append(m.Roles, roles...)
	c.Publish(g.ID.Bucket(), func() { c.setMember(g, m) }, &pb.Event{Type: proto.EventGuildMemberUpdate, Guild: uint64(g.ID), Id: uint64(u.ID),
		Body: body(proto.GuildMember{Member: m, GuildID: g.ID})})
}

func (c *Core) setMember(g *proto.Guild, m proto.Member) {
	g.Members = append(slices.DeleteFunc(slices.Clone(g.Members), func(x proto.Member) bool { return x.User.ID == m.User.ID }), m)
}

// Join makes u a member: an event of the guild's bucket, then one of the user's.
func (c *Core) Join(g *proto.Guild, u *User) {
	m := member(u)
	seq := c.Publish(g.ID.Bucket(), func() { c.setMember(g, m) }, &pb.Event{Type: proto.EventGuildMemberAdd, Guild: uint64(g.ID), Id: uint64(u.ID),
		Body: body(proto.GuildMember{Member: m, GuildID: g.ID})})
	c.Publish(u.ID.Bucket(), func() { u.Guilds = append(u.Guilds, g.ID) },
		&pb.Event{Type: proto.EventInternalGuildJoined, User: uint64(u.ID), Guild: uint64(g.ID), Id: seq})
}

// Leave ends a membership.
func (c *Core) Leave(g *proto.Guild, u *User) {
	seq := c.Publish(g.ID.Bucket(), func() {
		g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(x proto.Member) bool { return x.User.ID == u.ID })
	}, &pb.Event{Type: proto.EventGuildMemberRemove, Guild: uint64(g.ID), Id: uint64(u.ID), Body: body(proto.GuildMemberRemove{GuildID: g.ID, User: u.User})})
	c.Publish(u.ID.Bucket(), func() { u.Guilds = slices.DeleteFunc(u.Guilds, func(id proto.ID) bool { return id == g.ID }) },
		&pb.Event{Type: proto.EventInternalGuildLeft, User: uint64(u.ID), Guild: uint64(g.ID), Id: seq})
}

// DeleteGuild ends a guild; the lists of its members' own buckets still hold it.
func (c *Core) DeleteGuild(g *proto.Guild) {
	c.Publish(g.ID.Bucket(), func() { delete(c.guilds, g.ID) }, &pb.Event{Type: proto.EventGuildDelete, Guild: uint64(g.ID), Id: uint64(g.ID),
		Body: body(proto.GuildStub{ID: g.ID})})
}

// ResetToken makes a bot's token worth nothing.
func (c *Core) ResetToken(u *User) {
	c.Publish(u.ID.Bucket(), func() { delete(c.users, u.Token) }, &pb.Event{Type: proto.EventInternalTokenReset, User: uint64(u.ID), Id: uint64(u.ID)})
}

// Revoke ends a person's login.
func (c *Core) Revoke(u *User) {
	c.Publish(u.ID.Bucket(), func() { delete(c.users, u.Token) }, &pb.Event{Type: proto.EventInternalSessionRevoke, User: uint64(u.ID), Id: uint64(u.Login)})
}
