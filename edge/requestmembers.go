package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/starling-chat/starling/proto"
)

const (
	maxAsked  = 100  // user_ids of one op 8
	chunkSize = 1000 // members of one GUILD_MEMBERS_CHUNK
)

func (c *client) onRequestMembers(d json.RawMessage) {
	var r proto.RequestMembers
	if json.Unmarshal(d, &r) != nil {
		c.conn.Close(proto.CloseDecode)
		return
	}
	ids, err := idList(r.UserIDs)
	if err != nil {
		c.conn.Close(proto.CloseDecode)
		return
	}
	if len(ids) > maxAsked {
		ids = ids[:maxAsked]
	}
	c.loop.post(membersAsk{client: c, request: r, ids: ids})
}

// idList reads one id or a list of them, strings or numbers.
func idList(raw json.RawMessage) ([]proto.ID, error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil
	case raw[0] == '[':
		var ids []proto.ID
		err := json.Unmarshal(raw, &ids)
		return ids, err
	}
	var id proto.ID
	err := json.Unmarshal(raw, &id)
	return []proto.ID{id}, err
}

// membersAsk is op 8.
type membersAsk struct {
	client  *client
	request proto.RequestMembers
	ids     []proto.ID
}

func (m membersAsk) apply(l *loop) {
	s := m.client.session
	if s == nil {
		return
	}
	place := s.guilds[m.request.GuildID]
	if place == nil || place.class == nil {
		return // no member, or GUILD_CREATE has yet to come
	}
	g := place.guild
	if g.full {
		l.answerMembers(s, m, g.memberRows())
		return
	}
	l.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, loadTimeout)
		defer cancel()
		users := make([]uint64, 0, len(m.ids)+1)
		for _, id := range m.ids {
			users = append(users, uint64(id))
		}
		users = append(users, uint64(s.user))
		snap, err := l.cores.guild(ctx, g.id, users, allMembers)
		if err != nil {
			return // clients ask again
		}
		var d proto.Guild
		if json.Unmarshal(snap.Body, &d) == nil {
			l.post(membersAnswer{s, m, d.Members})
		}
	})
}

// membersAnswer brings the rows that a core gave.
type membersAnswer struct {
	session *session
	ask     membersAsk
	rows    []proto.Member
}

func (m membersAnswer) apply(l *loop) {
	if place := m.session.guilds[m.ask.request.GuildID]; place != nil && place.class != nil {
		l.answerMembers(m.session, m.ask, m.rows)
	}
}

// answerMembers picks what was asked for from rows and sends it in chunks.
func (l *loop) answerMembers(s *session, m membersAsk, rows []proto.Member) {
	r := m.request
	members, notFound := []proto.Member{}, []proto.ID{}
	if m.ids != nil {
		for _, id := range m.ids {
			i := slices.IndexFunc(rows, func(row proto.Member) bool { return row.User != nil && row.User.ID == id })
			if i < 0 {
				notFound = append(notFound, id)
			} else {
				members = append(members, rows[i])
			}
		}
	} else {
		for _, row := range rows {
			if row.User != nil && matches(row, r.Query) && (r.Limit <= 0 || len(members) < r.Limit) {
				members = append(members, row)
			}
		}
	}
	count := max(1, (len(members)+chunkSize-1)/chunkSize)
	for i := range count {
		chunk := proto.GuildMembersChunk{GuildID: r.GuildID, Members: members[min(i*chunkSize, len(members)):min((i+1)*chunkSize, len(members))],
			ChunkIndex: i, ChunkCount: count, NotFound: notFound, Nonce: r.Nonce}
		if r.Presences {
			chunk.Presences = []proto.Nothing{}
		}
		l.give(s, ownEvent(proto.EventGuildMembersChunk, chunk))
	}
}

// matches tells whether a member's name or nick begins with the query, whatever the case.
func matches(m proto.Member, query *string) bool {
	if query == nil || *query == "" {
		return true
	}
	q := strings.ToLower(*query)
	return strings.HasPrefix(strings.ToLower(m.User.Username), q) || m.Nick != nil && strings.HasPrefix(strings.ToLower(*m.Nick), q)
}
