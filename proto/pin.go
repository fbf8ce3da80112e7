package proto

// MaxPins is how many messages of a channel may be pinned.
const MaxPins = 250

// ErrMaxPins tells that a channel is full of pins.
var ErrMaxPins = &Error{Status: 400, Code: 30003, Message: "Maximum number of pins reached for the channel (250)"}

// ChannelPinsUpdate is the d of CHANNEL_PINS_UPDATE. LastPinTimestamp is null where nothing is pinned any more.
type ChannelPinsUpdate struct {
	GuildID          ID    `json:"guild_id,omitzero"`
	ChannelID        ID    `json:"channel_id"`
	LastPinTimestamp *Time `json:"last_pin_timestamp"`
}

// PinnedMessages is a page of GET /channels/{id}/messages/pins.
type PinnedMessages struct {
	Items   []PinnedMessage `json:"items"`
	HasMore bool            `json:"has_more"`
}

// A PinnedMessage with the time at which it was pinned.
type PinnedMessage struct {
	PinnedAt Time    `json:"pinned_at"`
	Message  Message `json:"message"`
}
