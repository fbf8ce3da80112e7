package edge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	journals "github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	moveTimeout        = 25 * time.Second // from RESUME to the first frame; resume.md allows 30
	maxHeldWhileMoving = 1 << 14          // events that a session gets while its replay is made
)

var errReplay = errors.New("the log cannot be replayed")

// A move brings a session that was elsewhere, or was let go here, to this edge (resume.md, rules 8 to 11). A core says how far the client is. The edge
// follows all buckets of the session and loads its guilds; once it has applied what the client has, it fixes where the session goes live,
// collects what the log holds from the client's position to there, replays that by the rights of each moment, has a core note the move, and only
// then sends a byte. Owned by the loop, but for what its tasks are given.
type move struct {
	client  *client
	answer  *pb.ResumeAnswer
	user    *pb.UserSnapshot
	session *session
	begun   time.Time
	s       int64 // that the client has

	waiting  map[proto.ID]*pb.JournalPlace
	nothing  bool                    // no guild was shown but those that waiting says were
	unready  bool                    // nor READY, as far as anybody knows
	guilds   []proto.ID              // of the user, now or at the client's position
	joined   map[proto.ID]bool       // guilds of which the user's bucket told since; true: a join first, so that they were not in the list
	ended    []proto.ID              // shown guilds that the user is in no more, although the log does not say so
	opened   map[proto.ID][]proto.ID // direct channels of which the user's bucket told since that they came into the list, and the ids of that
	turned   map[proto.ID]bool       // direct channels of which it told since; true: an opening first, so that they were not in the list
	closings map[proto.ID]proto.ID   // ids of the last closing of each that it told of
	listed   map[proto.ID]proto.ID   // direct channels that its list has in what the core said, no older than the client's position, and ids of the openings
	listing  map[proto.ID]proto.ID   // that list as it is now
	directs  []proto.ID
	follows  []int // buckets, each followed once for the move

	gathering bool // the loop's; until it is over guilds, direct channels and follows are the task's

	spans     map[int]*span
	starts    map[int]uint64 // where the collected entries of a bucket begin
	read      bool           // what was before them is there
	unsettled int            // guilds that load
	joins     []proto.ID     // guilds that the user joined meanwhile

	fixed bool
	ic    int64
	to    []*pb.ResumePosition // where each bucket was at ic
	in    []proto.ID           // guilds that the user's bucket has in its list
	later []proto.ID
	left  []*pb.JournalPlace            // not shown at ic
	due   map[proto.ID]proto.ID         // direct channels to open once the session is here, and the ids that messages to tell are above
	over  map[proto.ID]*pb.JournalPlace // direct channels that left the list since, and the journal's word for them behind that; nobody changes it once it is fixed
	sure  []*pb.JournalPlace            // direct channels that the client was shown, as the journal says
	late  []*pb.JournalPlace            // direct channels that came into the list behind ic
	held  []*event                      // since ic

	noted bool // by a core: the session is here
	stay  *pb.ResumeSegment
	list  []told // the replay
	sent  int    // of it
}

// at is the client's position in a bucket; nil if nobody followed it at the session's edge.
func (v *move) at(bucket int) *pb.ResumePosition { return journals.Find(v.answer.From, bucket) }

// shown tells whether the client was shown a guild or direct channel at its position.
func (v *move) shown(id proto.ID) bool {
	if v.at(id.Bucket()) == nil {
		return false
	}
	if w := v.waiting[id]; w != nil {
		return w.Shown
	}
	return !v.nothing && !v.joined[id]
}

// looks is how the session wished to look.
func (v *move) looks() proto.Status {
	if w := v.waiting[looksPlace]; w != nil && !w.Gone && w.Since < uint64(len(looksOrder)) {
		return looksOrder[w.Since]
	}
	return proto.StatusOnline
}

// resumePatience is how long a client of a herd waits before a core is asked: to be sent away, and come again as the last, takes longer. Clients
// wait for RESUMED without a bound as long as their heartbeats are answered; some give up after a minute.
const resumePatience = 25 * time.Second

