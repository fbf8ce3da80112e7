package bucket

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const (
	guildIdle    = 10 * time.Minute // after which an unused guild leaves memory
	memberBudget = 2048             // members of a guild in one generation of its cache
)

// state is what the bucket knows of its guilds: what the directory holds, and what is pending. It is loaded when first needed. It belongs
// to the bucket's goroutine.
type state struct {
	directory core.Directory
	history   core.History
	guilds    map[proto.ID]*guild
	// Invites made or used by entries that the directory may not hold yet.
	invites    map[string]proto.Invite
	inviteUses map[string]int
	inviteGone map[string]bool         // revoked
	bans       map[banKey]bool         // false: lifted
	users      map[proto.ID]proto.User // profiles that the directory may not hold yet
	directs    map[proto.ID]*direct
	touched    map[*guild]struct{} // whose member caches may have grown since the directory last held everything
}

func newState(d core.Directory, h core.History) *state {
	return &state{directory: d, history: h, guilds: map[proto.ID]*guild{}, invites: map[string]proto.Invite{}, inviteUses: map[string]int{},
		inviteGone: map[string]bool{}, bans: map[banKey]bool{},
		users: map[proto.ID]proto.User{}, directs: map[proto.ID]*direct{}, touched: map[*guild]struct{}{}}
}

// A guild in memory. Roles and channels are complete; members are those asked for.
type guild struct {
	info     proto.Guild // without Roles, Channels, Members; MemberCount is kept
	roles    map[proto.ID]proto.Role
	channels map[proto.ID]*channel
	members  members
	used     time.Time
	gone     bool // deleted; forgotten once the directory knows
}

// A channel in memory.
type channel struct {
	proto.Channel
	last      proto.ID    // newest message, if lastKnown
	pinned    *proto.Time // when the newest pin was pinned, if pinKnown
	lastKnown bool
	pinKnown  bool
	slow      *slowMode // nil until slow mode counts
}

// loaded tells whether a guild, or a direct channel, can be worked on without the directory; that it does not exist cannot.
func (s *state) loaded(guild, channel proto.ID) bool {
	if guild == 0 {
		return s.directs[channel] != nil
	}
	return s.guilds[guild] != nil
}

// guild gives a guild, loading it if need be; ErrUnknownGuild.
func (s *state) guild(ctx context.Context, id proto.ID, now time.Time) (*guild, error) {
	g := s.guilds[id]
	if g == nil {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		info, err := s.directory.Guild(ctx, id)
		if errors.Is(err, core.ErrNotFound) {
			return nil, proto.ErrUnknownGuild
		}
		if err != nil {
			return nil, err
		}
		g = newGuild(info)
		s.guilds[id] = g
	}
	if g.gone {
		return nil, proto.ErrUnknownGuild
	}
	g.used = now
	s.touched[g] = struct{}{}
	return g, nil
}

func newGuild(info proto.Guild) *guild {
	g := &guild{roles: map[proto.ID]proto.Role{}, channels: map[proto.ID]*channel{}, members: newMembers(memberBudget)}
	for _, r := range info.Roles {
		g.roles[r.ID] = r
	}
	for _, c := range info.Channels {
		g.channels[c.ID] = &channel{Channel: c}
	}
	info.Roles, info.Channels, info.Members = nil, nil, nil
	g.info = info
	return g
}

// member gives a member of g, nil if the user is none.
func (s *state) member(ctx context.Context, g *guild, user proto.ID) (*proto.Member, error) {
	if m, ok := g.members.get(user); ok || g.info.ID == 0 { // a direct channel's two are known
		return m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := s.directory.Member(ctx, g.info.ID, user)
	if errors.Is(err, core.ErrNotFound) {
		g.members.put(user, nil)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g.members.put(user, &m)
	return &m, nil
}

// settled is called when the directory holds everything: nothing in memory is more than a copy.
func (s *state) settled() {
	clear(s.invites)
	clear(s.inviteUses)
	clear(s.users)
	clear(s.inviteGone)
	clear(s.bans)
	for g := range s.touched {
		if g.gone {
			delete(s.guilds, g.info.ID)
		}
		g.members.trim()
	}
	clear(s.touched)
}

// evict drops idle guilds; only while settled.
func (s *state) evict(now time.Time) {
	maps.DeleteFunc(s.guilds, func(_ proto.ID, g *guild) bool { return now.Sub(g.used) > guildIdle })
	maps.DeleteFunc(s.directs, func(_ proto.ID, d *direct) bool { return now.Sub(d.g.used) > guildIdle })
}

// sortedRoles are all roles, lowest first, as clients list them.
func (g *guild) sortedRoles() []proto.Role {
	return slices.SortedFunc(maps.Values(g.roles), func(a, b proto.Role) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID)) // everyone has the lowest of both
	})
}

// sortedChannels are all channels by position, then id.
func (g *guild) sortedChannels() []*channel {
	return slices.SortedFunc(maps.Values(g.channels), func(a, b *channel) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
}

// members is a cache in two generations. A nil member is one that is known not to be. Until trim nothing is forgotten: the cache also
// holds what the directory does not have yet.
type members struct {
	budget     int
	young, old map[proto.ID]*proto.Member
}

func newMembers(budget int) members {
	return members{budget: budget, young: map[proto.ID]*proto.Member{}}
}

func (m *members) get(id proto.ID) (*proto.Member, bool) {
	if v, ok := m.young[id]; ok {
		return v, true
	}
	v, ok := m.old[id]
	if ok {
		m.young[id] = v
	}
	return v, ok
}

// put replaces what is known of a member. The value is not changed afterwards, only replaced.
func (m *members) put(id proto.ID, v *proto.Member) { m.young[id] = v }

// trim forgets what was not used for a generation.
func (m *members) trim() {
	if len(m.young) > m.budget {
		m.old, m.young = m.young, map[proto.ID]*proto.Member{}
	}
}

// each calls f for every member in memory.
func (m *members) each(f func(id proto.ID, v *proto.Member)) {
	for id, v := range m.old {
		if _, newer := m.young[id]; !newer && v != nil {
			f(id, v)
		}
	}
	for id, v := range m.young {
		if v != nil {
			f(id, v)
		}
	}
}
