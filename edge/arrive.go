package edge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxSegments = 6
	baseStep    = 1 << 16 // sessions that come at about the same time share a generation
)

// fix decides where the session goes live, gives it its places, and has the replay made. What it gets from now on waits behind that.
func (l *loop) fix(v *move) {
	s := v.session
	v.ic = l.index
	sc := &scene{session: session{user: s.user, intents: s.intents, shard: s.shard, large: s.large, auth: s.auth, gen: s.gen},
		guilds: map[proto.ID]*guild{}, directs: map[proto.ID]struct{}{}, spans: v.spans}
	for b := range v.spans {
		v.to = append(v.to, &pb.ResumePosition{Bucket: uint32(b), Sequence: l.applied[b] + 1})
	}
	inOrder(v.to)
	v.learnLate()
	for b := range v.spans {
		delete(l.moves[b], v)
		if len(l.moves[b]) == 0 {
			delete(l.moves, b)
		}
	}
	in := guildsAfter(v.user.Guilds, v.homeEvents())
	v.in = in
	for _, id := range distinct(slices.Concat(in, v.joins)) {
		if s.guilds[id] == nil && s.inShard(id) {
			v.later = append(v.later, id)
		}
	}
	joins := v.joins
	v.joins = nil // those that come behind ic
	v.unseen()
	for id, m := range s.guilds {
		l.seatGuild(v, sc, id, m, slices.Contains(in, id) || slices.Contains(joins, id))
	}
	l.seatDirects(v, sc)
	v.ended, v.later = distinct(v.ended), distinct(v.later) // in one order, as user.each
	for _, id := range v.ended {                            // before what comes, in the guild's bucket too
		gone := ownEvent(proto.EventGuildDelete, proto.GuildStub{ID: id})
		gone.places = []*pb.JournalPlace{gonePlace(id)}
		l.give(s, gone)
	}
	before, answer, passed := v.answer.Record, v.answer, v.passed(sc)
	v.left = v.unshown()
	l.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, moveTimeout)
		defer cancel()
		m := arrived{move: v}
		if m.list, m.from, m.had, m.err = sc.make(answer, before, v.s); m.err == nil {
			m.segment = v.segment(l, m.list, m.from, v.leave(m.had))
			m.segment.Rows = sc.rows(m.list)
			if answer.Within > 0 {
				m.segment.Waiting = slices.Concat(m.segment.Waiting, passed)
			}
			for _, id := range m.had {
				m.segment.Waiting = append(m.segment.Waiting, v.gone(id))
			}
			if framesFirst {
				l.post(m)
			}
			m.lost, m.err = l.cores.commit(ctx, &pb.ResumeCommit{Before: before, Segment: m.segment})
		}
		l.post(m)
	})
}

// unseen finds the guilds that the client knows of, or may, was not shown, and is in no more, as far as its home has heard. The guild itself knows better:
// it is asked, and either shown or told the end of.
func (v *move) unseen() {
	for id, w := range v.waiting {
		if w.Guild && !w.Shown && v.knows(id) {
			v.later = append(v.later, id)
		}
	}
	for id := range v.joined {
		if v.waiting[id] == nil && v.knows(id) && !v.shown(id) {
			v.later = append(v.later, id)
		}
	}
	v.later = slices.DeleteFunc(distinct(v.later), func(id proto.ID) bool { return !v.session.inShard(id) })
}

// homeEvents are what happened to the user behind the snapshot that the core sent.
func (v *move) homeEvents() (list []buffered) {
	sp := v.spans[v.session.bucket]
	if sp == nil {
		return nil
	}
	sp.events(func(seq uint64, _ int, e *pb.Event) {
		if seq > v.user.Sequence && ofUser(e) && addressee(e) == v.session.user {
			list = append(list, buffered{seq, e})
		}
	})
	return list
}

// learnLate takes in what the user's bucket said while the move was under way.
func (v *move) learnLate() {
	for _, b := range v.homeEvents() {
		v.learn([]*pb.Event{b.event})
	}
}

// seatGuild gives a visited guild's place to the session, unless it has to be shown the guild anew.
func (l *loop) seatGuild(v *move, sc *scene, id proto.ID, m *membership, in bool) {
	s, g := v.session, m.guild
	stays, any, told, ended := g.row(s.user) != nil, false, false, false
	v.spans[id.Bucket()].events(func(_ uint64, _ int, e *pb.Event) {
		if proto.ID(e.Guild) != id || ofUser(e) {
			return
		}
		any = true
		switch {
		case e.Type == proto.EventGuildDelete:
			stays, told, ended = false, true, true
		case e.Type == proto.EventGuildMemberRemove && proto.ID(e.Id) == s.user:
			stays, told = false, true
		case e.Type == proto.EventGuildMemberAdd && proto.ID(e.Id) == s.user:
			stays = false // what is now is another stay than what was
		}
	})
	switch {
	case any && g.loaded:
		sc.guilds[id] = g.clone()
	case ended:
		sc.guilds[id] = (&guild{id: id}).clone()
	}
	if !ended && (!g.loaded || g.row(s.user) == nil && !told) { // nothing in the log says that it left, and it did
		v.ended = append(v.ended, id)
	}
	delete(g.guests, m)
	m.moving, m.homed = nil, slices.Contains(v.in, id) // a join that the guild's bucket told of the home may not have heard of
	if stays {
		g.place(m)
		return
	}
	l.leave(m)
	if in {
		v.later = append(v.later, id)
	}
}

