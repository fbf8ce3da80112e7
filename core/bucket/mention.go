package bucket

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-chat/starling/core"
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

// allowance is whom a message may mention.
type allowance struct {
	everyone, allUsers, allRoles, replied bool
	users, roles                          []proto.ID
}

// allow reads allowed_mentions; without it everybody may be mentioned whom the text names.
func allow(in *core.AllowedMentions) (allowance, error) {
	if in == nil {
		return allowance{everyone: true, allUsers: true, allRoles: true, replied: true}, nil
	}
	w := allowance{users: in.Users, roles: in.Roles, replied: in.RepliedUser}
	for _, kind := range in.Parse {
		switch kind {
		case "everyone":
			w.everyone = true
		case "users":
			w.allUsers = true
		case "roles":
			w.allRoles = true
		default:
			return w, proto.InvalidForm("allowed_mentions", "BASE_TYPE_CHOICES", "parse: Value must be one of {'users', 'roles', 'everyone'}.")
		}
	}
	switch {
	case len(w.users) > maxMentions || len(w.roles) > maxMentions:
		return w, proto.InvalidForm("allowed_mentions", "BASE_TYPE_MAX_LENGTH", fmt.Sprintf("Must be %d or fewer in length.", maxMentions))
	case w.allUsers && len(w.users) > 0:
		return w, proto.InvalidForm("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
			`parse:["users"] and users: [ids...] are mutually exclusive.`)
	case w.allRoles && len(w.roles) > 0:
		return w, proto.InvalidForm("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
			`parse:["roles"] and roles: [ids...] are mutually exclusive.`)
	}
	return w, nil
}

// mention fills msg from its content and what it answers: users that are members, roles of the guild that are mentionable or that the
// author may mention, everyone if the author may; of all of them those that are allowed. It returns the users mentioned.
func (t *turn) mention(a *access, p proto.Permissions, msg *proto.Message, allowed *core.AllowedMentions) ([]uint64, error) {
	may, err := allow(allowed)
	if err != nil {
		return nil, err
	}
	msg.Mentions, msg.MentionRoles, msg.MentionEveryone = []proto.User{}, []proto.ID{}, false
	found := parseMentions(msg.Content)
	all := p.Has(proto.PermMentionEveryone)
	msg.MentionEveryone = found.everyone && all && may.everyone
	for _, id := range found.roles {
		r, ok := a.g.roles[id]
		if ok && id != a.g.info.ID && (r.Mentionable || all) && (may.allRoles || slices.Contains(may.roles, id)) {
			msg.MentionRoles = append(msg.MentionRoles, id)
		}
	}
	var named []proto.ID
	for _, id := range found.users {
		if may.allUsers || slices.Contains(may.users, id) {
			named = append(named, id)
		}
	}
	if original := msg.Referenced.Message; original != nil && may.replied && !slices.Contains(named, original.Author.ID) {
		named = append(named, original.Author.ID)
	}
	var users []uint64
	for _, id := range named {
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