// resumeElsewhere asks the cores where the session is and what its client has.
func (l *loop) resumeElsewhere(m resumeAsk) {
	c := m.client
	c.phase = identifying
	l.task(func(ctx context.Context) {
		turn := time.NewTimer(resumePatience)
		defer turn.Stop()
		select {
		case l.locating <- struct{}{}:
			defer func() { <-l.locating }()
		case <-turn.C:
			l.post(located{m, nil, &herdError{maxStartWait}})
			return
		case <-ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
		defer cancel()
		ans, err := l.cores.locate(ctx, &pb.ResumeCall{Token: m.token, Session: m.id, S: m.seq, Edge: l.cfg.Name, Boot: l.journal.Boot()})
		l.post(located{m, ans, err})
	})
}

// locate asks until somebody can say.
func (c *cores) locate(ctx context.Context, call *pb.ResumeCall) (*pb.ResumeAnswer, error) {
	ans := new(pb.ResumeAnswer)
	ask := func() error {
		return c.ask(ctx, "resume", call, ans, func() error {
			if ans.Outcome == pb.ResumeAnswer_RETRY {
				return errors.New(ans.Why)
			}
			return nil
		})
	}
	err := ask()
	if err == nil && ans.Outcome == pb.ResumeAnswer_LATER {
		if err = comeAgain(ctx, ans.LaterMs); err == nil {
			call.Admitted = true
			err = ask()
		}
	}
	return ans, err
}

// located goes on with a resume once a core has found the session.
type located struct {
	ask    resumeAsk
	answer *pb.ResumeAnswer
	err    error
}

func (m located) apply(l *loop) {
	c := m.ask.client
	if c.gone || c.phase != identifying {
		return
	}
	c.phase = fresh
	user := new(pb.UserSnapshot)
	if m.err == nil && m.answer.Outcome == pb.ResumeAnswer_OK {
		m.err = gproto.Unmarshal(m.answer.User, user)
	}
	switch {
	case m.err != nil:
		resumes.WithLabelValues("no_answer").Inc()
		l.log.Warn("resume", "err", m.err)
		c.turnAway(proto.CloseRestart, m.err)
	case m.answer.Outcome == pb.ResumeAnswer_BAD_TOKEN:
		resumes.WithLabelValues("bad_token").Inc()
		c.badToken()
	case m.answer.Outcome == pb.ResumeAnswer_OK:
		l.moveHere(m, user)
	default:
		resumes.WithLabelValues("unknown").Inc()
		l.log.Info("session not resumed", "why", m.answer.Why)
		l.invalidate(c)
	}
}

// moveHere makes the session, still silent.
func (l *loop) moveHere(m located, user *pb.UserSnapshot) {
	c, o := m.ask.client, m.answer.Record.Origin
	if old := l.sessions[m.ask.id]; old != nil {
		l.closeSession(old, proto.CloseUnknown)
	}
	v := &move{client: c, answer: m.answer, user: user, begun: l.now(), s: m.ask.seq, gathering: true, waiting: map[proto.ID]*pb.JournalPlace{},
		opened: map[proto.ID][]proto.ID{}, turned: map[proto.ID]bool{}, closings: map[proto.ID]proto.ID{}, listed: map[proto.ID]proto.ID{}, due: map[proto.ID]proto.ID{}, over: map[proto.ID]*pb.JournalPlace{}, joined: map[proto.ID]bool{}, spans: map[int]*span{}, starts: map[int]uint64{}}
	for _, w := range m.answer.Waiting {
		if w.Place == 0 {
			v.nothing, v.unready = true, !w.Known
			continue
		}
		v.waiting[proto.ID(w.Place)] = w
	}
	s := &session{id: m.ask.id, key: o.Key, user: proto.ID(o.User), bucket: proto.ID(o.User).Bucket(), intents: o.Intents,
		shard: [2]int{int(o.Shard), int(max(o.Shards, 1))}, large: int(o.Large), gen: l.gen, token: hashToken(m.ask.token), auth: proto.ID(m.answer.Login),
		guilds: map[proto.ID]*membership{}, directs: map[proto.ID]*seat{}, closed: map[proto.ID]closing{}, client: c, held: v, last: l.index, spoken: l.now(),
		ring: ring{maxEvents: l.cfg.RingEvents, maxBytes: l.cfg.RingBytes}}
	s.posture = posture{wish: wish{status: v.looks()}, device: deviceOf(nil), active: l.now()}
	v.session = s
	l.sessions[s.id], l.byKey[s.key] = s, s
	l.user(s.user).sessions[s] = struct{}{}
	c.session, c.phase = s, live
	sessionsGauge.Inc()
	l.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, moveTimeout)
		defer cancel()
		err := v.gather(ctx, l)
		if !l.post(gathered{v, err}) {
			v.letGo(l)
		}
	})
}

// letGo gives back the buckets that a move holds.
func (v *move) letGo(l *loop) {
	for _, b := range v.follows {
		l.interest.release(b)
	}
	v.follows = nil
}

// gathered has everything followed: from here on the loop collects.
type gathered struct {
	move *move
	err  error
}

