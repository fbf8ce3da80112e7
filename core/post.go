package core

import (
	"context"

	"github.com/starling-chat/starling/proto"
)

// Kinds of commands about what is done with messages, as in command.go.
const (
	KindMessageBulkDelete   = "message.bulk_delete"   // guild, channel; body BulkDelete → 204
	KindPin                 = "message.pin"           // guild, channel, target message → 204
	KindUnpin               = "message.unpin"         // guild, channel, target message → 204
	KindReactionAdd         = "reaction.add"          // guild, channel, target message; body ReactionRef → 204
	KindReactionRemove      = "reaction.remove"       // guild, channel, target message; body ReactionRef → 204
	KindReactionRemoveAll   = "reaction.remove_all"   // guild, channel, target message → 204
	KindReactionRemoveEmoji = "reaction.remove_emoji" // guild, channel, target message; body ReactionRef → 204
)

// MessageReference of a new message makes it a reply. ChannelID and GuildID, if given, must be those of the channel.
type MessageReference struct {
	Type            int       `json:"type,omitempty"` // 0; 1 would be a forward
	MessageID       *proto.ID `json:"message_id,omitempty"`
	ChannelID       *proto.ID `json:"channel_id,omitempty"`
	GuildID         *proto.ID `json:"guild_id,omitempty"`
	FailIfNotExists *bool     `json:"fail_if_not_exists,omitempty"` // false: sent as an ordinary message; default true
}

// AllowedMentions bounds whom a message mentions (Discord: Allowed Mentions). Absent, everybody that the text names.
type AllowedMentions struct {
	Parse       []string   `json:"parse"` // of "users", "roles", "everyone"
	Users       []proto.ID `json:"users"`
	Roles       []proto.ID `json:"roles"`
	RepliedUser bool       `json:"replied_user"`
}

// BulkDelete is the body of POST /channels/{id}/messages/bulk-delete.
type BulkDelete struct {
	Messages []proto.ID `json:"messages"`
}

// ReactionRef names an emoji of a message, and, to remove, whose reaction; 0 = the actor's own.
type ReactionRef struct {
	Emoji string   `json:"emoji"`
	User  proto.ID `json:"user,omitempty"`
}

// A Tally is how often an emoji stands under a message. Round is an id that the emoji got when it came there: who reacted is kept under it,
// so that an emoji that comes again after it was removed begins with nobody, whatever a replay does.
type Tally struct {
	Round proto.ID `json:"round"`
	Emoji string   `json:"emoji"`
	Count int      `json:"count"`
}

// A Reactor is a user in a round.
type Reactor struct {
	Round proto.ID `json:"round"`
	User  proto.ID `json:"user"`
}

// A ReactionChange is the body of _REACTIONS: all tallies of a message after it, and what else changed. Added and Removed name no round twice.
type ReactionChange struct {
	ChannelID proto.ID   `json:"channel_id"`
	MessageID proto.ID   `json:"message_id"`
	Tallies   []Tally    `json:"tallies"` // in the order in which the emojis came
	Added     []Reactor  `json:"added,omitempty"`
	Removed   []Reactor  `json:"removed,omitempty"`
	Ended     []proto.ID `json:"ended,omitempty"` // rounds, with all who are in them; none of them is ever named again
}

// A Pin of a message.
type Pin struct {
	MessageID proto.ID   `json:"message_id"`
	PinnedAt  proto.Time `json:"pinned_at"`
}

// A PinChange is the body of _PINS: all pins of a channel after it, newest first.
type PinChange struct {
	ChannelID proto.ID `json:"channel_id"`
	Pins      []Pin    `json:"pins"`
}

// Posts is the part of a History that keeps reactions and pins, which Apply writes from _REACTIONS and _PINS. A deleted channel takes all of
// its own along.
type Posts interface {
	// Reactions gives the tallies of those of the messages that have any.
	Reactions(ctx context.Context, channel proto.ID, messages []proto.ID) (map[proto.ID][]Tally, error)
	// Reacted tells which of the rounds a user is in.
	Reacted(ctx context.Context, channel proto.ID, rounds []proto.ID, user proto.ID) (map[proto.ID]bool, error)
	// Reactors lists up to n users of a round with ids above after, in order of ids.
	Reactors(ctx context.Context, channel, round, after proto.ID, n int) ([]proto.ID, error)
	// Pins of a channel, newest first.
	Pins(ctx context.Context, channel proto.ID) ([]Pin, error)
}
