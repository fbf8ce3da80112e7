package edge

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A span is what a bucket's log has from a client's position on.
type span struct {
	from    *pb.ResumePosition
	entries []logEntry // in order; the first may be the one that from is in
}

// up is the span without what is above a sequence.
func (s *span) up(to uint64) *span {
	n, _ := slices.BinarySearchFunc(s.entries, to+1, func(e logEntry, seq uint64) int { return cmp.Compare(e.sequence, seq) })
	return &span{from: s.from, entries: s.entries[:n]}
}

// at is the span from a later position on.
func (s *span) at(from *pb.ResumePosition) *span {
	n, _ := slices.BinarySearchFunc(s.entries, from.Sequence, func(e logEntry, seq uint64) int { return cmp.Compare(e.sequence, seq) })
	return &span{from: from, entries: s.entries[n:]}
}

// events calls f for every event behind the position.
func (s *span) events(f func(sequence uint64, i int, e *pb.Event)) {
	for _, m := range s.entries {
		for i, e := range m.entry.Events {
			if m.sequence == s.from.Sequence && uint32(i) < s.from.Events {
				continue
			}
			f(m.sequence, i, e)
		}
	}
}

// tells tells whether the span has a guild's end.
func (s *span) tells(guild proto.ID) (found bool) {
	s.events(func(_ uint64, _ int, e *pb.Event) {
		found = found || e.Type == proto.EventGuildDelete && proto.ID(e.Guild) == guild
	})
	return found
}

// A scene is what a replay needs: whose session it is, and what it had at the beginning.
type scene struct {
	session session               // its attributes
	guilds  map[proto.ID]*guild   // as they are at the end of the spans; nobody else uses them
	directs map[proto.ID]struct{} // shown at the beginning
	spans   map[int]*span         // of all its buckets
	whole   map[int]*span         // the same up to what guilds are of, where spans end earlier
	ranks   map[proto.ID]rank     // of a replay that was made before: the guilds that it has frames of
	ended   map[proto.ID]bool     // guilds of which only the end is told
	begin   map[proto.ID]rank     // what the user was in guilds at the beginning, once the replay is made
}

// A rank is what the user was in a guild when a replay began. Of a guild that ended since nobody can tell but who had asked before.
type rank struct {
	roles []proto.ID
	end   bool // nobody could: only the end is told
}

// A told is one frame that the session was to get, and where in the log it is from.
type told struct {
	event *event
	at    *pb.JournalEvent // bucket, sequence and place of the event
	frame uint32           // which of the frames of the event
	guild proto.ID         // 0: it is of the user, or of a direct channel
}

// A sandbox collects what a loop gives to its one session, instead of connections.
type sandbox struct {
	told   []told
	skip   uint32 // frames of the present event that the client has
	serial uint64
	frame  uint32
	guild  proto.ID // of the present event
	failed error
}

func (b *sandbox) take(l *loop, s *session, e *event) {
	if l.cursor.at == nil {
		return // for this session alone: it is not repeated
	}
	if b.serial != l.cursor.serial {
		b.serial, b.frame = l.cursor.serial, 0
	}
	b.frame++
	if b.frame > b.skip {
		b.told = append(b.told, told{event: e, at: l.cursor.at, frame: b.frame - 1, guild: b.guild})
	}
}

// replay is what the session is told from the spans' positions on: the very code that serves sessions live works on the guilds as they were, by
// the rights of each moment. Buckets are merged in one order, which depends on nothing but the log and the positions (resume.md, rule 10).
func (v *scene) replay() ([]told, error) {
	if v.silent() {
		return nil, nil
	}
	l, s, err := v.stage()
	if err != nil {
		return nil, err
	}
	type head struct {
		bucket int
		rest   []logEntry
		time   int64 // of the next entry, and not below the one before it
	}
	var heads []*head
	for b, sp := range v.spans {
		if len(sp.entries) > 0 {
			heads = append(heads, &head{b, sp.entries, sp.entries[0].entry.TimeMs})
		}
	}
	slices.SortFunc(heads, func(a, b *head) int { return cmp.Compare(a.bucket, b.bucket) })
	for len(heads) > 0 && l.sandbox.failed == nil && !s.dropped {
		h := slices.MinFunc(heads, func(a, b *head) int { return cmp.Compare(a.time, b.time) }) // the first of equals: the lowest bucket
		v.play(l, h.bucket, h.rest[0])
		if h.rest = h.rest[1:]; len(h.rest) == 0 {
			heads = slices.DeleteFunc(heads, func(x *head) bool { return x == h })
			continue
		}
		h.time = max(h.time, h.rest[0].entry.TimeMs)
	}
	return l.sandbox.told, l.sandbox.failed
}

// silent tells whether there is nothing that the session could have missed, as where an edge died that had told all: then no guild is looked at.
func (v *scene) silent() bool {
	if v.ranks != nil {
		return false
	}
	for id := range v.guilds {
		if v.spans[id.Bucket()] == nil {
			return false
		}
	}
	silent := true
	for _, sp := range v.spans {
		sp.events(func(uint64, int, *pb.Event) { silent = false })
	}
	return silent
}

