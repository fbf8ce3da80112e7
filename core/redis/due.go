package redis

import (
	"context"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const (
	dueShards = 16
	dueLease  = 10 * time.Second // for a core to remove what it found due; then it is due again
)

func dueKey(shard int) string { return "presence:due:{" + strconv.Itoa(shard) + "}" }

func dueShard(user proto.ID) int { return int(uint64(user) * 0x9e3779b97f4a7c15 >> 60) }

func dueMember(user proto.ID, edge string) string { return user.String() + "/" + edge }

// dues are the ends of an edge's reports, on their way: one command per shard.
type dues struct {
	edge string
	ends float64
	live [dueShards][]goredis.Z
	gone [dueShards][]any
}

func newDues(edge string, ends time.Time) *dues {
	return &dues{edge: edge, ends: float64(ends.UnixMilli())}
}

func (d *dues) add(user proto.ID, live bool) {
	shard, member := dueShard(user), dueMember(user, d.edge)
	if live {
		d.live[shard] = append(d.live[shard], goredis.Z{Score: d.ends, Member: member})
	} else {
		d.gone[shard] = append(d.gone[shard], member)
	}
}

func (d *dues) in(ctx context.Context, p goredis.Pipeliner) {
	for shard := range dueShards {
		if len(d.gone[shard]) > 0 {
			p.ZRem(ctx, dueKey(shard), d.gone[shard]...)
		}
		if len(d.live[shard]) > 0 { // last: one who is gone and back is live
			p.ZAdd(ctx, dueKey(shard), d.live[shard]...)
		}
	}
}

// claimScript lists what is due and leases it.
var claimScript = newScript(`
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[3], member) end
return due
`)

// dropScript removes what is still leased: not what an edge reported again.
var dropScript = newScript(`
for i = 2, #ARGV do
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if ends and tonumber(ends) == tonumber(ARGV[1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return {}
`)

// Lapse implements core.Presences. A report that is refreshed between its claim and its removal is removed all the same, and is there again
// with the next refresh: it was late.
func (p *Presences) Lapse(ctx context.Context, now time.Time, limit int) ([]core.PresenceChange, error) {
	if limit <= 0 {
		return nil, nil
	}
	lease := now.Add(dueLease).UnixMilli()
	pipe := p.client.Pipeline()
	shards := min(dueShards, limit)
	first := int(p.turn.Add(uint32(shards)))
	claims := make([]*run, shards)
	for i := range claims {
		claims[i] = claimScript.in(ctx, pipe, []string{dueKey((first + i) % dueShards)}, now.UnixMilli(), limit/shards, lease)
	}
	err := exec(ctx, p.client, pipe, claims)
	var writes []*write
	pipe = p.client.Pipeline()
	for _, c := range claims {
		members, _ := c.cmd.Val().([]any)
		for _, member := range members {
			text, _ := member.(string)
			id, edge, _ := strings.Cut(text, "/")
			if user, err := proto.ParseID(id); err == nil {
				writes = append(writes, p.write(ctx, pipe, edge, core.PresenceReport{Presence: core.Presence{User: user}, Gone: true}))
			}
		}
	}
	if len(writes) == 0 {
		return nil, wrap("presence: lapse", err)
	}
	changes, err := p.exec(ctx, pipe, writes)
	pipe = p.client.Pipeline()
	var drops []*run
	for shard, members := range done(writes) {
		drops = append(drops, dropScript.in(ctx, pipe, []string{dueKey(shard)}, append([]any{lease}, members...)...))
	}
	if len(drops) == 0 {
		return changes, err
	}
	if again := exec(ctx, p.client, pipe, drops); err == nil { // if not dropped, it is due again
		err = wrap("presence: lapse", again)
	}
	return changes, err
}

// done lists the members of reports that are removed, by shard.
func done(writes []*write) map[int][]any {
	done := make(map[int][]any)
	for _, w := range writes {
		if w.run.cmd.Err() == nil {
			shard := dueShard(w.report.User)
			done[shard] = append(done[shard], dueMember(w.report.User, w.edge))
		}
	}
	return done
}
