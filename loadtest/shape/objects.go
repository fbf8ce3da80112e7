package shape

import "fmt"

// The objects of the wire, with all keys that the strictest client asks for.
var (
	User = Obj{
		"id": ID, "username": Filled, "discriminator": Digits, "global_name": Null(Str), "avatar": Null(Str), "bot": Bool, "system": Bool,
		"public_flags": Int, "banner": Null(Str), "accent_color": Null(Int),
	}
	SelfUser = User.With(Obj{"verified": Bool, "mfa_enabled": Bool, "email": Null(Str), "flags": Int, "locale": Filled})

	PartialMember = Obj{
		"nick": Null(Str), "avatar": Null(Str), "roles": List(ID), "joined_at": Time, "premium_since": Null(Time), "deaf": Bool, "mute": Bool,
		"flags": Int, "pending": Bool, "communication_disabled_until": Null(Time),
	}
	Member = PartialMember.With(Obj{"user": User.Shape()})

	Role = Obj{
		"id": ID, "name": Filled, "color": Int, "hoist": Bool, "icon": Null(Str), "unicode_emoji": Null(Str), "position": Int,
		"permissions": Perm, "managed": Bool, "mentionable": Bool, "flags": Int,
		"colors": Obj{"primary_color": Int, "secondary_color": Null(Int), "tertiary_color": Null(Int)}.Shape(),
	}
	Overwrite = Obj{"id": ID, "type": zeroOrOne, "allow": Perm, "deny": Perm}
	Channel   = Obj{
		"id": ID, "type": Int, "guild_id": ID, "name": Filled, "position": Int, "permission_overwrites": List(Overwrite.Shape()),
		"topic": Null(Str), "nsfw": Bool, "last_message_id": Null(ID), "last_pin_timestamp": Null(Time), "rate_limit_per_user": Int, "parent_id": Null(ID), "flags": Int,
	}
	// Guild is what REST answers.
	Guild = Obj{
		"id": ID, "name": Filled, "owner_id": ID, "icon": Null(Str), "splash": Null(Str), "discovery_splash": Null(Str), "banner": Null(Str),
		"description": Null(Str), "afk_channel_id": Null(ID), "afk_timeout": Int, "verification_level": Int,
		"default_message_notifications": Int, "explicit_content_filter": Int, "mfa_level": Int, "nsfw_level": Int, "premium_tier": Int,
		"premium_subscription_count": Int, "preferred_locale": Filled, "premium_progress_bar_enabled": Bool, "system_channel_id": Null(ID),
		"system_channel_flags": Int, "rules_channel_id": Null(ID), "public_updates_channel_id": Null(ID), "vanity_url_code": Null(Str),
		"application_id": Null(ID), "features": List(Str), "roles": List(Role.Shape()), "emojis": empty, "stickers": empty,
	}
	guildCreate = Guild.With(Obj{
		"channels": List(Channel.With(Obj{"guild_id?": ID}).Without("guild_id").Shape()), "threads": empty, "members": List(Member.Shape()),
		"member_count": Int, "presences": List(present), "voice_states": empty, "stage_instances": empty, "guild_scheduled_events": empty,
		"soundboard_sounds?": empty, "joined_at": Time, "large": Bool, "unavailable": Exactly(false), "max_members?": Int,
	})
	// GuildCreate is the d of GUILD_CREATE, with what must hold between its parts.
	GuildCreate = All(guildCreate.Shape(), guildWhole)

	// Message is what REST answers; events hold more.
	Message = Obj{
		"id": ID, "channel_id": ID, "author": User.Shape(), "content": Str, "timestamp": Time, "edited_timestamp": Null(Time), "tts": Bool,
		"mention_everyone": Bool, "mentions": List(User.Shape()), "mention_roles": List(ID), "attachments": List(Any), "embeds": List(Any),
		"pinned": Bool, "type": Int, "flags": Int, "components": List(Any), "nonce?": Nonce,
		"message_reference?": reference.Shape(), "referenced_message?": referenced, "reactions?": List(reaction.Shape()),
	}
	messageEvent = All(Message.With(Obj{"guild_id": ID, "member": PartialMember.Shape()}).Shape(), Absent("webhook_id"))

	Invite = Obj{
		"code": Filled, "guild": Obj{"id": ID, "name": Filled}.Shape(), "channel": Obj{"id": ID, "name": Filled, "type": Int}.Shape(),
		"inviter?": User.Shape(), "uses?": Int, "max_uses?": Int, "max_age?": Int, "temporary?": Bool, "created_at?": Time,
		"expires_at?": Null(Time),
	}
	GatewayBot = Obj{"url": Filled, "shards": Int,
		"session_start_limit": Obj{"total": Int, "remaining": Int, "reset_after": Int, "max_concurrency": Int}.Shape()}
	Application = Obj{
		"id": ID, "name": Filled, "icon": Null(Str), "description": Str, "bot_public": Bool, "bot_require_code_grant": Bool,
		"verify_key": Str, "owner": User.Shape(), "flags": Int,
		"team": Null(Any), "summary": Str, "tags": List(Str), "redirect_uris": List(Str), "interactions_endpoint_url": Null(Str),
		"rpc_origins": List(Str),
	}
	Login   = Obj{"user": SelfUser.Shape(), "token": Filled, "refresh_token": Filled, "expires_in": Int}
	NewApp  = Obj{"id": ID, "bot": User.Shape(), "token": BotToken}
	Error   = Obj{"message": Filled, "code": Int, "errors?": Obj{}.Shape()}
	Limited = Obj{"message": Filled, "retry_after": Number, "global": Bool}
	Ready   = All(Obj{
		"v": Int, "user": SelfUser.Shape(), "guilds": List(Obj{"id": ID, "unavailable": Exactly(true)}.Shape()),
		"private_channels": List(Any), "session_id": sessionID, "resume_gateway_url": gatewayURL, "shard": List(Int),
		"application": Obj{"id": ID, "flags": Int}.Shape(), "_trace": List(Str),
	}.Shape())
)

var empty = Exactly([]any{})

func zeroOrOne(path string, v any, tell func(string)) {
	if s := short(v); s != "0" && s != "1" {
		tell(fmt.Sprintf("%s: got %s, want 0 or 1", path, s))
	}
}

// guildWhole checks what must hold between the parts of a GUILD_CREATE: the everyone role, categories of parents.
func guildWhole(path string, v any, tell func(string)) {
	g, _ := v.(map[string]any)
	roles, _ := g["roles"].([]any)
	everyone := false
	for _, r := range roles {
		if m, ok := r.(map[string]any); ok && m["id"] == g["id"] {
			everyone = true
		}
	}
	if !everyone {
		tell(path + ".roles: no role with the guild's id")
	}
	channels, _ := g["channels"].([]any)
	categories := map[any]bool{}
	for _, c := range channels {
		if m, ok := c.(map[string]any); ok && short(m["type"]) == "4" {
			categories[m["id"]] = true
		}
	}
	for i, c := range channels {
		if m, ok := c.(map[string]any); ok && m["parent_id"] != nil && !categories[m["parent_id"]] {
			tell(fmt.Sprintf("%s.channels[%d].parent_id: %s is no category of this payload", path, i, short(m["parent_id"])))
		}
	}
	members, _ := g["members"].([]any)
	for i, e := range members {
		m, _ := e.(map[string]any)
		list, _ := m["roles"].([]any)
		for _, r := range list {
			if r == g["id"] {
				tell(fmt.Sprintf("%s.members[%d].roles: holds the everyone role", path, i))
			}
		}
	}
}
