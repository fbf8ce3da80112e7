package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Keys of presence, by user:
//
//	presence:{USER}        hash status, last_active (Unix ms): what the reports come to, for whoever looks into Redis. Absent while offline or
//	                       invisible. Lives core.PresenceTTL after the last report or refresh.
//	presence:{USER}:edges  hash edge → report (look.go): the truth that presence:{USER} is made of, and the session map. It lives twice as
//	                       long, so that Lapse finds what was told before.
//	presence:due:{SHARD}   sorted set of USER/EDGE by the Unix ms at which the report ends (due.go).
const edgesTTL = 2 * core.PresenceTTL

const pageUsers = 2500 // users asked for in one pipeline

// Presences implements core.Presences.
type Presences struct {
	client   goredis.UniversalClient
	turn     atomic.Uint32 // of the shards in Lapse
	doubtful doubts
}

func newPresences(c goredis.UniversalClient) *Presences { return &Presences{client: c} }

// reportScript writes or removes an edge's report and tells what all reports were before, or nothing if that changes nothing.
var reportScript = newScript(`
local edge, value = ARGV[1], ARGV[2]
local old = redis.call('HGETALL', KEYS[1])
local known, best, status, active = false, -1, '', 0
local function look(report)
  local rank, s, at = string.match(report, '^(%d+) (%a+) (%d+) ')
  rank, at = tonumber(rank), tonumber(at)
  if rank > best or rank == best and at > active then best, status, active = rank, s, at end
end
for i = 1, #old, 2 do
  if old[i] == edge then known = old[i + 1] else look(old[i + 1]) end
end
if value == '' then
  if not known then return {} end
  redis.call('HDEL', KEYS[1], edge)
else
  look(value)
  if known ~= value then redis.call('HSET', KEYS[1], edge, value) end
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if best <= 1 then
  redis.call('DEL', KEYS[2])
else
  redis.call('HSET', KEYS[2], 'status', status, 'last_active', string.format('%.0f', active))
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
if known == value then return {} end
return {old}
`)

func summaryKey(user proto.ID) string { return "presence:{" + user.String() + "}" }
func edgesKey(user proto.ID) string   { return "presence:{" + user.String() + "}:edges" }

// write is a report on its way.
type write struct {
	edge   string
	report core.PresenceReport
	value  string // "" = gone
	run    *run
}

// refresh is a report that is thought to be in Redis already.
type refresh struct {
	report core.PresenceReport
	known  *goredis.BoolCmd
}

// Report implements core.Presences. A refresh costs three commands and no script; those that Redis had lost are written in a second round.
func (p *Presences) Report(ctx context.Context, edge string, reports []core.PresenceReport, now time.Time) ([]core.PresenceChange, error) {
	pipe := p.client.Pipeline()
	dues := newDues(edge, now.Add(core.PresenceTTL))
	var writes []*write
	var refreshes []refresh
	for _, r := range reports {
		dues.add(r.User, !r.Gone)
		if r.Refresh && !r.Gone {
			key := edgesKey(r.User)
			known := pipe.HExists(ctx, key, edge)
			pipe.PExpire(ctx, key, edgesTTL)
			pipe.PExpire(ctx, summaryKey(r.User), core.PresenceTTL)
			refreshes = append(refreshes, refresh{r, known})
			continue
		}
		writes = append(writes, p.write(ctx, pipe, edge, r))
	}
	dues.in(ctx, pipe)
	changes, err := p.exec(ctx, pipe, writes)
	var lost []*write
	pipe = p.client.Pipeline()
	for _, f := range refreshes {
		if f.known.Err() == nil && !f.known.Val() {
			lost = append(lost, p.write(ctx, pipe, edge, f.report))
		}
	}
	if len(lost) == 0 {
		return changes, err
	}
	healed.Add(float64(len(lost)))
	more, again := p.exec(ctx, pipe, lost)
	return append(changes, more...), errors.Join(err, again)
}

func (p *Presences) write(ctx context.Context, pipe goredis.Pipeliner, edge string, r core.PresenceReport) *write {
	w := &write{edge: edge, report: r}
	if !r.Gone {
		w.value = encode(r.Presence)
	}
	w.run = reportScript.in(ctx, pipe, []string{edgesKey(r.User), summaryKey(r.User)},
		edge, w.value, edgesTTL.Milliseconds(), core.PresenceTTL.Milliseconds())
	return w
}

