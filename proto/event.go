package proto

// Names of the gateway events that Starling sends (Discord: Gateway Events).
const (
	EventReady             = "READY"
	EventResumed           = "RESUMED"
	EventGuildCreate       = "GUILD_CREATE"
	EventGuildUpdate       = "GUILD_UPDATE"
	EventGuildDelete       = "GUILD_DELETE"
	EventChannelCreate     = "CHANNEL_CREATE"
	EventChannelUpdate     = "CHANNEL_UPDATE"
	EventChannelDelete     = "CHANNEL_DELETE"
	EventGuildRoleCreate   = "GUILD_ROLE_CREATE"
	EventGuildRoleUpdate   = "GUILD_ROLE_UPDATE"
	EventGuildRoleDelete   = "GUILD_ROLE_DELETE"
	EventGuildMemberAdd    = "GUILD_MEMBER_ADD"
	EventGuildMemberUpdate = "GUILD_MEMBER_UPDATE"
	EventGuildMemberRemove = "GUILD_MEMBER_REMOVE"
	EventGuildMembersChunk = "GUILD_MEMBERS_CHUNK"
	EventGuildBanAdd       = "GUILD_BAN_ADD"
	EventGuildBanRemove    = "GUILD_BAN_REMOVE"
	EventAuditLogEntry     = "GUILD_AUDIT_LOG_ENTRY_CREATE"
	EventInviteCreate      = "INVITE_CREATE"
	EventInviteDelete      = "INVITE_DELETE"
	EventMessageCreate     = "MESSAGE_CREATE"
	EventMessageUpdate     = "MESSAGE_UPDATE"
	EventMessageDelete     = "MESSAGE_DELETE"
	EventMessageDeleteBulk = "MESSAGE_DELETE_BULK"
	EventPresencesReplace  = "PRESENCES_REPLACE" // empty, to who heard nothing for a minute: it carries a number of now
	EventTypingStart       = "TYPING_START"
	EventUserUpdate        = "USER_UPDATE"
	EventPresenceUpdate    = "PRESENCE_UPDATE"

	EventRelationshipAdd    = "RELATIONSHIP_ADD"
	EventRelationshipRemove = "RELATIONSHIP_REMOVE"
)

// Names of the events of reactions and pins.
const (
	EventReactionAdd         = "MESSAGE_REACTION_ADD"
	EventReactionRemove      = "MESSAGE_REACTION_REMOVE"
	EventReactionRemoveAll   = "MESSAGE_REACTION_REMOVE_ALL"
	EventReactionRemoveEmoji = "MESSAGE_REACTION_REMOVE_EMOJI"
	EventChannelPinsUpdate   = "CHANNEL_PINS_UPDATE"

	EventInternalReactions = "_REACTIONS" // guild's bucket; body: core.ReactionChange; what the history keeps of a change of reactions
	EventInternalPins      = "_PINS"      // guild's bucket; body: core.PinChange; all pins of a channel after a change
)

// Names of events that only the mesh sees: stores and edges apply them, no client gets them.
const (
	EventInternalGuildBorn     = "_GUILD_BORN"     // guild's bucket; body: Guild with roles, channels, members
	EventInternalUserBorn      = "_USER_BORN"      // user's bucket; body: core.Account without the password hash
	EventInternalTokenReset    = "_TOKEN_RESET"    // bot's bucket; body: core.TokenReset; edges close the bot's sessions with 4004
	EventInternalSessionRevoke = "_SESSION_REVOKE" // user's bucket; id = auth session; edges close its gateway sessions with 4004
	EventInternalGuildJoined   = "_GUILD_JOINED"   // user's bucket; user, guild, id = sequence in the guild's bucket that it follows
	EventInternalGuildLeft     = "_GUILD_LEFT"     // user's bucket; user, guild, id as above
	EventInternalBanned        = "_BANNED"         // guild's bucket; body: Ban, with the reason that GUILD_BAN_ADD does not tell
	EventInternalAnswer        = "_ANSWER"         // any bucket; body: the answer of a command that made several events; nobody applies it
	EventInternalInviteUsed    = "_INVITE_USED"    // guild's bucket; body: {"code"}
	EventInternalDirectBorn    = "_DIRECT_BORN"    // channel's bucket; body: DirectChannel with both recipients, the lower id first
	EventInternalDirectShown   = "_DIRECT_SHOWN"   // channel's bucket; user has it in the list from now on, id = new, below later messages; body: DirectChannel
	EventInternalDirectHidden  = "_DIRECT_HIDDEN"  // channel's bucket; user has closed it, id = new; body: DirectChannel
	EventInternalDirectOpened  = "_DM_OPENED"      // user's bucket; user, channel, id = sequence in the channel's bucket; body: core.DirectLink
	EventInternalDirectClosed  = "_DM_CLOSED"      // user's bucket; as above
)

