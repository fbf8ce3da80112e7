package edge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// allMembers is up to how many members a guild's snapshot holds them all: no large_threshold asks for more.
const allMembers = 250

// maxBuffered is how many events may wait while a guild loads; beyond, the snapshot is asked for again.
const maxBuffered = 1 << 14

// A guild is what the edge knows of one: enough to tell who may see what. Owned by the loop.
type guild struct {
	id proto.ID

	// While it loads.
	loaded   bool
	loading  bool // a snapshot is asked for, or will be
	restart  bool // the snapshot under way is worth nothing
	followed bool // the bucket: one follow, for as long as the guild is here
	buffer   []buffered
	catching bool                     // what was buffered is being applied, of which the journal has nothing: nobody may be admitted amid it
	waiting  []*membership            // for the snapshot
	guests   map[*membership]struct{} // of sessions on their way here

	// Once it is loaded.
	sequence    uint64 // of the snapshot: events up to it are in it
	meta        proto.Guild
	roles       map[proto.ID]proto.Role
	channels    map[proto.ID]*proto.Channel
	own         map[proto.ID]int // users with overwrites of their own: in how many channels
	members     map[proto.ID]*member
	full        bool // members holds everyone
	memberCount int
	classes     map[string]*class
	idle        time.Time // since when nobody needs it

	regards     *regards            // of members' presence; nil until somebody wants to know
	queries     map[*query]struct{} // op 8 that cores are being asked for
	rowsChanged uint64              // sequence of the last event that changed members' rows

	// Rows of members that a core is being asked for, and those to ask for next.
	fetching bool
	asked    map[proto.ID][]*membership
	next     map[proto.ID][]*membership
}

// A member as of a sequence of the guild's bucket: events up to it are in the row. A nil row says that the user is no member.
type member struct {
	row      *proto.Member
	sequence uint64
	whole    bool // it is of a snapshot: else the same entry may have more
}

// knows tells whether an event of an entry is in the row already.
func (m *member) knows(seq uint64) bool {
	return m != nil && (seq < m.sequence || seq == m.sequence && m.whole)
}

type buffered struct {
	sequence uint64
	event    *pb.Event
}

// used counts sessions that have a place in the guild or wait for one.
func (g *guild) used() int {
	n := len(g.waiting) + len(g.guests)
	for _, c := range g.classes {
		n += len(c.members)
	}
	for _, ms := range g.asked {
		n += len(ms)
	}
	for _, ms := range g.next {
		n += len(ms)
	}
	return n
}

// install builds the tables from a snapshot.
func (g *guild) install(snap *pb.GuildSnapshot) error {
	var meta proto.Guild
	if err := json.Unmarshal(snap.Body, &meta); err != nil {
		return fmt.Errorf("guild %d: snapshot: %w", g.id, err)
	}
	if meta.ID != g.id {
		return fmt.Errorf("guild %d: snapshot of guild %d", g.id, meta.ID)
	}
	g.sequence, g.full, g.memberCount = snap.Sequence, snap.AllMembers, max(meta.MemberCount, len(meta.Members))
	g.roles, g.channels = map[proto.ID]proto.Role{}, map[proto.ID]*proto.Channel{}
	g.members, g.own, g.classes = map[proto.ID]*member{}, map[proto.ID]int{}, map[string]*class{}
	g.asked, g.next = map[proto.ID][]*membership{}, map[proto.ID][]*membership{}
	for _, r := range meta.Roles {
		g.roles[r.ID] = r
	}
	for _, ch := range meta.Channels {
		g.setChannel(&ch)
	}
	for _, m := range meta.Members {
		if m.User != nil {
			g.members[m.User.ID] = &member{row: &m, sequence: snap.Sequence, whole: true}
		}
	}
	meta.Roles, meta.Channels, meta.Members = nil, nil, nil
	g.meta, g.loaded = meta, true
	g.trimMembers()
	return nil
}

// setChannel puts or replaces a channel.
func (g *guild) setChannel(ch *proto.Channel) {
	g.dropChannel(ch.ID)
	g.channels[ch.ID] = ch
	for _, o := range ch.Overwrites {
		if o.Type == proto.OverwriteMember {
			g.own[o.ID]++
		}
	}
}