// make makes the replay, and says where it begins. had are the places whose end the client was told in an earlier replay: if the user is back since,
// it is shown them anew, behind this one.
func (sc *scene) make(answer *pb.ResumeAnswer, before *pb.ResumeRecord, s int64) (list []told, from []*pb.ResumePosition, had []proto.ID, err error) {
	if n := answer.Within; n > 0 {
		// The client is inside of an earlier replay: that is made once more, as far as it went, and what the client has of it is left out. It need not be the
		// last: a RESUME that the client gave up long ago may have moved the session since.
		i := slices.IndexFunc(before.Segments, func(g *pb.ResumeSegment) bool { return g.Lo <= s && s < g.Lo+g.Replayed })
		if i < 0 {
			return nil, nil, nil, errReplay
		}
		last := before.Segments[i]
		first := *sc
		first.ranks = ranksOf(last.Rows)
		first.spans = map[int]*span{}
		for _, p := range last.To {
			if sp := sc.spans[int(p.Bucket)]; sp != nil {
				first.spans[int(p.Bucket)] = sp.up(below(p))
			}
		}
		first.whole = sc.spans
		list, err := first.replay()
		switch {
		case err != nil:
			return nil, nil, nil, err
		case int64(len(list)) < n:
			return nil, nil, nil, errReplay
		}
		spans := map[int]*span{}
		for b, p := range first.positionAfter(list, n) {
			spans[b] = sc.spans[b].at(p)
		}
		for b, sp := range sc.spans {
			if spans[b] == nil {
				spans[b] = sp
			}
		}
		sc.spans = spans
		if had, err = endsIn(list[:n]); err != nil {
			return nil, nil, nil, err
		}
		for _, id := range had {
			delete(sc.guilds, id)
			delete(sc.directs, id)
		}
	}
	list, err = sc.replay()
	for _, sp := range sc.spans {
		from = append(from, sp.from)
	}
	inOrder(from)
	return list, from, had, err
}

// endsIn are the guilds and direct channels whose end some frames tell.
func endsIn(list []told) (ended []proto.ID, err error) {
	for _, t := range list {
		if t.event.kind != proto.EventGuildDelete && t.event.kind != proto.EventChannelDelete {
			continue
		}
		var gone struct {
			ID    proto.ID `json:"id"`
			Guild proto.ID `json:"guild_id"`
		}
		if err := json.Unmarshal(t.event.body, &gone); err != nil {
			return nil, err
		}
		if gone.Guild == 0 {
			ended = append(ended, gone.ID)
		}
	}
	return ended, nil
}

// inOrder has the same move give the same record.
func inOrder(list []*pb.ResumePosition) {
	slices.SortFunc(list, func(a, b *pb.ResumePosition) int { return cmp.Compare(a.Bucket, b.Bucket) })
}

// segment is the session's stay here, as the registry is to have it.
func (v *move) segment(l *loop, list []told, from []*pb.ResumePosition, left []*pb.JournalPlace) *pb.ResumeSegment {
	n := int64(len(list))
	base := (v.ic - v.answer.Lo - n) &^ (baseStep - 1) // at most ic - (lo + n)
	seg := &pb.ResumeSegment{N: v.answer.N, Edge: l.cfg.Name, Boot: l.journal.Boot(), Base: base, S0: v.s, Lo: v.answer.Lo, Replayed: n, Ic: v.ic,
		From: from, To: v.to, Waiting: v.answer.Waiting, Left: left, TimeMs: l.now().UnixMilli(), Tail: v.answer.Tail}
	return seg
}

// knows tells whether the client knows of a guild that it is yet to be shown, or may; of those whose end it was told, or the replay says, it does not.
func (v *move) knows(id proto.ID) bool {
	w := v.waiting[id]
	if _, since := v.joined[id]; v.doubt() && (since || !w.GetGone()) {
		return true
	}
	return w.GetKnown() && !w.Shown && !w.Gone
}

// doubt tells whether the client may have been told more than is known, since the tail of a journal was lost.
func (v *move) doubt() bool { return v.answer.Tail || lostTail(v.answer.Record) }

// lostTail tells whether a session came through a move of which nobody knows what the client had. What it was shown then it may have yet, although
// its home says only now that the guild came, and went.
func lostTail(rec *pb.ResumeRecord) bool {
	return slices.ContainsFunc(rec.GetSegments(), func(g *pb.ResumeSegment) bool { return g.Tail })
}

