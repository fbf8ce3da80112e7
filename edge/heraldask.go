package edge

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// presenceWait is how long GUILD_CREATE and chunks wait for presences. Without an answer they go out without, and updates follow.
const presenceWait = 300 * time.Millisecond

// presences asks the cores once how users look to others.
func (c *cores) presences(ctx context.Context, users []uint64) ([]proto.Presence, error) {
	if len(users) == 0 {
		return nil, nil
	}
	ans := new(pb.PresencesAnswer)
	err := c.once(ctx, "presences", &pb.PresencesCall{Users: users}, ans, func() error {
		if ans.Error != "" {
			return errors.New(ans.Error)
		}
		return nil
	})
	if err != nil {
		presenceQuestions.WithLabelValues("failed").Inc()
		return nil, err
	}
	presenceQuestions.WithLabelValues("ok").Inc()
	list := make([]proto.Presence, 0, len(ans.Presences))
	for _, r := range ans.Presences {
		p := offline(proto.ID(r.User))
		p.Status = proto.Status(r.Status)
		if !p.Status.Visible() {
			continue
		}
		if json.Valid(r.Activities) {
			p.Activities = r.Activities
		}
		for device, s := range r.Devices {
			p.ClientStatus[device] = proto.Status(s)
		}
		list = append(list, p)
	}
	return list, nil
}

// presencesSoon asks for what somebody waits for.
func (c *cores) presencesSoon(ctx context.Context, users []uint64) ([]proto.Presence, error) {
	ctx, cancel := context.WithTimeout(ctx, presenceWait)
	defer cancel()
	return c.presences(ctx, users)
}

// tick asks for everybody in guilds where it is time to.
func (h *herald) tick(now time.Time) {
	l := h.loop
	cut := now.Sub(l.beat()) > lostBeat
	back := h.cut && !cut
	h.cut = cut
	for _, g := range l.guilds {
		r := g.regards
		if r == nil || !r.tried || !g.loaded {
			continue
		}
		if back {
			r.next = now.Add(rand.N(l.cfg.PresenceRefresh))
		}
		if !cut && r.asking == 0 && now.After(r.next) {
			h.ask(g, g.tracked(), true)
		}
	}
}

// flush asks for newcomers.
func (h *herald) flush() {
	for g := range h.newcomers {
		r := g.regards
		if h.loop.guilds[g.id] != g || !r.tried || len(r.want) == 0 {
			delete(h.newcomers, g)
			continue
		}
		if r.asking > 0 {
			continue
		}
		delete(h.newcomers, g)
		users := make([]uint64, 0, len(r.want))
		for user := range r.want {
			if !g.full || g.tracks(user) {
				users = append(users, uint64(user))
			}
		}
		clear(r.want)
		h.ask(g, users, false)
	}
}

// ask asks for members of a guild that sessions are told of already; what differs they hear. One question of a guild is under way at a time.
func (h *herald) ask(g *guild, users []uint64, everybody bool) {
	l := h.loop
	g.regards.begin()
	l.task(func(ctx context.Context) {
		found, err := l.cores.presences(ctx, users)
		l.post(presencesTold{g, users, found, everybody, err})
	})
}

// presencesTold brings an answer to ask.
type presencesTold struct {
	guild     *guild
	asked     []uint64
	found     []proto.Presence
	everybody bool
	err       error
}

func (m presencesTold) apply(l *loop) {
	g := m.guild
	if l.guilds[g.id] != g || g.regards == nil {
		return
	}
	if m.err == nil {
		l.herald.learn(g, m.asked, m.found)
	}
	l.herald.end(g, m.everybody, m.err)
}

// membersOf reads no more of a snapshot than who is in it.
func membersOf(snap *pb.GuildSnapshot) []uint64 {
	var d struct {
		Members []struct {
			User struct {
				ID proto.ID `json:"id"`
			} `json:"user"`
		} `json:"members"`
	}
	if snap == nil || json.Unmarshal(snap.Body, &d) != nil {
		return nil // install says what is wrong
	}
	users := make([]uint64, 0, len(d.Members))
	for _, m := range d.Members {
		if len(users) < maxPresences {
			users = append(users, uint64(m.User.ID))
		}
	}
	return users
}

// mustAsk tells whether a session has to wait for the first answer about presence in the guild.
func (g *guild) mustAsk(s *session) bool {
	return s.seesPresence() && (g.regards == nil || !g.regards.tried)
}

// wanted begins a question beside the one for rows of users: of everybody the first time, of nobody where nobody wants to know.
func (g *guild) wanted(users []uint64) (k looks) {
	if g.regards == nil {
		if !slices.ContainsFunc(users, func(id uint64) bool {
			return slices.ContainsFunc(g.asked[proto.ID(id)], func(m *membership) bool { return m.session.seesPresence() })
		}) {
			return k
		}
		g.regards = newRegards()
	}
	g.regards.begin()
	k = looks{begun: true, everybody: !g.regards.tried, asked: slices.Clone(users)}
	if k.everybody {
		for _, id := range g.tracked() {
			if !slices.Contains(users, id) {
				k.asked = append(k.asked, id)
			}
		}
	}
	k.asked = k.asked[:min(len(k.asked), maxPresences)]
	return k
}

// looks are what a core says of presence to those who wait for a guild or for rows.
type looks struct {
	begun     bool // a question of the guild's regards: it has to be ended
	everybody bool // of all that the herald tracks
	asked     []uint64
	found     []proto.Presence
	err       error
}

func (k *looks) ask(ctx context.Context, c *cores, users []uint64) {
	k.asked = users
	k.found, k.err = c.presencesSoon(ctx, users)
}

// take takes the looks that came with a guild.
func (h *herald) take(g *guild, k looks) {
	h.takeEarly(g, k)
	h.takeLate(g, k)
}

// takeEarly is for before sessions are admitted with the rows that came along, takeLate for after.
func (h *herald) takeEarly(g *guild, k looks) {
	if k.begun && k.err == nil {
		h.learn(g, k.asked, k.found)
	}
	if k.begun {
		g.regards.tried = true // who waits goes on, if need be without
	}
}

func (h *herald) takeLate(g *guild, k looks) {
	if k.begun {
		h.end(g, k.everybody, k.err)
	}
}
