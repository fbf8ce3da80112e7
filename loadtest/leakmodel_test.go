package loadtest

import (
	"fmt"
	"strings"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/rule"
	"github.com/starling-chat/starling/proto"
)

// A witness is what the rule allowed one client.
type witness struct {
	messages map[proto.ID]bool // that the client had to get; false: must not
	stay     map[proto.ID]int  // which time in the guild each was said in
	seen     map[proto.ID]bool // channels that the client saw at some moment
	now      map[proto.ID]bool // and at the last
	all      map[proto.ID]bool // every channel that ever was
}

// watch replays the owner's log for a user.
func watch(r *rule.Guild, log []client.Event, user proto.ID) (witness, error) {
	stays := 0
	w := witness{messages: map[proto.ID]bool{}, stay: map[proto.ID]int{}, seen: map[proto.ID]bool{}, now: map[proto.ID]bool{}, all: map[proto.ID]bool{}}
	look := func() {
		clear(w.now)
		for _, id := range r.Channels() {
			w.all[id] = true
			if r.Sees(user, id) {
				w.seen[id], w.now[id] = true, true
			}
		}
	}
	look()
	for _, e := range log {
		if e.T == "MESSAGE_CREATE" {
			var m proto.Message
			if err := e.Into(&m); err != nil {
				return w, err
			}
			w.messages[m.ID], w.stay[m.ID] = r.Sees(user, m.ChannelID), stays
			continue
		}
		var joined proto.GuildMember
		if e.T == "GUILD_MEMBER_ADD" && e.Into(&joined) == nil && joined.User.ID == user {
			stays++
		}
		if err := r.Apply(e); err != nil {
			return w, err
		}
		look()
	}
	return w, nil
}

// judge compares what a client got with what it was allowed.
func (w witness) judge(log []client.Event, user, guild proto.ID, intents int64) (problems []string, got int) {
	tell := func(format string, args ...any) {
		if len(problems) < 10 {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	inside, shown := false, map[proto.ID]bool{}
	heard := map[proto.ID]int{}
	for _, e := range log {
		if e.Op != 0 || e.T == "READY" {
			continue
		}
		body := string(e.D)
		for id := range w.all {
			// A guild tells every member its system channel and the like (Discord: Guild Object).
			if ofGuild := e.T == "GUILD_CREATE" || e.T == "GUILD_UPDATE"; !ofGuild && !w.seen[id] && strings.Contains(body, id.String()) {
				tell("%v names channel %s, which the client never was allowed to see", e, id)
			}
		}
		if need := proto.Intent(e.T); need&intents != need {
			var m proto.GuildMember
			if own := e.T == "GUILD_MEMBER_UPDATE" && e.Into(&m) == nil && m.User.ID == user; !own {
				tell("%v: without its intent", e)
			}
		}
		if !inside && e.T != "GUILD_CREATE" && strings.Contains(body, guild.String()) {
			tell("%v: while the client is not in the guild", e)
		}
		switch e.T {
		case "GUILD_CREATE":
			var d proto.GuildCreate
			if err := e.Into(&d); err != nil {
				tell("%v: %v", e, err)
			}
			inside = true
			clear(shown)
			for _, ch := range d.Channels {
				shown[ch.ID] = true
				if !w.seen[ch.ID] {
					tell("%v shows channel %s, which the client never was allowed to see", e, ch.ID)
				}
			}
		case "GUILD_DELETE":
			inside = false
			clear(shown)
		case "CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE":
			var d proto.Channel
			if err := e.Into(&d); err != nil {
				tell("%v: %v", e, err)
			}
			if shown[d.ID] == (e.T == "CHANNEL_CREATE") {
				tell("%v: the client has it: %v", e, shown[d.ID])
			}
			shown[d.ID] = e.T != "CHANNEL_DELETE"
		case "MESSAGE_CREATE":
			var d proto.Message
			if err := e.Into(&d); err != nil {
				tell("%v: %v", e, err)
			}
			heard[d.ID]++
			if allowed, known := w.messages[d.ID]; !known || !allowed {
				tell("LEAK: %v", e)
			}
			if !shown[d.ChannelID] {
				tell("%v: in a channel that the client was not shown", e)
			}
			if intents&proto.IntentMessageContent == 0 && d.Content != "" {
				tell("%v: content without the intent", e)
			}
		}
	}
	// What is said between a join and its GUILD_CREATE is history by then: of each stay, nothing is missing from the first message on.
	first := map[int]proto.ID{}
	for id := range heard {
		if k := w.stay[id]; first[k] == 0 || id < first[k] {
			first[k] = id
		}
	}
	early := 0
	for id, allowed := range w.messages {
		start := first[w.stay[id]]
		switch {
		case !allowed || heard[id] == 1:
		case heard[id] == 0 && (start == 0 || id < start):
			early++
		default:
			tell("message %s came %d times, want once", id, heard[id])
		}
	}
	if early > len(w.messages)/20 {
		tell("%d of %d messages came between a join and its GUILD_CREATE", early, len(w.messages))
	}
	for id := range w.all {
		if shown[id] != w.now[id] {
			tell("channel %s: shown %v at the end, want %v", id, shown[id], w.now[id])
		}
	}
	return problems, len(heard)
}