// Intents that a session may ask for (Discord: Gateway Intents).
const (
	IntentGuilds          int64 = 1 << 0
	IntentGuildMembers    int64 = 1 << 1
	IntentGuildModeration int64 = 1 << 2
	IntentGuildInvites    int64 = 1 << 6
	IntentGuildPresences  int64 = 1 << 8
	IntentGuildMessages   int64 = 1 << 9
	IntentGuildReactions  int64 = 1 << 10
	IntentGuildTyping     int64 = 1 << 11
	IntentDirectMessages  int64 = 1 << 12
	IntentDirectTyping    int64 = 1 << 14
	IntentMessageContent  int64 = 1 << 15

	// IntentsAll is every bit of the published list (0-16, 20, 21, 24, 25); others close with 4013. It is also what absent intents mean.
	IntentsAll int64 = 1<<17 - 1 | 1<<20 | 1<<21 | 1<<24 | 1<<25
)

// DirectIntent tells which intent a session needs for an event of a direct channel; 0 = none.
func DirectIntent(event string) int64 {
	of := intents[event]
	if direct := of & (1<<9 | 1<<10 | 1<<11) << 3; direct != 0 { // messages, reactions, typing
		return direct
	}
	if of == IntentGuilds {
		return IntentDirectMessages // pins
	}
	return 0
}

// Intent tells which intent a session needs for an event of a guild; 0 = none.
func Intent(event string) int64 { return intents[event] }

// EitherRight tells which rights a member needs one of, in the guild as a whole, to hear of an event; 0 = none. It comes on top of what the
// event itself requires.
func EitherRight(event string) Permissions {
	switch event {
	case EventGuildBanAdd, EventGuildBanRemove:
		return PermBanMembers | PermViewAuditLog
	}
	return 0
}

var intents = map[string]int64{
	EventGuildUpdate:       IntentGuilds,
	EventChannelCreate:     IntentGuilds,
	EventChannelUpdate:     IntentGuilds,
	EventChannelDelete:     IntentGuilds,
	EventGuildRoleCreate:   IntentGuilds,
	EventGuildRoleUpdate:   IntentGuilds,
	EventGuildRoleDelete:   IntentGuilds,
	EventGuildMemberAdd:    IntentGuildMembers,
	EventGuildMemberUpdate: IntentGuildMembers,
	EventGuildMemberRemove: IntentGuildMembers,
	EventGuildBanAdd:       IntentGuildModeration,
	EventGuildBanRemove:    IntentGuildModeration,
	EventAuditLogEntry:     IntentGuildModeration,
	EventInviteCreate:      IntentGuildInvites,
	EventInviteDelete:      IntentGuildInvites,
	EventMessageCreate:     IntentGuildMessages,
	EventMessageUpdate:     IntentGuildMessages,
	EventMessageDelete:     IntentGuildMessages,
	EventMessageDeleteBulk: IntentGuildMessages,
	EventTypingStart:       IntentGuildTyping,
	EventPresenceUpdate:    IntentGuildPresences,

	EventReactionAdd:         IntentGuildReactions,
	EventReactionRemove:      IntentGuildReactions,
	EventReactionRemoveAll:   IntentGuildReactions,
	EventReactionRemoveEmoji: IntentGuildReactions,
	EventChannelPinsUpdate:   IntentGuilds,
}
