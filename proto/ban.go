package proto

// A Ban keeps a user out of a guild (Discord: Ban).
type Ban struct {
	Reason *string `json:"reason"`
	User   User    `json:"user"`
}

// A GuildBan is the d of GUILD_BAN_ADD and GUILD_BAN_REMOVE. The reason is for those alone who may read the list of bans.
type GuildBan struct {
	GuildID ID   `json:"guild_id"`
	User    User `json:"user"`
}

// BulkBan answers POST /guilds/{id}/bulk-ban.
type BulkBan struct {
	Banned []ID `json:"banned_users"`
	Failed []ID `json:"failed_users"`
}
