package proto

// An Invite to a guild (Discord: Invite with metadata).
type Invite struct {
	Code      string        `json:"code"`
	Type      int           `json:"type"`
	Guild     InviteGuild   `json:"guild"`
	Channel   InviteChannel `json:"channel"`
	Inviter   User          `json:"inviter"`
	Uses      int           `json:"uses"`
	MaxUses   int           `json:"max_uses"`
	MaxAge    int           `json:"max_age"` // seconds; 0 = for ever
	Temporary bool          `json:"temporary"`
	CreatedAt Time          `json:"created_at"`
	ExpiresAt *Time         `json:"expires_at"`
}

// InviteGuild is the guild as a stranger sees it.
type InviteGuild struct {
	ID   ID      `json:"id"`
	Name string  `json:"name"`
	Icon *string `json:"icon"`
}

// InviteChannel is the channel as a stranger sees it.
type InviteChannel struct {
	ID   ID     `json:"id"`
	Name string `json:"name"`
	Type int    `json:"type"`
}

// InviteCreate is the d of INVITE_CREATE.
type InviteCreate struct {
	Code      string `json:"code"`
	ChannelID ID     `json:"channel_id"`
	GuildID   ID     `json:"guild_id"`
	Inviter   User   `json:"inviter"`
	Uses      int    `json:"uses"`
	MaxUses   int    `json:"max_uses"`
	MaxAge    int    `json:"max_age"`
	Temporary bool   `json:"temporary"`
	CreatedAt Time   `json:"created_at"`
}

// InviteDelete is the d of INVITE_DELETE.
type InviteDelete struct {
	Code      string `json:"code"`
	ChannelID ID     `json:"channel_id"`
	GuildID   ID     `json:"guild_id"`
}
