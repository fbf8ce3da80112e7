package chaos

import (
	"encoding/json"
	"slices"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/rule"
	"github.com/starling-chat/starling/proto"
)

// A witness is a session of the guilds' owner, who sees everything: it knows at which moment of each guild's log a message was said. It
// belongs to the goroutine that reads its socket until that has ended.
type witness struct {
	in   map[proto.ID]int // index of guilds by id
	now  []*stretch       // by guild; nil while the session is not in it
	past [][]*stretch     // by guild, that of now included
}

// A stretch is a part of a guild's log that was seen without a gap.
type stretch struct {
	said []moment
	end  *rule.Guild // as it stands last
}

// A moment is a message and the rights that held when it was said. Moments between two changes share one rule.
type moment struct {
	id   proto.ID
	rule *rule.Guild
}

func newWitness(in map[proto.ID]int) *witness {
	return &witness{in: in, now: make([]*stretch, len(in)), past: make([][]*stretch, len(in))}
}

func (w *witness) see(f client.Event) error {
	switch {
	case f.T == "READY":
		clear(w.now)
		return nil
	case f.T == "GUILD_CREATE":
		var g proto.GuildCreate
		if err := f.Into(&g); err != nil {
			return err
		}
		if i, ours := w.in[g.ID]; ours {
			w.now[i] = &stretch{end: rule.New(g)}
			w.past[i] = append(w.past[i], w.now[i])
		}
		return nil
	case f.T != "MESSAGE_CREATE" && f.T != "GUILD_DELETE" && !rule.Changes(f.T):
		return nil
	}
	var d struct {
		ID    proto.ID `json:"id"`
		Guild proto.ID `json:"guild_id"`
	}
	if err := json.Unmarshal(f.D, &d); err != nil {
		return err
	}
	if f.T == "GUILD_DELETE" {
		d.Guild = d.ID
	}
	i, ours := w.in[d.Guild]
	if !ours || w.now[i] == nil {
		return nil
	}
	s := w.now[i]
	switch f.T {
	case "GUILD_DELETE":
		w.now[i] = nil
	case "MESSAGE_CREATE":
		s.said = append(s.said, moment{d.ID, s.end})
	default:
		s.end = s.end.Clone()
		return s.end.Apply(f)
	}
	return nil
}

// A timeline is what all witnesses together know of one guild.
type timeline struct {
	rules map[proto.ID][]*rule.Guild // of each message that somebody saw
	order []proto.ID                 // of these messages
	last  []*rule.Guild              // of each witness that saw the end
}

func newTimeline(guild int, witnesses []*witness) *timeline {
	t := &timeline{rules: map[proto.ID][]*rule.Guild{}}
	for _, w := range witnesses {
		for _, s := range w.past[guild] {
			for _, m := range s.said {
				t.rules[m.id] = append(t.rules[m.id], m.rule)
			}
		}
		if w.now[guild] != nil {
			t.last = append(t.last, w.now[guild].end)
		}
	}
	for id := range t.rules {
		t.order = append(t.order, id)
	}
	slices.Sort(t.order)
	return t
}

// A verdict says whether somebody had to get a message.
type verdict int8

const (
	unknown verdict = iota // nobody saw the moment, and rights changed about then
	must
	mustNot
	disputed // witnesses differ
)

// A view is what a timeline says of one user.
type view struct {
	*timeline
	user proto.ID
	seen map[*rule.Guild]map[proto.ID]bool // by channel
}

func (t *timeline) of(user proto.ID) *view {
	return &view{timeline: t, user: user, seen: map[*rule.Guild]map[proto.ID]bool{}}
}

// sees is the rule, asked once for all messages between two changes.
func (v *view) sees(r *rule.Guild, channel proto.ID) bool {
	if v.seen[r] == nil {
		v.seen[r] = map[proto.ID]bool{}
	}
	sees, known := v.seen[r][channel]
	if !known {
		sees = r.Sees(v.user, channel)
		v.seen[r][channel] = sees
	}
	return sees
}

// judge says whether the user had to get a message of a channel.
func (v *view) judge(channel, id proto.ID) verdict {
	if rules := v.rules[id]; len(rules) > 0 {
		return v.agreed(channel, rules)
	}
	i, _ := slices.BinarySearch(v.order, id)
	around := unknown
	for _, k := range []int{i - 1, i} {
		if k < 0 || k >= len(v.order) {
			continue
		}
		x := v.agreed(channel, v.rules[v.order[k]])
		if around != unknown && around != x || x == disputed {
			return unknown
		}
		around = x
	}
	return around
}

func (v *view) agreed(channel proto.ID, rules []*rule.Guild) verdict {
	sees := v.sees(rules[0], channel)
	for _, r := range rules[1:] {
		if v.sees(r, channel) != sees {
			return disputed
		}
	}
	if sees {
		return must
	}
	return mustNot
}