// play applies what is behind the position of one entry.
func (v *scene) play(l *loop, bucket int, m logEntry) {
	from := v.spans[bucket].from
	for i, e := range m.entry.Events {
		l.sandbox.skip = 0
		if m.sequence == from.Sequence {
			if uint32(i) < from.Events {
				continue
			}
			if uint32(i) == from.Events {
				l.sandbox.skip = from.Frames
			}
		}
		if v.ended[proto.ID(e.Guild)] && e.Type != proto.EventGuildDelete && !ofUser(e) {
			continue
		}
		if l.sandbox.guild = proto.ID(e.Guild); ofUser(e) || len(e.Recipients) > 0 {
			l.sandbox.guild = 0
		}
		l.during(bucket, m.sequence, i, func() { l.logEvent(m.sequence, e) })
	}
}

// stage makes a loop that has the session, and the guilds as they were at the positions.
func (v *scene) stage() (*loop, *session, error) {
	l := &loop{cfg: &Config{}, log: slog.New(slog.DiscardHandler), sandbox: &sandbox{}, cursor: newCursor(), guilds: map[proto.ID]*guild{},
		users: map[proto.ID]*user{}, sessions: map[string]*session{}, gen: v.session.gen, now: time.Now}
	l.reporter, l.herald = newReporter(l), &herald{loop: l}
	v.ended, v.begin = map[proto.ID]bool{}, map[proto.ID]rank{}
	s := v.session
	s.guilds, s.directs, s.closed = map[proto.ID]*membership{}, map[proto.ID]*seat{}, map[proto.ID]closing{}
	l.user(s.user).sessions[&s] = struct{}{}
	for id := range v.directs {
		s.directs[id] = &seat{session: &s, channel: id, loaded: true}
	}
	for id := range v.ranks {
		if v.guilds[id] == nil {
			return nil, nil, fmt.Errorf("guild %d: %w", id, errReplay) // it is no more, and the log does not say so yet
		}
	}
	for id, g := range v.guilds {
		known, counts := v.ranks[id]
		if v.ranks != nil && !counts {
			continue
		}
		sp := v.spans[id.Bucket()]
		if v.whole != nil {
			sp = v.whole[id.Bucket()]
		}
		if sp == nil {
			return nil, nil, fmt.Errorf("guild %d: nobody read bucket %d", id, id.Bucket())
		}
		var past []*pb.Event
		sp.events(func(_ uint64, _ int, e *pb.Event) {
			if proto.ID(e.Guild) == id && !ofUser(e) && len(e.Recipients) == 0 {
				past = append(past, e)
			}
		})
		if rightsOfNow {
			past = nil
		}
		end, wanted := ends(past, s.user), []proto.ID{s.user}
		if v.ranks != nil {
			end, wanted = known.end, nil
		}
		g := g.clone()
		switch err := g.rewind(past, wanted...); {
		case err != nil && !end:
			return nil, nil, fmt.Errorf("guild %d: %w", id, err)
		case err != nil:
			g = &guild{id: id, loaded: true, members: map[proto.ID]*member{}, classes: map[string]*class{}}
		}
		g.sequence = 0
		l.guilds[id] = g
		if v.ranks != nil && !end {
			g.members[s.user] = &member{row: &proto.Member{Roles: known.roles}}
		}
		if end && (v.ranks != nil || g.row(s.user) == nil) {
			v.ended[id] = true
			g.members[s.user] = &member{row: &proto.Member{}}
		}
		if g.row(s.user) == nil {
			continue // was no member yet: what follows it joins as it is now
		}
		v.begin[id] = rank{g.row(s.user).Roles, v.ended[id]}
		m := &membership{session: &s, guild: g}
		s.guilds[id] = m
		g.place(m)
	}
	return l, &s, nil
}

// rows are the guilds that frames are of, with what the user was in them at the beginning.
func (v *scene) rows(list []told) (rows []*pb.ResumeRow) {
	var guilds []proto.ID
	for _, t := range list {
		if t.guild != 0 {
			guilds = append(guilds, t.guild)
		}
	}
	for _, id := range distinct(guilds) {
		row := &pb.ResumeRow{Guild: uint64(id), End: v.begin[id].end}
		for _, role := range v.begin[id].roles {
			row.Roles = append(row.Roles, uint64(role))
		}
		rows = append(rows, row)
	}
	return rows
}

// ranksOf reads them.
func ranksOf(rows []*pb.ResumeRow) map[proto.ID]rank {
	ranks := make(map[proto.ID]rank, len(rows))
	for _, r := range rows {
		k := rank{end: r.End}
		for _, role := range r.Roles {
			k.roles = append(k.roles, proto.ID(role))
		}
		ranks[proto.ID(r.Guild)] = k
	}
	return ranks
}

// ends tells whether a guild ends before anything else tells of a user: then nobody knows any more what the user saw of it, but for the end.
func ends(past []*pb.Event, user proto.ID) bool {
	for _, e := range past {
		switch e.Type {
		case proto.EventGuildDelete:
			return true
		case proto.EventGuildMemberAdd, proto.EventGuildMemberRemove:
			if proto.ID(e.Id) == user {
				return false
			}
		}
	}
	return false
}

// positionAfter is where a client is that has the first n frames of a replay.
func (v *scene) positionAfter(list []told, n int64) map[int]*pb.ResumePosition {
	at := map[int]*pb.ResumePosition{}
	for b, sp := range v.spans {
		at[b] = sp.from
	}
	for _, t := range list[:min(n, int64(len(list)))] {
		at[int(t.at.Bucket)] = &pb.ResumePosition{Bucket: t.at.Bucket, Sequence: t.at.Sequence, Events: t.at.Event, Frames: t.frame + 1}
	}
	return at
}
