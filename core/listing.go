package core

import (
	"context"

	"github.com/starling-chat/starling/proto"
)

// Listing is the part of a Directory that operators read. It gives no hashes. Without a name a page costs what it answers; with one it may
// cost a pass over all rows.
type Listing interface {
	// Accounts in order of ids, without hashes.
	Accounts(ctx context.Context, q AccountQuery) ([]Account, error)
	// Guilds in order of ids, each with MemberCount, without Roles, Channels and Members.
	Guilds(ctx context.Context, q GuildQuery) ([]proto.Guild, error)
	// LoginsOf lists the logins of a person that are not revoked, in order of ids, without hashes. Expired ones may be among them.
	LoginsOf(ctx context.Context, user proto.ID) ([]Login, error)
}

// An AccountQuery says which page of accounts is asked for.
type AccountQuery struct {
	Bots  bool     // those, else people
	Name  string   // that the username begins with, without regard to the case of a-z; "" = any
	After proto.ID // of the page before
	Limit int
}

// A GuildQuery says which page of guilds is asked for.
type GuildQuery struct {
	Name  string // that the name begins with, without regard to the case of a-z; "" = any
	After proto.ID
	Limit int
}
