package core

import (
	"context"
	"errors"
	"time"

	"github.com/starling-chat/starling/proto"
)

// What this file names no log holds: it is of the moment, shared by the cores of a region, and may be lost whole at any time. Whoever asks
// has an answer ready for an error: presence is offline, limits count per process, rights are asked of the owner.

// Times of presence.
const (
	PresenceTTL   = 60 * time.Second // of what an edge reported last
	PresenceDelay = 5 * time.Second  // between the end of a user's last session and "offline", so that a reconnect does not flap
)

// A Presence is how a user looks to others: of several sessions, merged. The zero value is offline.
type Presence struct {
	User       proto.ID
	Status     proto.Status // online, idle, dnd; never invisible, which is offline to all others; "" = offline
	LastActive time.Time
	Activities []byte                  // JSON list, at most MaxActivities bytes; of the session that decides the status
	Devices    map[string]proto.Status // Discord's client_status: desktop, mobile, web → status
}

// MaxActivities bounds the JSON of a user's activities.
const MaxActivities = 4 << 10

// A PresenceReport says how a user looks through the sessions of one edge.
type PresenceReport struct {
	Presence      // what the edge merged of its own sessions; Status invisible is allowed here
	Gone     bool // the edge has no session of the user any more
	Refresh  bool // nothing has changed since the edge's last report: it only keeps it alive
}

// A PresenceChange is a merged presence that is not what it was.
type PresenceChange struct {
	Before, After Presence
}

// Presences keeps presence: what each edge reported of a user, and what they come to. Any goroutine may call it.
type Presences interface {
	// Report takes a batch of one edge, in one round trip per shard of the store however many users it has, and tells what
	// changed, beside an error too: part of the batch may have been taken. A report is forgotten, by Lapse, PresenceTTL after it was last
	// repeated. A refresh of one that is not known, or no longer, counts as a report: it has to be complete. A batch that ended in an
	// error is to be repeated. The caller does not change a report's slices and maps any more.
	Report(ctx context.Context, edge string, reports []PresenceReport, now time.Time) ([]PresenceChange, error)
	// Presences of users, those offline left out: what the changes told so far come to.
	Presences(ctx context.Context, users []proto.ID) ([]Presence, error)
	// Lapse removes reports that were not repeated in time (their edge is gone), at most limit users in one call, and tells what
	// changed. Two cores that call it at once are told each change once.
	Lapse(ctx context.Context, now time.Time, limit int) ([]PresenceChange, error)
	// Edges tells which edges hold sessions of a user, invisible ones included: the session map.
	Edges(ctx context.Context, user proto.ID, now time.Time) ([]string, error)
}

// ErrStale is of a compare-and-set that somebody else won.
var ErrStale = errors.New("stale")

// A Registration is where a session is: what resume.md calls its registry record.
type Registration struct {
	N    uint64 // rises with each move
	Body []byte
}

// A Registry keeps registrations by session id for a while after they were last written. Any goroutine may call it.
type Registry interface {
	// Registration of a session; ErrNotFound.
	Registration(ctx context.Context, session string) (Registration, error)
	// Register writes r if the record is of generation n (0: there is none); ErrStale.
	Register(ctx context.Context, session string, n uint64, r Registration, ttl time.Duration) error
	// Forget removes the record if it is of generation n; ErrStale.
	Forget(ctx context.Context, session string, n uint64) error
}

// A Limit allows Burst requests at once and Burst per Per in the long run.
type Limit struct {
	Burst int
	Per   time.Duration
}

// A Verdict on one request.
type Verdict struct {
	Allowed    bool
	Remaining  int           // requests that would be allowed now
	ResetAfter time.Duration // until Remaining is Burst again
	RetryAfter time.Duration // until one is allowed, if this one is not
}

// A Limiter counts requests by key (GCRA). Any goroutine may call it.
type Limiter interface {
	// Take counts one request if it is allowed. An error means that nobody knows.
	Take(ctx context.Context, key string, l Limit) (Verdict, error)
	// Peek tells what Take would allow, and counts nothing: Remaining and ResetAfter are those of now.
	Peek(ctx context.Context, key string, l Limit) (Verdict, error)
}

// CacheLate bounds both how long after its position was read something may be kept, and for how long it may be: caches forget what they were
// told of a group.
const CacheLate = time.Minute

// A Cache keeps bytes under keys whose owner tells when they are void: the permission cache. What it holds reflects a position of a bucket's log,
// and a position that it was told of later makes it void. Any goroutine may call it.
type Cache interface {
	// Cached bytes of a group by keys, nil where there are none, or they are older than what Void was told of the group. Nobody may change
	// them.
	Cached(ctx context.Context, group string, keys ...string) ([][]byte, error)
	// Keep stores bytes that reflect a position of their group: they are never given out once the group is known to have moved on.
	Keep(ctx context.Context, group, key string, epoch, counter uint64, body []byte, ttl time.Duration) error
	// Void tells that a group changes, or has changed, at a position: all that reflects an earlier one is void.
	Void(ctx context.Context, group string, epoch, counter uint64) error
}
