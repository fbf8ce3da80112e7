package proto

// A DirectChannel is a channel between two users as one of them sees it: Recipients is the other (Discord: Channel of type DM).
type DirectChannel struct {
	ID               ID     `json:"id"`
	Type             int    `json:"type"` // ChannelDM
	LastMessageID    *ID    `json:"last_message_id"`
	LastPinTimestamp *Time  `json:"last_pin_timestamp"`
	Flags            int    `json:"flags"`
	Recipients       []User `json:"recipients"`
}

// Relationship types.
const RelationshipBlocked = 2

// A Relationship is what one user has decided about another; only the one who decided sees it.
type Relationship struct {
	ID       ID      `json:"id"` // of the other
	Type     int     `json:"type"`
	Nickname *string `json:"nickname"`
	User     User    `json:"user"`
}

// RelationshipRemove is the d of RELATIONSHIP_REMOVE.
type RelationshipRemove struct {
	ID   ID  `json:"id"`
	Type int `json:"type"`
}