func (g *guild) dropChannel(id proto.ID) {
	old := g.channels[id]
	if old == nil {
		return
	}
	delete(g.channels, id)
	for _, o := range old.Overwrites {
		if o.Type != proto.OverwriteMember {
			continue
		}
		if g.own[o.ID]--; g.own[o.ID] == 0 {
			delete(g.own, o.ID)
		}
	}
}

// trimMembers keeps the rows of a guild that became large to those that sessions need.
func (g *guild) trimMembers() {
	if !g.full || g.memberCount <= allMembers {
		return
	}
	g.full = false
	needed := map[proto.ID]bool{}
	for _, c := range g.classes {
		for _, m := range c.members {
			needed[m.session.user] = true
		}
	}
	for _, m := range g.waiting {
		needed[m.session.user] = true
	}
	for m := range g.guests {
		needed[m.session.user] = true
	}
	for _, list := range []map[proto.ID][]*membership{g.asked, g.next} {
		for user, ms := range list {
			needed[user] = needed[user] || len(ms) > 0
		}
	}
	for id := range g.members {
		if !needed[id] {
			delete(g.members, id)
			g.disregard(id)
		}
	}
}

// row is what is known of a member; nil if nothing, or that the user is none.
func (g *guild) row(user proto.ID) *proto.Member {
	if m := g.members[user]; m != nil {
		return m.row
	}
	return nil
}

// rolesInOrder lists the roles as clients show them.
func (g *guild) rolesInOrder() []proto.Role {
	out := make([]proto.Role, 0, len(g.roles))
	for _, r := range g.roles {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b proto.Role) int { return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID)) })
	return out
}

// memberships lists every place in the guild that has a class.
func (g *guild) memberships() []*membership {
	var out []*membership
	for _, c := range g.classes {
		out = append(out, c.members...)
	}
	return out
}

// places lists all memberships of a loaded guild, those that wait for a member's row included.
func (g *guild) places() []*membership {
	out := g.memberships()
	for _, list := range []map[proto.ID][]*membership{g.asked, g.next} {
		for _, ms := range list {
			out = append(out, ms...)
		}
	}
	return out
}

// placesOf lists the places of one user's sessions.
func (l *loop) placesOf(g *guild, id proto.ID) []*membership {
	var out []*membership
	if u := l.users[id]; u != nil {
		for s := range u.sessions {
			if m := s.guilds[g.id]; m != nil && m.class != nil {
				out = append(out, m)
			}
		}
	}
	return out
}

// create builds the d of GUILD_CREATE for a place: the channels that it sees; all members if they are known and not too many, else its own.
func (g *guild) create(m *membership) *proto.GuildCreate {
	s, own := m.session, g.row(m.session.user)
	d := &proto.GuildCreate{Guild: g.meta, MemberCount: g.memberCount, JoinedAt: own.JoinedAt, Large: g.memberCount > s.large,
		Channels: []proto.Channel{}, Threads: []proto.Nothing{}, VoiceStates: []proto.Nothing{},
		StageInstances: []proto.Nothing{}, GuildScheduledEvents: []proto.Nothing{}, SoundboardSounds: []proto.Nothing{}}
	d.Roles = g.rolesInOrder()
	for id := range m.class.visible(g).ids {
		d.Channels = append(d.Channels, *g.channels[id])
	}
	slices.SortFunc(d.Channels, func(a, b proto.Channel) int {
		return cmp.Or(cmp.Compare(b2i(a.Type != proto.ChannelCategory), b2i(b.Type != proto.ChannelCategory)),
			cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
	if g.full && !d.Large {
		d.Members = g.memberRows()
	} else {
		d.Members = []proto.Member{*own}
	}
	d.Presences = g.presencesOf(s, d.Members)
	return d
}

// memberRows lists the known members in order of ids.
func (g *guild) memberRows() []proto.Member {
	out := make([]proto.Member, 0, len(g.members))
	for _, m := range g.members {
		if m.row != nil {
			out = append(out, *m.row)
		}
	}
	slices.SortFunc(out, func(a, b proto.Member) int { return cmp.Compare(a.User.ID, b.User.ID) })
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
