package core

import "github.com/starling-chat/starling/proto"

// MaxHolders is how many holders of a deleted role its event lists.
const MaxHolders = 1000

// CarriesBefore tells whether events of a guild of a type say, in pb.Event.before, what they changed or removed, as it was right before. With
// that an edge that has the guild as it is now can tell how it was at any entry of the log, and who could see what then. The bytes are the
// JSON of
//
//	GUILD_UPDATE         proto.GuildBefore without roles, channels and member count
//	GUILD_DELETE         proto.GuildBefore with these; members are not told
//	GUILD_ROLE_UPDATE    proto.Role
//	GUILD_ROLE_DELETE    proto.RoleBefore: members and channels lose the role without events of their own
//	CHANNEL_UPDATE       proto.Channel with overwrites, and with last message and pin where the owner knows them at hand
//	CHANNEL_DELETE       the same; children of a category that is deleted have their CHANNEL_UPDATE before
//	GUILD_MEMBER_UPDATE  proto.Member with user
//	GUILD_MEMBER_REMOVE  the same; a kick, a ban and a prune are removals
//
// What CHANNEL_CREATE, GUILD_ROLE_CREATE, GUILD_MEMBER_ADD and _GUILD_BORN bring was not there before. Stores pass the field over, clients
// never get it, and events of messages have none.
func CarriesBefore(eventType string) bool { return before[eventType] }

// before has an opinion about every type that changes structure: one that is missing would be taken for one that edges need not know how to
// undo. A test holds that.
var before = map[string]bool{
	proto.EventGuildUpdate:       true,
	proto.EventGuildDelete:       true,
	proto.EventGuildRoleUpdate:   true,
	proto.EventGuildRoleDelete:   true,
	proto.EventChannelUpdate:     true,
	proto.EventChannelDelete:     true,
	proto.EventGuildMemberUpdate: true,
	proto.EventGuildMemberRemove: true,

	// New things.
	proto.EventInternalGuildBorn: false,
	proto.EventChannelCreate:     false,
	proto.EventGuildRoleCreate:   false,
	proto.EventGuildMemberAdd:    false,
	// Nothing that edges keep.
	proto.EventGuildBanAdd:        false,
	proto.EventGuildBanRemove:     false,
	proto.EventInternalBanned:     false,
	proto.EventAuditLogEntry:      false,
	proto.EventInviteCreate:       false,
	proto.EventInviteDelete:       false,
	proto.EventInternalInviteUsed: false,
	proto.EventInternalAnswer:     false,
}
