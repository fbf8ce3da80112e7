package edge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-chat/starling/proto"
)

// This file says what a session is entitled to, from the world's own states and nothing of the edge's.

// sees lists the channels that a member sees: those that the rights show, and the categories that these are in.
func (s *simState) sees(user proto.ID) map[proto.ID]bool {
	seen := map[proto.ID]bool{}
	row, ok := s.rows[user]
	if !ok || s.dead {
		return seen
	}
	base := proto.GuildPermissions(s.meta.ID, s.meta.OwnerID == user, row.Roles, s.roles)
	for id, ch := range s.channels {
		if !proto.ChannelPermissions(s.meta.ID, base, user, row.Roles, ch.Overwrites).Has(proto.PermViewChannel) {
			continue
		}
		seen[id] = true
		if ch.ParentID != nil {
			if _, there := s.channels[*ch.ParentID]; there {
				seen[*ch.ParentID] = true
			}
		}
	}
	return seen
}

// mayRead tells whether a member gets the messages of a channel; to see a category because of what is in it is not enough.
func (s *simState) mayRead(user, channel proto.ID) bool {
	row, ok := s.rows[user]
	ch, there := s.channels[channel]
	return ok && there && proto.ChannelPermissions(s.meta.ID, proto.GuildPermissions(s.meta.ID, s.meta.OwnerID == user, row.Roles, s.roles),
		user, row.Roles, ch.Overwrites).Has(proto.PermViewChannel)
}

// channelTag names a frame about a channel, in one version.
func channelTag(kind string, id proto.ID, name string) string {
	return fmt.Sprint(kind, " ", uint64(id), " ", name)
}

func bodyTag(kind string, body []byte) string { return kind + " " + string(body) }

func goneTag(guild proto.ID) string { return fmt.Sprint(proto.EventGuildDelete, " ", uint64(guild)) }

// frames are what a session of a user gets of an event while it is shown the guild, in no order.
func (e *simEvent) frames(user proto.ID, intents int64) []string {
	ev := e.event
	if e.guild == nil {
		if proto.ID(ev.User) == user && ev.Type[0] != '_' {
			return []string{bodyTag(ev.Type, ev.Body)}
		}
		return nil
	}
	if _, was := e.before.rows[user]; !was {
		return nil
	}
	if _, is := e.after.rows[user]; !is {
		return []string{goneTag(e.guild.id)}
	}
	var out []string
	wants := func(kind string) bool { i := proto.Intent(kind); return intents&i == i }
	switch ev.Type {
	case proto.EventMessageCreate:
		if e.after.mayRead(user, proto.ID(ev.Channel)) && wants(ev.Type) {
			body := ev.Body
			if intents&proto.IntentMessageContent == 0 && proto.ID(ev.Author) != user && !slices.Contains(ev.Mentions, uint64(user)) {
				body = ev.BodyNoContent
			}
			out = append(out, bodyTag(ev.Type, body))
		}
		return out
	case proto.EventGuildMemberAdd, proto.EventGuildMemberRemove:
		if wants(ev.Type) {
			out = append(out, bodyTag(ev.Type, ev.Body))
		}
		return out
	case proto.EventGuildMemberUpdate:
		if wants(ev.Type) || proto.ID(ev.Id) == user {
			out = append(out, bodyTag(ev.Type, ev.Body))
		}
	case proto.EventGuildUpdate, proto.EventGuildRoleCreate, proto.EventGuildRoleUpdate, proto.EventGuildRoleDelete:
		if wants(ev.Type) {
			out = append(out, bodyTag(ev.Type, ev.Body))
		}
	}
	if intents&proto.IntentGuilds == 0 {
		return out
	}
	was, is := e.before.sees(user), e.after.sees(user)
	for id := range was {
		if !is[id] {
			out = append(out, channelTag(proto.EventChannelDelete, id, e.before.channels[id].Name))
		} else if ev.Type == proto.EventChannelUpdate && proto.ID(ev.Id) == id {
			out = append(out, channelTag(proto.EventChannelUpdate, id, e.after.channels[id].Name))
		}
	}
	for id := range is {
		if !was[id] {
			out = append(out, channelTag(proto.EventChannelCreate, id, e.after.channels[id].Name))
		}
	}
	return out
}

// shown is what GUILD_CREATE says to a member, as far as it matters here.
func (s *simState) shown(user proto.ID, large bool) string {
	var b strings.Builder
	fmt.Fprint(&b, s.meta.Name, s.meta.OwnerID, len(s.rows))
	for _, id := range keysOf(s.roles) {
		writeRole(&b, s.roles[id])
	}
	sees := s.sees(user)
	for _, id := range keysOf(s.channels) {
		if sees[id] {
			writeChannel(&b, s.channels[id])
		}
	}
	for _, id := range keysOf(s.rows) {
		if !large || id == user {
			writeRow(&b, s.rows[id])
		}
	}
	return b.String()
}

// shownBy is the same of what a client got.
func shownBy(g *proto.GuildCreate, user proto.ID, large bool) string {
	var b strings.Builder
	fmt.Fprint(&b, g.Name, g.OwnerID, g.MemberCount)
	slices.SortFunc(g.Guild.Roles, func(a, b proto.Role) int { return int(int64(a.ID) - int64(b.ID)) })
	for _, r := range g.Guild.Roles {
		writeRole(&b, r)
	}
	slices.SortFunc(g.Channels, func(a, b proto.Channel) int { return int(int64(a.ID) - int64(b.ID)) })
	for _, ch := range g.Channels {
		writeChannel(&b, ch)
	}
	for _, m := range g.Members { // in order of ids
		if !large || m.User.ID == user {
			writeRow(&b, m)
		}
	}
	return b.String()
}

func writeRole(b *strings.Builder, r proto.Role) { fmt.Fprint(b, " r", r.Name, uint64(r.Permissions)) }

func writeChannel(b *strings.Builder, ch proto.Channel) {
	fmt.Fprint(b, " c", ch.Name, len(ch.Overwrites))
	if ch.LastMessageID != nil {
		fmt.Fprint(b, "-", uint64(*ch.LastMessageID))
	}
}

func writeRow(b *strings.Builder, m proto.Member) {
	fmt.Fprint(b, " m", *m.Nick)
	for _, id := range slices.Sorted(slices.Values(m.Roles)) {
		fmt.Fprint(b, "+", uint64(id))
	}
}

// positions finds where in the log a guild was as a client was shown it: the first and the last event after which it looked so.
func (g *simGuild) positions(what string, user proto.ID) (first, last simPlace, found bool) {
	for i := len(g.states) - 1; i >= 0; i-- {
		s := g.states[i]
		_, in := s.rows[user]
		same := in && s.shown(user, g.large) == what
		if same && !found {
			last, found = s.at, true
		}
		if same { // a channel that came and went leaves no trace
			first = s.at
		} else if found && !in {
			break
		}
	}
	return first, last, found
}
