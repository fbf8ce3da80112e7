package core

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Errors of the stores that callers test for.
var (
	ErrNotFound = errors.New("not found")
	ErrTaken    = errors.New("taken") // a username that somebody has
)

// A Checkpoint says how far a store has applied a bucket's log.
type Checkpoint struct {
	Bucket      int
	Sequence    uint64 // of the stream; 0 = nothing yet
	Counter     uint64
	Epoch       uint64
	LastID      proto.ID
	Incarnation uint64 // of the log in which Sequence counts; 0 = not known
}

// Covers tells whether the checkpoint is at or above the entry. Epoch and counter decide: within a bucket they rise for ever, while
// sequences start over when the stream was made anew.
func (c Checkpoint) Covers(a Applied) bool {
	return cmp.Or(cmp.Compare(a.Entry.Epoch, c.Epoch), cmp.Compare(a.Entry.Counter, c.Counter)) <= 0
}

// Reach is the checkpoint once a is applied; one that covers a already stays.
func (c Checkpoint) Reach(a Applied) Checkpoint {
	if c.Covers(a) {
		return c
	}
	return Checkpoint{Bucket: a.Bucket, Sequence: a.Sequence, Counter: a.Entry.Counter, Epoch: a.Entry.Epoch,
		LastID: max(c.LastID, proto.ID(a.Entry.LastId)), Incarnation: a.Entry.Incarnation}
}

// Structural tells whether a Directory has to apply events of a type; the others are of messages, what is done with them, and typing. A type
// that this version does not know counts as structural: passing it over in silence would lose what it changes.
func Structural(eventType string) bool {
	switch eventType {
	case proto.EventTypingStart, proto.EventChannelPinsUpdate, proto.EventInternalReactions, proto.EventInternalPins:
		return false
	}
	return !strings.HasPrefix(eventType, "MESSAGE_")
}

// An Applied entry is one that the log has accepted, with its sequence.
type Applied struct {
	Bucket   int
	Sequence uint64
	Entry    *pb.Entry
}

// A Directory keeps guilds, channels, roles, members, users, bots, invites and logins. Structure changes only by Apply, in log order per
// bucket; logins and username reservations are its own. Any goroutine may call it.
type Directory interface {
	// Apply writes what the entries of one bucket change, with the checkpoint, in one transaction. Entries at or below the
	// checkpoint change nothing. Entries without structure changes need not be passed; the checkpoint then lags, harmlessly.
	Apply(ctx context.Context, entries []Applied) error
	// Checkpoint of a bucket; zero if it was never written.
	Checkpoint(ctx context.Context, bucket int) (Checkpoint, error)
	// Checkpoints of all buckets that have one.
	Checkpoints(ctx context.Context) ([]Checkpoint, error)
	// NoteHistory keeps what the History's checkpoints were a moment ago, for owners that start while the History is away. The note of a
	// bucket never goes back; at names no bucket twice.
	NoteHistory(ctx context.Context, at []Checkpoint) error
	// HistoryNote of a bucket; zero if there is none.
	HistoryNote(ctx context.Context, bucket int) (Checkpoint, error)

	// Outbox lists effects that entries of the bucket have on other buckets and that are not yet done: oldest first, and behind them those
	// on the members of guilds that are deleted. Done removes some.
	Outbox(ctx context.Context, bucket, limit int) ([]Effect, error)
	Done(ctx context.Context, effects ...Effect) error
	// Sweep does a part of what deletions in the bucket left for later, where they concern many rows; no reader sees that it is not done.
	// It tells whether there is more that can be done now.
	Sweep(ctx context.Context, bucket int) (more bool, err error)

	// Guild with Roles, Channels (LastMessageID unset) and MemberCount, without Members; ErrNotFound.
	Guild(ctx context.Context, id proto.ID) (proto.Guild, error)
	// Member of a guild, User included; ErrNotFound.
	Member(ctx context.Context, guild, user proto.ID) (proto.Member, error)
	// Members after a user id, in order of user ids.
	Members(ctx context.Context, guild, after proto.ID, limit int) ([]proto.Member, error)
	// GuildsOf lists the guilds of a user by the user's own bucket, in order of ids.
	GuildsOf(ctx context.Context, user proto.ID) ([]proto.ID, error)
	// ChannelGuild tells the guild of a channel, 0 for a direct channel; ErrNotFound.
	ChannelGuild(ctx context.Context, channel proto.ID) (proto.ID, error)
	// Invite by code; ErrNotFound, also when it ran out (age or uses).
	Invite(ctx context.Context, code string, now time.Time) (proto.Invite, error)
	// Invites of a guild, those that ran out included.
	Invites(ctx context.Context, guild proto.ID) ([]proto.Invite, error)

	// User by id; ErrNotFound.
	User(ctx context.Context, id proto.ID) (proto.User, error)
	// Account by id, or by username of a person without regard to case; ErrNotFound.
	Account(ctx context.Context, id proto.ID) (Account, error)
	AccountByName(ctx context.Context, username string) (Account, error)
	// BotsOf lists the bots that a person made.
	BotsOf(ctx context.Context, owner proto.ID) ([]proto.User, error)
	// Reserve takes a person's username for a command before the event that makes it theirs; the same command may take it again;
	// ErrTaken. A password hash, if given, is kept with the reservation, durably, until the user that the command gives birth to has
	// it: the log never holds it. After 1 minute a reservation falls to whoever asks next, unless it is held.
	Reserve(ctx context.Context, username string, command []byte, passwordHash string, now time.Time) error
	// Hold makes a reservation last for as long as a log can hold the event of its command, durably. ErrTaken: it is not, or no longer,
	// the command's. It tells whether a password hash lies with it.
	Hold(ctx context.Context, username string, command []byte, now time.Time) (password bool, err error)

	Moderation
	Directs
	Logins
	Listing
	Close() error
}

