package shape

import "maps"

// Objects that guilds are run by.
var (
	Ban      = Obj{"reason": Null(Str), "user": User.Shape()}
	guildBan = Obj{"guild_id": ID, "user": User.Shape()}

	AuditLogEntry = Obj{"id": ID, "user_id": Null(ID), "target_id": Null(ID), "action_type": Int,
		"changes?": List(Obj{"key": Filled, "old_value?": Any, "new_value?": Any}.Shape()),
		"options?": Obj{"channel_id?": ID, "message_id?": ID, "count?": Digits, "delete_member_days?": Digits, "members_removed?": Digits,
			"id?": ID, "type?": Digits, "role_name?": Str}.Shape(), "reason?": Filled}
	AuditLog = Obj{"audit_log_entries": List(AuditLogEntry.Shape()), "users": List(User.Shape()), "webhooks": empty, "integrations": empty,
		"threads": empty, "guild_scheduled_events": empty, "auto_moderation_rules": empty, "application_commands": empty}
)

func init() {
	maps.Copy(routes, map[string]Shape{
		"PATCH /guilds/{}":                  Guild.Shape(),
		"DELETE /guilds/{}":                 nil,
		"PATCH /guilds/{}/channels":         nil,
		"PATCH /guilds/{}/roles":            List(Role.Shape()),
		"GET /guilds/{}/members/search":     List(Member.Shape()),
		"PATCH /guilds/{}/members/@me/nick": Obj{"nick": Null(Str)}.Shape(),
		"GET /guilds/{}/bans":               List(Ban.Shape()),
		"GET /guilds/{}/bans/{}":            Ban.Shape(),
		"PUT /guilds/{}/bans/{}":            nil,
		"DELETE /guilds/{}/bans/{}":         nil,
		"POST /guilds/{}/bulk-ban":          Obj{"banned_users": List(ID), "failed_users": List(ID)}.Shape(),
		"GET /guilds/{}/prune":              Obj{"pruned": Int}.Shape(),
		"POST /guilds/{}/prune":             Obj{"pruned": Null(Int)}.Shape(),
		"GET /guilds/{}/audit-logs":         AuditLog.Shape(),
		"GET /guilds/{}/invites":            List(Invite.Shape()),
		"GET /channels/{}/invites":          List(Invite.Shape()),
		"DELETE /invites/{}":                Invite.Shape(),
	})
	maps.Copy(events, map[string]Shape{
		"GUILD_BAN_ADD":                guildBan.Shape(),
		"GUILD_BAN_REMOVE":             guildBan.Shape(),
		"GUILD_AUDIT_LOG_ENTRY_CREATE": AuditLogEntry.With(Obj{"guild_id": ID}).Shape(),
	})
}
