package proto

// MaxReactions is how many emojis one message may have.
const MaxReactions = 20

// Errors of reactions.
var (
	ErrUnknownEmoji = &Error{Status: 400, Code: 10014, Message: "Unknown Emoji"}
	ErrMaxReactions = &Error{Status: 403, Code: 30010, Message: "Maximum number of reactions reached (20)"}
)

// An Emoji of Unicode: ID is always null. There are no others here.
type Emoji struct {
	ID   *ID    `json:"id"`
	Name string `json:"name"`
}

// A Reaction sums up one emoji of a message for one reader (Discord: Reaction).
type Reaction struct {
	Emoji        Emoji         `json:"emoji"`
	Count        int           `json:"count"`
	CountDetails ReactionCount `json:"count_details"`
	BurstColors  []Nothing     `json:"burst_colors"`
	Me           bool          `json:"me"`
	MeBurst      bool          `json:"me_burst"`
}

// ReactionCount tells burst reactions, of which there are none, from others.
type ReactionCount struct {
	Burst  int `json:"burst"`
	Normal int `json:"normal"`
}

// NewReaction is an emoji with its count.
func NewReaction(emoji string, count int, me bool) Reaction {
	return Reaction{Emoji: Emoji{Name: emoji}, Count: count, CountDetails: ReactionCount{Normal: count}, BurstColors: []Nothing{}, Me: me}
}

// ReactionAdd is the d of MESSAGE_REACTION_ADD.
type ReactionAdd struct {
	UserID          ID      `json:"user_id"`
	ChannelID       ID      `json:"channel_id"`
	MessageID       ID      `json:"message_id"`
	GuildID         ID      `json:"guild_id,omitzero"`
	Member          *Member `json:"member"`
	Emoji           Emoji   `json:"emoji"`
	MessageAuthorID ID      `json:"message_author_id"`
	Burst           bool    `json:"burst"`
	Type            int     `json:"type"` // 0: no burst
}

// ReactionRemove is the d of MESSAGE_REACTION_REMOVE.
type ReactionRemove struct {
	UserID    ID    `json:"user_id"`
	ChannelID ID    `json:"channel_id"`
	MessageID ID    `json:"message_id"`
	GuildID   ID    `json:"guild_id,omitzero"`
	Emoji     Emoji `json:"emoji"`
	Burst     bool  `json:"burst"`
	Type      int   `json:"type"`
}

// ReactionRemoveAll is the d of MESSAGE_REACTION_REMOVE_ALL and, with an emoji, of MESSAGE_REACTION_REMOVE_EMOJI.
type ReactionRemoveAll struct {
	ChannelID ID     `json:"channel_id"`
	MessageID ID     `json:"message_id"`
	GuildID   ID     `json:"guild_id,omitzero"`
	Emoji     *Emoji `json:"emoji,omitempty"`
}
