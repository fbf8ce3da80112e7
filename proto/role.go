package proto

// A Role of a guild. The everyone role has the guild's id.
type Role struct {
	ID           ID          `json:"id"`
	Name         string      `json:"name"`
	Color        int         `json:"color"`
	Colors       RoleColors  `json:"colors"`
	Hoist        bool        `json:"hoist"`
	Icon         *string     `json:"icon"`
	UnicodeEmoji *string     `json:"unicode_emoji"`
	Position     int         `json:"position"`
	Permissions  Permissions `json:"permissions"`
	Managed      bool        `json:"managed"`
	Mentionable  bool        `json:"mentionable"`
	Flags        int         `json:"flags"`
}

// RoleColors repeats Color in the newer form that two clients insist on.
type RoleColors struct {
	Primary   int  `json:"primary_color"`
	Secondary *int `json:"secondary_color"`
	Tertiary  *int `json:"tertiary_color"`
}

// GuildRole is the d of GUILD_ROLE_CREATE and GUILD_ROLE_UPDATE.
type GuildRole struct {
	GuildID ID   `json:"guild_id"`
	Role    Role `json:"role"`
}

// GuildRoleDelete is the d of GUILD_ROLE_DELETE.
type GuildRoleDelete struct {
	GuildID ID `json:"guild_id"`
	RoleID  ID `json:"role_id"`
}
