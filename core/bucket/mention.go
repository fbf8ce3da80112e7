package bucket

import (
	"slices"
	"strings"

	"github.com/starling-chat/starling/proto"
)

// maxMentions bounds how many users, and how many roles, one message can mention: each may cost a look-up.
const maxMentions = 100

// mentioned is what the text of a message names, as it stands there: whether it exists is not known yet.
type mentioned struct {
	users, roles []proto.ID // without repeats, in order
	everyone     bool
}

// parseMentions finds <@id>, <@!id>, <@&id>, @everyone and @here.
func parseMentions(content string) mentioned {
	var m mentioned
	for i := strings.IndexByte(content, '@'); i >= 0; {
		rest := content[i+1:]
		if strings.HasPrefix(rest, "everyone") || strings.HasPrefix(rest, "here") {
			m.everyone = true
		}
		if i > 0 && content[i-1] == '<' {
			list, digits := &m.users, rest
			switch {
			case strings.HasPrefix(rest, "!"):
				digits = rest[1:]
			case strings.HasPrefix(rest, "&"):
				list, digits = &m.roles, rest[1:]
			}
			if end := strings.IndexByte(digits, '>'); end > 0 && end <= 19 {
				if id, err := proto.ParseID(digits[:end]); err == nil && len(*list) < maxMentions && !slices.Contains(*list, id) {
					*list = append(*list, id)
				}
			}
		}
		next := strings.IndexByte(rest, '@')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return m
}

// mention fills msg from its content: users that are members, roles of the guild that are mentionable or that the author may mention,
// everyone if the author may. It returns the users mentioned.
func (t *turn) mention(a *access, p proto.Permissions, msg *proto.Message) ([]uint64, error) {
	msg.Mentions, msg.MentionRoles, msg.MentionEveryone = []proto.User{}, []proto.ID{}, false
	found := parseMentions(msg.Content)
	all := p.Has(proto.PermMentionEveryone)
	msg.MentionEveryone = found.everyone && all
	for _, id := range found.roles {
		if r, ok := a.g.roles[id]; ok && id != a.g.info.ID && (r.Mentionable || all) {
			msg.MentionRoles = append(msg.MentionRoles, id)
		}
	}
	var users []uint64
	for _, id := range found.users {
		m, err := t.b.state.member(t.ctx, a.g, id)
		if err != nil {
			return nil, err
		}
		if m != nil {
			msg.Mentions = append(msg.Mentions, *m.User)
			users = append(users, uint64(id))
		}
	}
	return users, nil
}
