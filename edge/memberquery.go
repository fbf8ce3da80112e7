package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxQueries  = 8                      // of one session under way
	queryRoom   = 1 << 20                // bytes that may wait for the client before the next page is fetched
	queryPause  = 50 * time.Millisecond  // between looks at what waits
	queryWait   = 30 * time.Second       // for room; a client that takes so long asks again
	queryKept   = 4                      // chunks of an answer that is kept for RESUME; a longer one would push everything else out
	wholePeriod = 30 * time.Second       // between two requests for all members of a guild, of one user
	wholeMin    = 100                    // more members than this need the intent
	queryRetry  = 250 * time.Millisecond // told to whoever has too many under way
)

// A query is an op 8 that the cores answer, because the edge does not hold all members of the guild. It goes page by page, no faster than the
// client takes them. Owned by the loop.
type query struct {
	session *session
	guild   *guild
	ask     membersAsk

	after proto.ID
	left  int            // members still wanted; 0 = no limit
	held  []proto.Member // the page before the one that is being fetched: the last chunk has to say that it is
	begun bool           // held is one
	index int            // of the next chunk

	looks map[proto.ID]proto.Presence // of those in held and in the page that came, where they were asked for

	// since the page under way was asked for: rows that events brought, nil for those who left
	changed map[proto.ID]*proto.Member
}

// query asks the cores, unless the session asks too much.
func (l *loop) query(s *session, g *guild, m membersAsk) {
	if retry := l.queryLimit(s, g, m); retry > 0 {
		limited.WithLabelValues("members").Inc()
		l.give(s, ownEvent(proto.EventRateLimited, proto.RateLimited{Opcode: proto.OpRequestMembers,
			RetryAfter: float64(retry.Milliseconds()) / 1000, Meta: proto.RateLimitedMeta{GuildID: g.id, Nonce: m.request.Nonce}}))
		return
	}
	q := &query{session: s, guild: g, ask: m, left: m.request.Limit}
	s.queries++
	if g.queries == nil {
		g.queries = map[*query]struct{}{}
	}
	g.queries[q] = struct{}{}
	l.page(q)
}

func (l *loop) queryLimit(s *session, g *guild, m membersAsk) time.Duration {
	if s.queries >= maxQueries {
		return queryRetry
	}
	if !m.whole() {
		return 0
	}
	u, now := l.user(s.user), l.now()
	for id, at := range u.asked {
		if now.Sub(at) >= wholePeriod {
			delete(u.asked, id)
		}
	}
	if at, ok := u.asked[g.id]; ok {
		return wholePeriod - now.Sub(at)
	}
	if u.asked == nil {
		u.asked = map[proto.ID]time.Time{}
	}
	u.asked[g.id] = now
	return 0
}

func (l *loop) endQuery(q *query) {
	q.session.queries--
	delete(q.guild.queries, q)
}

// page fetches the next rows once the client has room for them.
func (l *loop) page(q *query) {
	c, s, g := q.session.client, q.session, q.guild
	if c == nil || s.dropped {
		l.endQuery(q)
		return
	}
	q.changed = map[proto.ID]*proto.Member{}
	call := &pb.GuildCall{Guild: uint64(g.id), Query: &pb.MemberQuery{After: uint64(q.after), Limit: chunkSize, Since: g.rowsChanged}}
	for _, id := range q.ask.ids {
		call.Members = append(call.Members, uint64(id))
	}
	if p := q.ask.request.Query; p != nil {
		call.Query.Prefix = *p
	}
	if q.left > 0 && call.Query.Prefix != "" {
		call.Query.Limit = uint32(min(q.left, chunkSize))
	}
	look := q.ask.request.Presences && s.seesPresence()
	l.task(func(ctx context.Context) {
		m := memberPage{query: q}
		if m.err = awaitRoom(ctx, c.conn); m.err == nil {
			ctx, cancel := context.WithTimeout(ctx, loadTimeout)
			m.rows, m.err = l.cores.members(ctx, call)
			cancel()
		}
		if m.err == nil && look {
			m.looks, _ = l.cores.presencesSoon(ctx, idsOf(m.rows)) // who is not named looks offline; changes are told as they come
		}
		l.post(m)
	})
}

func awaitRoom(ctx context.Context, conn transport.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, queryWait)
	defer cancel()
	for conn.Waiting() > queryRoom {
		if !wait(ctx, queryPause) {
			return ctx.Err()
		}
	}
	return nil
}