// passed are the places that the user's home, between the client's position and ic, told of: whoever goes on from within the replay may be behind that.
func (v *move) passed(sc *scene) (list []*pb.JournalPlace) {
	for id := range v.joined {
		if w := v.waiting[id]; w == nil {
			list = append(list, &pb.JournalPlace{Place: uint64(id), Guild: true, Shown: v.shown(id), Known: !v.shown(id) && v.knows(id)})
		}
	}
	for id, since := range v.due {
		if _, had := sc.directs[id]; !had {
			list = append(list, &pb.JournalPlace{Place: uint64(id), Since: uint64(since)})
		}
	}
	slices.SortFunc(list, func(a, b *pb.JournalPlace) int { return cmp.Compare(a.Place, b.Place) })
	return list
}

// unshown are the places that the client has not at ic.
func (v *move) unshown() (left []*pb.JournalPlace) {
	if p := looksLike(v.session.posture.wish.status); !p.Gone {
		left = append(left, p)
	}
	for _, id := range v.later {
		told := v.shown(id) && !slices.Contains(v.ended, id) // by the replay
		left = append(left, &pb.JournalPlace{Place: uint64(id), Guild: true, Shown: v.shown(id) && !told, Gone: told || v.waiting[id].GetGone() && !v.knows(id), Known: v.knows(id)})
	}
	for _, id := range v.ended {
		if !slices.Contains(v.later, id) {
			left = append(left, &pb.JournalPlace{Place: uint64(id), Guild: true, Shown: v.shown(id), Known: true})
		}
	}
	for id, m := range v.session.guilds {
		if !m.homed {
			left = append(left, &pb.JournalPlace{Place: uint64(id), Guild: true, Shown: true})
		}
	}
	left = append(left, v.directsLeft()...)
	slices.SortFunc(left, func(a, b *pb.JournalPlace) int { return cmp.Compare(a.Place, b.Place) })
	return left
}

// leave is what is unshown once the client was told of the ends that it had.
func (v *move) leave(had []proto.ID) []*pb.JournalPlace {
	out := make([]*pb.JournalPlace, 0, len(v.left))
	for _, p := range v.left {
		switch id := proto.ID(p.Place); {
		case !p.Guild || !slices.Contains(had, id):
			out = append(out, p)
		case slices.Contains(v.later, id):
			out = append(out, gonePlace(id))
		}
	}
	return out
}

// pending are the places that the session is to be shown once it is here, or was told the end of by what waits till then.
func (v *move) pending() (list []*pb.JournalPlace) {
	add := func(p *pb.JournalPlace) {
		p.Session = v.session.key
		list = append(list, p)
	}
	for _, p := range v.left {
		add(gproto.CloneOf(p))
	}
	for _, id := range v.ended {
		add(gonePlace(id))
	}
	for _, id := range v.joins {
		add(&pb.JournalPlace{Place: uint64(id), Guild: true})
	}
	for _, p := range v.late {
		add(gproto.CloneOf(p))
	}
	return list
}

// gone is the journal's word for a place whose end a replay told.
func (v *move) gone(id proto.ID) *pb.JournalPlace {
	if p := v.over[id]; p != nil {
		return gproto.CloneOf(p)
	}
	return gonePlace(id)
}

// gonePlace is the journal's word for a guild whose end the client was told.
func gonePlace(id proto.ID) *pb.JournalPlace {
	return &pb.JournalPlace{Place: uint64(id), Guild: true, Gone: true}
}

// commit has a core note the move.
func (c *cores) commit(ctx context.Context, call *pb.ResumeCommit) (lost bool, err error) {
	ans := new(pb.ResumeCommitAnswer)
	err = c.ask(ctx, "resumed", call, ans, func() error {
		if ans.Error != "" || !ans.Ok && !ans.Lost {
			return errors.New("not noted: " + ans.Error)
		}
		return nil
	})
	return ans.Lost, err
}

// arrived ends a move: it is noted, and the client may be told.
type arrived struct {
	move    *move
	list    []told
	from    []*pb.ResumePosition
	had     []proto.ID
	segment *pb.ResumeSegment
	lost    bool
	err     error
}

func (m arrived) apply(l *loop) {
	v, s := m.move, m.move.session
	switch {
	case s.dropped || framesFirst && s.held == nil:
		return
	case m.err != nil:
		l.giveUp(v, m.err)
		return
	case m.lost:
		l.giveUp(v, errors.New("somebody else moved the session"))
		return
	}
	s.record = gproto.Clone(v.answer.Record).(*pb.ResumeRecord)
	s.record.Segments = append(s.record.Segments, m.segment)
	if n := len(s.record.Segments); n > maxSegments {
		s.record.Segments = s.record.Segments[n-maxSegments:]
	}
	s.ring.lost = v.ic
	v.noted, v.stay, v.list = true, m.segment, m.list
	for _, id := range m.had {
		v.waiting[id] = v.gone(id)
	}
	l.stream(v)
}
