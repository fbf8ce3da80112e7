package core

import (
	"context"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/starling-chat/starling/proto"
)

// Kinds of commands about users' profiles, relationships and direct channels. A direct channel is born in the bucket of its pair.
const (
	KindUserEdit   = "user.edit"   // actor's bucket; body UserEdit → 200 proto.SelfUser
	KindMemberUser = "member.user" // mesh only; guild, target; body proto.User: a member has another name or picture → 204

	KindRelationPut  = "relation.put"  // actor's bucket, target another user; body RelationPut → 204
	KindRelationDrop = "relation.drop" // actor's bucket, target another user → 204

	KindDirectOpen   = "direct.open"   // PairBucket(actor, target) → 200 proto.DirectChannel
	KindDirectClose  = "direct.close"  // channel → 200 proto.DirectChannel
	KindDirectOpened = "direct.opened" // mesh only; target user's bucket, channel; body DirectLink → 204
	KindDirectClosed = "direct.closed" // mesh only; target user's bucket, channel; body DirectLink → 204

	KindSnapshotDirect = "snapshot.direct" // channel, target user; body SnapshotDirect → pb.DirectSnapshot
)

// A UserEdit is the body of PATCH /users/@me; absent keys change nothing. Pictures are hashes.
type UserEdit struct {
	Username    *string          `json:"username,omitempty"`
	GlobalName  Optional[string] `json:"global_name,omitzero"`
	Avatar      Optional[string] `json:"avatar,omitzero"`
	Banner      Optional[string] `json:"banner,omitzero"`
	AccentColor Optional[int]    `json:"accent_color,omitzero"`
}

// RelationPut is the body of PUT /users/@me/relationships/{user}.
type RelationPut struct {
	Type int `json:"type"` // proto.RelationshipBlocked
}

// A DirectLink tells a user's home bucket that a channel came into the user's list, or went. Sequence is that of the entry in the channel's
// bucket. Since is the id of the opening, which messages of the time after it are above, or of the closing.
type DirectLink struct {
	Sequence uint64   `json:"sequence"`
	Since    proto.ID `json:"since,omitzero"`
}

// SnapshotDirect asks for the messages above an id too; 0 for none.
type SnapshotDirect struct {
	Since proto.ID `json:"since,omitzero"`
}

// A Direct is a channel of two users, the lower id first, and in whose list it is.
type Direct struct {
	ID    proto.ID
	Users [2]proto.User
	Open  [2]bool
}

// For is the channel as a user sees it; false if it is none of the user's.
func (d Direct) For(user proto.ID) (ch proto.DirectChannel, open, ok bool) {
	for i, u := range d.Users {
		if u.ID == user {
			ch = proto.DirectChannel{ID: d.ID, Type: proto.ChannelDM, Recipients: []proto.User{d.Users[1-i]}}
			return ch, d.Open[i], true
		}
	}
	return ch, false, false
}

// A ListedDirect is a direct channel in a user's list, and the id of the opening that brought it there; 0: unknown.
type ListedDirect struct{ Channel, Since proto.ID }

// Directs is the part of a Directory about direct channels and relationships. Any goroutine may call it.
type Directs interface {
	// Direct channel by id, or of two users in any order; ErrNotFound.
	Direct(ctx context.Context, channel proto.ID) (Direct, error)
	DirectOf(ctx context.Context, a, b proto.ID) (Direct, error)
	// DirectsOf lists the channels that a user has open, in order of ids.
	DirectsOf(ctx context.Context, user proto.ID) ([]Direct, error)
	// ListedDirects are the channels in a user's list as far as the user's home bucket was told, in order of ids.
	ListedDirects(ctx context.Context, user proto.ID) ([]ListedDirect, error)
	// Relationships of a user, in order of the others' ids.
	Relationships(ctx context.Context, user proto.ID) ([]proto.Relationship, error)
	// Blocked tells whether either of two users has blocked the other.
	Blocked(ctx context.Context, a, b proto.ID) (bool, error)
	// ShareGuild tells whether there is a guild that both are members of. The bucket of one of them has to know of the guild: who joins
	// may be told of at once, where the other has been there for a moment.
	ShareGuild(ctx context.Context, a, b proto.ID) (bool, error)
}

// PairBucket is the bucket of the direct channel of two users: the same whoever asks first, so that they cannot make two.
func PairBucket(a, b proto.ID) int {
	var pair [16]byte
	binary.BigEndian.PutUint64(pair[:8], uint64(min(a, b)))
	binary.BigEndian.PutUint64(pair[8:], uint64(max(a, b)))
	return int(xxhash.Sum64(pair[:]) % proto.Buckets)
}

// ProfilePrint tells two states of a user's profile apart.
func ProfilePrint(u proto.User) uint64 {
	h := xxhash.New()
	for _, s := range []*string{&u.Username, u.GlobalName, u.Avatar, u.Banner} {
		if s != nil {
			h.WriteString(*s)
		}
		h.Write([]byte{0})
	}
	if u.AccentColor != nil {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(*u.AccentColor)))
	}
	return h.Sum64()
}
