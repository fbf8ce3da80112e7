package core

import (
	"encoding/json"
	"net/http"

	"github.com/starling-chat/starling/proto"
)

// Kinds of commands, with the fields of pb.Command that each reads (actor always), its body, and what it answers.
// Commands go to the bucket of the guild, or of the user, or, where something is born, to BirthBucket(command id).
const (
	KindUserCreate  = "user.create"  // body Account without ID → 201 proto.SelfUser
	KindTokenReset  = "token.reset"  // target bot; by its owner or the mesh; body TokenReset → 200 proto.User
	KindSessionGone = "session.gone" // target user, guild unused; body SessionGone → 204: the login was revoked
	KindGuildJoined = "guild.joined" // mesh only; target user, guild; body GuildLink → 204
	KindGuildLeft   = "guild.left"   // mesh only; target user, guild; body GuildLink → 204

	KindGuildCreate = "guild.create" // body GuildCreate → 201 proto.Guild

	KindChannelCreate   = "channel.create"   // guild; body ChannelCreate → 201 proto.Channel
	KindChannelEdit     = "channel.edit"     // guild, channel; body ChannelEdit → 200 proto.Channel
	KindChannelDelete   = "channel.delete"   // guild, channel → 200 proto.Channel
	KindOverwritePut    = "overwrite.put"    // guild, channel, target role or user; body OverwritePut → 204
	KindOverwriteDelete = "overwrite.delete" // guild, channel, target → 204

	KindRoleCreate = "role.create" // guild; body RoleEdit → 200 proto.Role
	KindRoleEdit   = "role.edit"   // guild, target role; body RoleEdit → 200 proto.Role
	KindRoleDelete = "role.delete" // guild, target role → 204

	KindMemberAdd      = "member.add"       // guild, target bot; needs MANAGE_GUILD → 201 proto.Member, 204 if it is one
	KindMemberJoin     = "member.join"      // guild; actor joins by invite; body InviteRef → 200 proto.Invite
	KindMemberRemove   = "member.remove"    // guild, target; needs KICK_MEMBERS or target = actor → 204
	KindMemberEdit     = "member.edit"      // guild, target; body MemberEdit → 200 proto.Member
	KindMemberRoleAdd  = "member.role.add"  // guild, target user; body RoleRef → 204
	KindMemberRoleDrop = "member.role.drop" // guild, target user; body RoleRef → 204

	KindInviteCreate = "invite.create" // guild, channel; body InviteCreate → 200 proto.Invite

	KindMessageCreate = "message.create" // guild, channel; body MessageCreate → 200 proto.Message
	KindMessageEdit   = "message.edit"   // guild, channel, target; body MessageEdit → 200 proto.Message
	KindMessageDelete = "message.delete" // guild, channel, target → 204
	KindTyping        = "typing"         // guild, channel → 204; told on the ephemeral subject, not logged

	KindSnapshotUser  = "snapshot.user"  // target user → pb.UserSnapshot
	KindSnapshotGuild = "snapshot.guild" // guild; body SnapshotGuild → pb.GuildSnapshot
)

// An Account is what a user is born with. PasswordHash is argon2id in PHC form, for people; it has no JSON, so that no command, event or log
// can hold it: it goes from Directory.Reserve to the account. TokenHash is the SHA-256 of what follows the
// first dot of a bot's token; the first part is the id, which only the owner of the bucket can issue.
type Account struct {
	User         proto.User `json:"user"`
	PasswordHash string     `json:"-"`
	TokenHash    []byte     `json:"token_hash,omitempty"`
	OwnerID      proto.ID   `json:"owner_id,omitempty"` // of a bot: who made it
}

// TokenReset replaces a bot's token.
type TokenReset struct {
	TokenHash []byte `json:"token_hash"`
}

// SessionGone names a login that was revoked.
type SessionGone struct {
	Session proto.ID `json:"session"`
}

// A GuildLink tells a user's home bucket of a join or leave; Sequence, Epoch and Counter are those of the entry in the guild's bucket, Index
// counts within it. Epoch, Counter and Index order links of one guild even where its log was made anew; _GUILD_JOINED and _GUILD_LEFT carry
// the link as their body.
type GuildLink struct {
	Sequence uint64 `json:"sequence"`
	Profile  uint64 `json:"profile,omitempty"` // of a join: ProfilePrint of the user as the guild knows it
	Epoch    uint64 `json:"epoch,omitempty"`
	Counter  uint64 `json:"counter,omitempty"`
	Index    int    `json:"index,omitempty"`
}

// GuildCreate is the body of POST /guilds.
type GuildCreate struct {
	Name string  `json:"name"` // 2 to 100 characters
	Icon *string `json:"icon"`
}