// exec sends writes, with what else is in the pipeline, and tells what changed. Changes are told of those that Redis answered even where it did
// not answer others.
func (p *Presences) exec(ctx context.Context, pipe goredis.Pipeliner, writes []*write) ([]core.PresenceChange, error) {
	err := exec(ctx, p.client, pipe, runsOf(writes))
	var changes []core.PresenceChange
	for _, w := range writes {
		if w.run.cmd.Err() != nil {
			p.doubtful.add(w.report.User)
			continue
		}
		c, changed, bad := w.change()
		if bad != nil {
			err = errors.Join(err, bad)
			continue
		}
		if p.doubtful.remove(w.report.User) {
			if !changed {
				c.After = p.merged(ctx, w.report.User)
			}
			c.Before, changed = doubt(c.After), true
		}
		if changed {
			changes = append(changes, c)
		}
	}
	if err != nil {
		return changes, fmt.Errorf("redis: presence: %w", err)
	}
	return changes, nil
}

func runsOf(writes []*write) []*run {
	runs := make([]*run, len(writes))
	for i, w := range writes {
		runs[i] = w.run
	}
	return runs
}

// change reads what the script told; false if nothing is different to others.
func (w *write) change() (c core.PresenceChange, changed bool, err error) {
	told, _ := w.run.cmd.Val().([]any)
	if len(told) == 0 {
		return c, false, nil
	}
	fields, _ := told[0].([]any)
	var before, after []core.PresenceReport
	for i := 0; i+1 < len(fields); i += 2 {
		edge, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		r, err := decode(w.report.User, value)
		if err != nil {
			return c, false, err
		}
		before = append(before, r)
		if edge != w.edge {
			after = append(after, r)
		}
	}
	if w.value != "" {
		r, err := decode(w.report.User, w.value)
		if err != nil {
			return c, false, err
		}
		after = append(after, r)
	}
	c.Before, c.After = core.MergePresence(w.report.User, before), core.MergePresence(w.report.User, after)
	return c, !c.Before.Same(c.After), nil
}

// Presences implements core.Presences.
func (p *Presences) Presences(ctx context.Context, users []proto.ID) ([]core.Presence, error) {
	var found []core.Presence
	for len(users) > 0 {
		n := min(len(users), pageUsers)
		page, err := p.page(ctx, users[:n])
		if err != nil {
			return nil, fmt.Errorf("redis: presences: %w", err)
		}
		found, users = append(found, page...), users[n:]
	}
	return found, nil
}

func (p *Presences) page(ctx context.Context, users []proto.ID) ([]core.Presence, error) {
	pipe := p.client.Pipeline()
	values := make([]*goredis.StringSliceCmd, len(users))
	for i, user := range users {
		values[i] = pipe.HVals(ctx, edgesKey(user))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var found []core.Presence
	for i, user := range users {
		reports := make([]core.PresenceReport, 0, 2)
		for _, value := range values[i].Val() {
			r, err := decode(user, value)
			if err != nil {
				return nil, err
			}
			reports = append(reports, r)
		}
		if m := core.MergePresence(user, reports); m.Status != "" {
			found = append(found, m)
		}
	}
	return found, nil
}

// Edges implements core.Presences.
func (p *Presences) Edges(ctx context.Context, user proto.ID, now time.Time) ([]string, error) {
	edges, err := p.client.HKeys(ctx, edgesKey(user)).Result()
	if err != nil || len(edges) == 0 {
		return nil, wrap("edges", err)
	}
	members := make([]string, len(edges))
	for i, edge := range edges {
		members[i] = dueMember(user, edge)
	}
	ends, err := p.client.ZMScore(ctx, dueKey(dueShard(user)), members...).Result()
	if err != nil {
		return nil, wrap("edges", err)
	}
	var live []string
	for i, edge := range edges {
		if int64(ends[i]) > now.UnixMilli() {
			live = append(live, edge)
		}
	}
	return live, nil
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("redis: %s: %w", what, err)
	}
	return nil
}
