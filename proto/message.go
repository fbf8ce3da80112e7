package proto

import "encoding/json"

// Message types.
const (
	MessageDefault = 0
	MessagePinned  = 6 // the author pinned what message_reference names
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

	Reference  *MessageReference `json:"message_reference,omitempty"`
	Referenced Referenced        `json:"referenced_message,omitzero"` // of a reply; answers and events hold it, stores do not
	Reactions  []Reaction        `json:"reactions,omitempty"`         // REST only
}

// REST is m as REST shows it: guild and member are for events.
func (m Message) REST() Message {
	m.GuildID, m.Member = nil, nil
	return m
}

// Stored is m as stores keep it: without what is looked up when it is read.
func (m Message) Stored() Message {
	m = m.REST()
	m.Referenced, m.Reactions = Referenced{}, nil
	return m
}

// System tells messages that tell of something, and hold no text of their author's.
func (m Message) System() bool { return m.Type != MessageDefault && m.Type != MessageReply }

// A MessageReference of a reply names the message that it answers, one of MessagePinned what was pinned.
type MessageReference struct {
	Type      int `json:"type"` // always 0
	ChannelID ID  `json:"channel_id"`
	GuildID   ID  `json:"guild_id,omitzero"`
	MessageID ID  `json:"message_id"`
}

// Referenced is the message that a reply answers: absent (not Known) where it was not looked up, null where it is gone.
type Referenced struct {
	Known   bool
	Message *Message
}

// IsZero reports an absent key, for omitzero.
func (r Referenced) IsZero() bool { return !r.Known }

// MarshalJSON writes the message or null.
func (r Referenced) MarshalJSON() ([]byte, error) { return json.Marshal(r.Message) }

// UnmarshalJSON is called for present keys only, null included.
func (r *Referenced) UnmarshalJSON(b []byte) error {
	r.Known = true
	return json.Unmarshal(b, &r.Message)
}

// MessageDeleteBulk is the d of MESSAGE_DELETE_BULK.
type MessageDeleteBulk struct {
	IDs       []ID `json:"ids"`
	ChannelID ID   `json:"channel_id"`
	GuildID   ID   `json:"guild_id,omitzero"`
}

// MessageDelete is the d of MESSAGE_DELETE.
type MessageDelete struct {
	ID        ID `json:"id"`
	ChannelID ID `json:"channel_id"`
	GuildID   ID `json:"guild_id,omitzero"`
}

// TypingStart is the d of TYPING_START. Timestamp is in Unix seconds.
type TypingStart struct {
	ChannelID ID      `json:"channel_id"`
	GuildID   ID      `json:"guild_id,omitzero"`
	UserID    ID      `json:"user_id"`
	Timestamp int64   `json:"timestamp"`
	Member    *Member `json:"member,omitempty"`
}
