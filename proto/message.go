package proto

import "encoding/json"

// Message types.
const (
	MessageDefault = 0
	MessageReply   = 19
)

// Limits of a message.
const (
	MaxContent = 2000 // characters
	MaxNonce   = 25   // characters
)

// A Message (Discord: Message). REST leaves GuildID and Member out; MESSAGE_CREATE and MESSAGE_UPDATE hold them.
type Message struct {
	ID              ID              `json:"id"`
	ChannelID       ID              `json:"channel_id"`
	GuildID         *ID             `json:"guild_id,omitempty"`
	Author          User            `json:"author"`
	Member          *Member         `json:"member,omitempty"`
	Content         string          `json:"content"`
	Timestamp       Time            `json:"timestamp"`
	EditedTimestamp *Time           `json:"edited_timestamp"`
	TTS             bool            `json:"tts"`
	MentionEveryone bool            `json:"mention_everyone"`
	Mentions        []User          `json:"mentions"`
	MentionRoles    []ID            `json:"mention_roles"`
	Attachments     []Nothing       `json:"attachments"`
	Embeds          []Nothing       `json:"embeds"`
	Pinned          bool            `json:"pinned"`
	Type            int             `json:"type"`
	Flags           int             `json:"flags"`
	Components      []Nothing       `json:"components"`
	Nonce           json.RawMessage `json:"nonce,omitempty"` // string or integer, as it was sent
}

// MessageDelete is the d of MESSAGE_DELETE.
type MessageDelete struct {
	ID        ID `json:"id"`
	ChannelID ID `json:"channel_id"`
	GuildID   ID `json:"guild_id"`
}

// TypingStart is the d of TYPING_START. Timestamp is in Unix seconds.
type TypingStart struct {
	ChannelID ID      `json:"channel_id"`
	GuildID   ID      `json:"guild_id"`
	UserID    ID      `json:"user_id"`
	Timestamp int64   `json:"timestamp"`
	Member    *Member `json:"member"`
}