// members asks for rows of members without a snapshot.
func (c *cores) members(ctx context.Context, call *pb.GuildCall) ([]proto.Member, error) {
	ans := new(pb.GuildAnswer)
	err := c.ask(ctx, "guild", call, ans, func() error {
		switch {
		case ans.Status == 404:
			return errNoGuild
		case ans.Status != 200 || ans.Guild == nil:
			return fmt.Errorf("status %d", ans.Status)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("guild %d: members: %w", call.Guild, err)
	}
	var g proto.Guild
	if err := json.Unmarshal(ans.Guild.Body, &g); err != nil {
		return nil, fmt.Errorf("guild %d: members: %w", call.Guild, err)
	}
	return slices.DeleteFunc(g.Members, func(m proto.Member) bool { return m.User == nil }), nil
}

// memberPage brings rows.
type memberPage struct {
	query *query
	rows  []proto.Member
	looks []proto.Presence
	err   error
}

func (m memberPage) apply(l *loop) {
	q := m.query
	s, g := q.session, q.guild
	place := s.guilds[g.id]
	if m.err != nil || s.dropped || l.guilds[g.id] != g || place == nil || place.class == nil {
		if m.err != nil && !errors.Is(m.err, errNoGuild) && !s.dropped {
			l.log.Warn("members not fetched", "guild", g.id, "err", m.err)
		}
		l.endQuery(q) // clients ask again
		return
	}
	more := len(m.rows) == chunkSize && len(q.ask.ids) == 0 && (q.ask.request.Query == nil || *q.ask.request.Query == "")
	if len(m.rows) > 0 {
		q.after = m.rows[len(m.rows)-1].User.ID
	}
	for _, p := range m.looks {
		if q.looks == nil {
			q.looks = map[proto.ID]proto.Presence{}
		}
		q.looks[p.User.ID] = p
	}
	rows := q.fresh(m.rows)
	if q.left > 0 {
		rows = rows[:min(len(rows), q.left)]
		q.left -= len(rows)
		more = more && q.left > 0
	}
	if q.begun && (len(rows) > 0 || more) {
		l.chunk(q, q.held, false)
		q.held = nil
	}
	q.held, q.begun = append(q.held, rows...), true
	if more {
		l.page(q)
		return
	}
	l.chunk(q, q.held, true)
	l.endQuery(q)
}

// fresh brings rows up to what the log has told meanwhile.
func (q *query) fresh(rows []proto.Member) []proto.Member {
	out := make([]proto.Member, 0, len(rows))
	for _, row := range rows {
		if now, ok := q.changed[row.User.ID]; ok {
			if now == nil {
				continue
			}
			row = *now
		}
		row.Roles = slices.DeleteFunc(slices.Clone(row.Roles), func(r proto.ID) bool { _, ok := q.guild.roles[r]; return !ok })
		if row.Roles == nil {
			row.Roles = []proto.ID{}
		}
		out = append(out, row)
	}
	return out
}

// chunk sends one page. Its count is what the guild's size makes likely; the last chunk always says that it is.
func (l *loop) chunk(q *query, rows []proto.Member, last bool) {
	likely := 1
	if q.ask.whole() {
		likely = chunksOf(q.guild.memberCount)
	}
	count := max(likely, q.index+2)
	if last {
		count = q.index + 1
	}
	d := q.ask.answer(rows)
	d.ChunkIndex, d.ChunkCount = q.index, count
	q.index++
	if q.ask.request.Presences {
		d.Presences = []proto.Presence{}
	}
	for _, row := range rows {
		if p, ok := q.looks[row.User.ID]; ok {
			d.Presences = append(d.Presences, p)
			delete(q.looks, row.User.ID)
		}
	}
	ev := ownEvent(proto.EventGuildMembersChunk, d)
	ev.fleeting = likely > queryKept
	l.give(q.session, ev)
}

func idsOf(rows []proto.Member) []uint64 {
	ids := make([]uint64, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, uint64(row.User.ID))
	}
	return ids
}

func chunksOf(members int) int { return max(1, (members+chunkSize-1)/chunkSize) }

// noteRow keeps what an event says of a member for those whose rows are on their way; row is nil if the user left.
func (g *guild) noteRow(seq uint64, user proto.ID, row *proto.Member) {
	g.rowsChanged = seq
	for q := range g.queries {
		q.changed[user] = row
	}
}