// Logins keeps what refresh tokens stand for.
type Logins interface {
	// AddLogin stores a login. RefreshHash is SHA-256 of the refresh token.
	AddLogin(ctx context.Context, l Login) error
	// RotateLogin replaces a refresh hash by another, once: ErrNotFound if the old one is unknown, expired or revoked.
	RotateLogin(ctx context.Context, oldHash, newHash []byte, now, expires time.Time) (Login, error)
	// RevokeLogin ends the login of a refresh hash and tells which it was; ErrNotFound.
	RevokeLogin(ctx context.Context, hash []byte) (Login, error)
	// LoginAlive tells whether a login exists and is not revoked.
	LoginAlive(ctx context.Context, id proto.ID) (bool, error)
}

// A Login is one person's session of authentication; its ID is the "sid" of the JWTs that it refreshes.
type Login struct {
	ID          proto.ID
	User        proto.ID
	RefreshHash []byte
	Expires     time.Time
}

// An Effect is a command that an entry owes to another bucket. ID is derived from the entry, so that a repeat changes nothing.
type Effect struct {
	Bucket   int // whose entry owes it
	Sequence uint64
	Index    int
	Command  *pb.Command // for Command.Bucket
	Swept    bool        // it tells a member of a deleted guild
}

// A History keeps messages in channel order. Any goroutine may call it.
type History interface {
	// Apply writes the MESSAGE_* events of entries of one bucket and the bucket's checkpoint together. Every write is versioned by
	// (epoch, counter, index in the entry): a late or replayed write loses against a newer one.
	Apply(ctx context.Context, entries []Applied) error
	Checkpoint(ctx context.Context, bucket int) (Checkpoint, error)
	Checkpoints(ctx context.Context) ([]Checkpoint, error)
	// Message by id; ErrNotFound.
	Message(ctx context.Context, channel, id proto.ID) (proto.Message, error)
	// Before lists up to n messages with ids below before (0 = the newest), newest first.
	Before(ctx context.Context, channel, before proto.ID, n int) ([]proto.Message, error)
	// After lists up to n messages with ids above after, oldest first.
	After(ctx context.Context, channel, after proto.ID, n int) ([]proto.Message, error)
	// LastID is the id of the newest message ever sent in the channel, deleted or not; 0 if none.
	LastID(ctx context.Context, channel proto.ID) (proto.ID, error)
	Posts
	Close() error
}