func (m gathered) apply(l *loop) {
	v, s := m.move, m.move.session
	v.gathering = false
	if s.dropped { // meanwhile: what was followed since nobody else gives back
		v.letGo(l)
		return
	}
	if m.err != nil {
		l.giveUp(v, m.err)
		return
	}
	for _, b := range v.follows {
		from := v.at(b)
		if from == nil {
			continue // nothing of it was shown
		}
		v.spans[b], v.starts[b] = &span{from: from}, l.applied[b]
		if l.moves[b] == nil {
			l.moves[b] = map[*move]struct{}{}
		}
		l.moves[b][v] = struct{}{}
	}
	for _, id := range v.guilds {
		if v.shown(id) {
			v.unsettled++
			l.visit(v, id)
		}
	}
	starts := v.starts // nobody changes it
	l.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, moveTimeout)
		defer cancel()
		past := map[int][]logEntry{}
		var mu sync.Mutex
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(followsAtOnce)
		for b, to := range starts {
			g.Go(func() error {
				var list []logEntry
				err := l.interest.reader.Range(ctx, b, below(v.at(b)), to, func(seq uint64, e *pb.Entry) error {
					list = append(list, logEntry{b, seq, e})
					return nil
				})
				mu.Lock()
				defer mu.Unlock()
				past[b] = list
				return err
			})
		}
		l.post(pastRead{v, past, g.Wait()})
	})
}

// visit loads a guild for a session that is to have a place in it without a word.
func (l *loop) visit(v *move, id proto.ID) {
	g := l.guilds[id]
	if g == nil {
		g = &guild{id: id, idle: l.now()}
		l.guilds[id] = g
		guildsGauge.Inc()
	}
	m := &membership{session: v.session, guild: g, moving: v}
	v.session.guilds[id] = m
	if g.loaded {
		l.admit(g, m)
		return
	}
	g.waiting = append(g.waiting, m)
	if !g.loading {
		l.load(g, 0)
	}
}

// settle takes note that a visited guild is loaded, and that it is known whether the user is a member now.
func (l *loop) settle(m *membership) {
	v, g := m.moving, m.guild
	if m.settled {
		return
	}
	m.settled = true
	if g.guests == nil {
		g.guests = map[*membership]struct{}{}
	}
	g.guests[m] = struct{}{}
	v.unsettled--
	l.tryFix(v)
}

// pastRead brings what the log held before the loop began to collect.
type pastRead struct {
	move *move
	past map[int][]logEntry
	err  error
}

func (m pastRead) apply(l *loop) {
	v := m.move
	if m.err != nil || v.session.dropped {
		l.giveUp(v, m.err)
		return
	}
	for b, list := range m.past {
		v.spans[b].entries = append(list, v.spans[b].entries...)
	}
	v.read = true
	l.tryFix(v)
}

// collect hands an entry to the moves that want it.
func (l *loop) collect(m logEntry) {
	list := slices.Collect(maps.Keys(l.moves[m.bucket]))
	slices.SortFunc(list, func(a, b *move) int { return strings.Compare(a.session.id, b.session.id) }) // as user.each
	for _, v := range list {
		if sp := v.spans[m.bucket]; m.sequence >= sp.from.Sequence {
			sp.entries = append(sp.entries, m)
		}
		l.tryFix(v)
	}
}

// tryFix goes on once all is loaded, read, and applied as far as the client is.
func (l *loop) tryFix(v *move) {
	if v.fixed || !v.read || v.unsettled > 0 || v.session.dropped || l.cursor.at != nil { // amid an entry it would lack what is before the event
		return
	}
	if l.applied[v.session.bucket] < v.user.Sequence { // the list of guilds is of that moment, and ic has to be of it too
		return
	}
	for b, sp := range v.spans {
		if l.applied[b] < applied(sp.from) {
			return
		}
	}
	for id, m := range v.session.guilds { // the tables are of a moment that may be ahead of the log here
		need := m.guild.sequence
		if row := m.guild.members[v.session.user]; row != nil {
			need = max(need, row.sequence)
		}
		if m.guild.loaded && l.applied[id.Bucket()] < need || m.absent && !v.spans[id.Bucket()].tells(id) { // the client hears of the end in its place
			return
		}
	}
	v.fixed = true
	l.fix(v)
}

// giveUp closes the connection of a move that comes to nothing; its client tries again.
func (l *loop) giveUp(v *move, err error) {
	if err != nil && !v.session.dropped {
		resumes.WithLabelValues("failed").Inc()
		l.log.Warn("session not moved", "user", v.session.user, "err", err)
		l.hangUp(v.client, proto.CloseUnknown)
	}
	l.drop(v.session)
}

// endMove ends what a dropped session's move holds.
func (l *loop) endMove(v *move) {
	for b := range v.spans {
		delete(l.moves[b], v)
		if len(l.moves[b]) == 0 {
			delete(l.moves, b)
		}
	}
	if !v.gathering { // else once it is over
		v.letGo(l)
	}
}

// holdBack keeps what a session gets before its replay is sent.
func (l *loop) holdBack(v *move, e *event) {
	if !v.fixed {
		return // it is in the replay
	}
	if len(v.held) == maxHeldWhileMoving {
		l.doomed = append(l.doomed, v.session)
		l.hangUp(v.client, proto.CloseUnknown)
		return
	}
	v.held = append(v.held, e)
}

func (v *move) String() string { return fmt.Sprintf("session of user %d at s %d", v.session.user, v.s) }
