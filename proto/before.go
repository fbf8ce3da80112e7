package proto

// A GuildBefore is what an event says of a guild as it was: its own fields; before GUILD_DELETE also roles, channels and the number of
// members. Members themselves are never listed.
type GuildBefore struct {
	Guild
	Bare bool `json:"bare,omitempty"` // the event had no room for images and topics: null here, whatever they were
	Many bool `json:"many,omitempty"` // nor, before GUILD_DELETE, for roles and channels
}

// WithoutImages is g without what nothing but its looks hangs on.
func (g Guild) WithoutImages() Guild {
	g.Icon, g.Splash, g.DiscoverySplash, g.Banner = nil, nil, nil, nil
	return g
}

// A RoleBefore is what GUILD_ROLE_DELETE says of the role as it was, who held it, and what channels granted to it.
type RoleBefore struct {
	Role       Role            `json:"role"`
	Holders    []ID            `json:"holders,omitempty"`    // in order
	Many       bool            `json:"many,omitempty"`       // of members with ids above the last of Holders nothing is told
	Overwrites []RoleOverwrite `json:"overwrites,omitempty"` // one per channel that had one
}

// A RoleOverwrite is an overwrite with its channel.
type RoleOverwrite struct {
	ChannelID ID `json:"channel_id"`
	Overwrite
}
