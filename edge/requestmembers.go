package edge

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/starling-chat/starling/proto"
)

const (
	maxAsked  = 100  // user_ids of one op 8
	chunkSize = 1000 // members of one GUILD_MEMBERS_CHUNK
	maxNonce  = 32   // bytes
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
	if len(ids) == 0 && r.Query != nil {
		ids = nil
	}
	if r.Nonce != nil && len(*r.Nonce) > maxNonce {
		r.Nonce = nil // as Discord: the answer has none
	}
	r.Limit = max(r.Limit, 0)
	if r.Query != nil && *r.Query != "" && (r.Limit == 0 || r.Limit > wholeMin) {
		r.Limit = wholeMin
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
	switch {
	case m.whole() && s.intents&proto.IntentGuildMembers == 0:
		// Discord does not answer either: the whole list is for those who have the intent.
	case g.full || m.ids != nil && len(m.ids) == 0:
		l.answerMembers(s, m, g.memberRows())
	default:
		l.query(s, g, m)
	}
}

// whole tells whether all members are asked for, or more than a client without the intent may have.
func (m membersAsk) whole() bool {
	r := m.request
	return m.ids == nil && (r.Query == nil || *r.Query == "") && (r.Limit == 0 || r.Limit > wholeMin)
}

// answerMembers picks what was asked for from the rows of a guild that the edge holds in full.
func (l *loop) answerMembers(s *session, m membersAsk, rows []proto.Member) {
	r := m.request
	members := []proto.Member{}
	if m.ids != nil {
		for _, row := range rows {
			if row.User != nil && slices.Contains(m.ids, row.User.ID) {
				members = append(members, row)
			}
		}
	} else {
		for _, row := range rows {
			if row.User != nil && matches(row, r.Query) && (r.Limit == 0 || len(members) < r.Limit) {
				members = append(members, row)
			}
		}
	}
	d := m.answer(members)
	d.ChunkCount = 1
	if m.request.Presences {
		d.Presences = s.guilds[r.GuildID].guild.presencesOf(s, members)
	}
	l.give(s, ownEvent(proto.EventGuildMembersChunk, d))
}

// answer is a chunk without its number: not_found names the ids that rows do not have.
func (m membersAsk) answer(rows []proto.Member) proto.GuildMembersChunk {
	d := proto.GuildMembersChunk{GuildID: m.request.GuildID, Members: rows, NotFound: []proto.ID{}, Nonce: m.request.Nonce}
	for _, id := range m.ids {
		found := slices.ContainsFunc(rows, func(row proto.Member) bool { return row.User != nil && row.User.ID == id })
		if !found && !slices.Contains(d.NotFound, id) {
			d.NotFound = append(d.NotFound, id)
		}
	}
	return d
}

// matches tells whether one of a member's names begins with the query, whatever the case.
func matches(m proto.Member, query *string) bool {
	if query == nil || *query == "" {
		return true
	}
	q := strings.ToLower(*query)
	for _, name := range []*string{&m.User.Username, m.User.GlobalName, m.Nick} {
		if name != nil && strings.HasPrefix(strings.ToLower(*name), q) {
			return true
		}
	}
	return false
}
