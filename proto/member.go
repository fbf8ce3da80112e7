package proto

// A Member is a user in a guild (Discord: Guild Member). User is nil in message.member only.
type Member struct {
	User                       *User   `json:"user,omitempty"`
	Nick                       *string `json:"nick"`
	Avatar                     *string `json:"avatar"`
	Roles                      []ID    `json:"roles"` // without the everyone role; never nil on the wire
	JoinedAt                   Time    `json:"joined_at"`
	PremiumSince               *Time   `json:"premium_since"`
	Deaf                       bool    `json:"deaf"`
	Mute                       bool    `json:"mute"`
	Flags                      int     `json:"flags"`
	Pending                    bool    `json:"pending"`
	CommunicationDisabledUntil *Time   `json:"communication_disabled_until"`
}

// Partial is m without its user, as messages carry it.
func (m Member) Partial() Member {
	m.User = nil
	return m
}

// A GuildMember is the d of GUILD_MEMBER_ADD and GUILD_MEMBER_UPDATE.
type GuildMember struct {
	Member
	GuildID ID `json:"guild_id"`
}

// GuildMemberRemove is the d of GUILD_MEMBER_REMOVE.
type GuildMemberRemove struct {
	GuildID ID   `json:"guild_id"`
	User    User `json:"user"`
}