// ChannelCreate is the body of POST /guilds/{id}/channels.
type ChannelCreate struct {
	Name             string            `json:"name"` // 1 to 100 characters
	Type             int               `json:"type"` // proto.ChannelText or ChannelCategory
	Topic            *string           `json:"topic"`
	Position         *int              `json:"position"`
	Overwrites       []proto.Overwrite `json:"permission_overwrites"`
	ParentID         *proto.ID         `json:"parent_id"`
	NSFW             bool              `json:"nsfw"`
	RateLimitPerUser int               `json:"rate_limit_per_user"`
}

// ChannelEdit is the body of PATCH /channels/{id}. Absent keys change nothing; for Topic and ParentID null clears.
type ChannelEdit struct {
	Name             *string            `json:"name,omitempty"`
	Position         *int               `json:"position,omitempty"`
	Overwrites       *[]proto.Overwrite `json:"permission_overwrites,omitempty"`
	NSFW             *bool              `json:"nsfw,omitempty"`
	RateLimitPerUser *int               `json:"rate_limit_per_user,omitempty"`
	Topic            Optional[string]   `json:"topic,omitzero"`
	ParentID         Optional[proto.ID] `json:"parent_id,omitzero"`
}

// Optional tells an absent key (Set false) from null (Set, Value nil) and from a value.
type Optional[T any] struct {
	Set   bool
	Value *T
}

// IsZero reports an absent key, for omitzero.
func (o Optional[T]) IsZero() bool { return !o.Set }

// MarshalJSON writes the value or null.
func (o Optional[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.Value) }

// UnmarshalJSON is called for present keys only, null included.
func (o *Optional[T]) UnmarshalJSON(b []byte) error {
	o.Set = true
	return json.Unmarshal(b, &o.Value)
}

// OverwritePut is the body of PUT /channels/{id}/permissions/{target}.
type OverwritePut struct {
	Type  int               `json:"type"`
	Allow proto.Permissions `json:"allow"`
	Deny  proto.Permissions `json:"deny"`
}

// RoleEdit is the body of POST and PATCH of /guilds/{id}/roles; absent and null change nothing.
type RoleEdit struct {
	Name        *string            `json:"name,omitempty"`
	Permissions *proto.Permissions `json:"permissions,omitempty"`
	Color       *int               `json:"color,omitempty"`
	Hoist       *bool              `json:"hoist,omitempty"`
	Mentionable *bool              `json:"mentionable,omitempty"`
}

// RoleRef names a role of the guild.
type RoleRef struct {
	Role proto.ID `json:"role"`
}

// MemberEdit is the body of PATCH /guilds/{id}/members/{user}.
type MemberEdit struct {
	Nick  Optional[string] `json:"nick,omitzero"`
	Roles *[]proto.ID      `json:"roles,omitempty"`
	// CommunicationDisabledUntil takes all rights but to see and read until then; needs MODERATE_MEMBERS.
	CommunicationDisabledUntil Optional[proto.Time] `json:"communication_disabled_until,omitzero"`
}

// InviteCreate is the body of POST /channels/{id}/invites. Code is chosen by the API core, so that a retry makes no second one.
type InviteCreate struct {
	Code      string `json:"code"`
	MaxAge    *int   `json:"max_age"`  // seconds, default 86400, 0 = for ever
	MaxUses   int    `json:"max_uses"` // 0 = any number
	Temporary bool   `json:"temporary"`
}

// InviteRef names an invite.
type InviteRef struct {
	Code string `json:"code"`
}

// MessageCreate is the body of POST /channels/{id}/messages, as far as it counts.
type MessageCreate struct {
	Content      string          `json:"content"`
	TTS          bool            `json:"tts,omitempty"`
	Nonce        json.RawMessage `json:"nonce,omitempty"` // string to 25 characters, or integer
	EnforceNonce bool            `json:"enforce_nonce,omitempty"`
	Flags        int             `json:"flags,omitempty"`

	Reference       *MessageReference `json:"message_reference,omitempty"`
	AllowedMentions *AllowedMentions  `json:"allowed_mentions,omitempty"`
}

// MessageEdit is the body of PATCH /channels/{id}/messages/{id}.
type MessageEdit struct {
	Content *string `json:"content,omitempty"`
	Flags   *int    `json:"flags,omitempty"`

	AllowedMentions *AllowedMentions `json:"allowed_mentions,omitempty"`
}

// SnapshotGuild says which members a guild snapshot should hold.
type SnapshotGuild struct {
	Members        []proto.ID `json:"members,omitempty"`
	AllMembersUpTo int        `json:"all_members_up_to,omitempty"`
}

// StatusMoved is the status of a Result that says that another owner has the bucket: ask again at once. Clients never see it.
const StatusMoved = http.StatusMisdirectedRequest
