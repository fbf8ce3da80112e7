package proto

// Channel types (Discord: Channel Types).
const (
	ChannelText     = 0
	ChannelDM       = 1
	ChannelCategory = 4
)

// A Channel of a guild.
type Channel struct {
	ID               ID          `json:"id"`
	Type             int         `json:"type"`
	GuildID          ID          `json:"guild_id"`
	Name             string      `json:"name"`
	Position         int         `json:"position"`
	Overwrites       []Overwrite `json:"permission_overwrites"` // never nil on the wire
	Topic            *string     `json:"topic"`
	NSFW             bool        `json:"nsfw"`
	LastMessageID    *ID         `json:"last_message_id"`
	LastPinTimestamp *Time       `json:"last_pin_timestamp"`  // when the newest of its pins was pinned
	RateLimitPerUser int         `json:"rate_limit_per_user"` // seconds
	ParentID         *ID         `json:"parent_id"`
	Flags            int         `json:"flags"`
}

// Overwrite target types.
const (
	OverwriteRole   = 0
	OverwriteMember = 1
)

// An Overwrite grants or denies permissions in one channel to a role or a member.
type Overwrite struct {
	ID    ID          `json:"id"`
	Type  int         `json:"type"`
	Allow Permissions `json:"allow"`
	Deny  Permissions `json:"deny"`
}
