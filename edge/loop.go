package edge

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// inboxLen is how many messages may wait for the loop; then whoever posts waits: the reader of the log, or one client's own reader.
const inboxLen = 1024

// A message is something for the loop to do, in the order in which it was posted.
type message interface{ apply(l *loop) }

// A loop is the one goroutine that owns all state of the roster: guilds, classes, sessions, the cursor. Entries of the log and the wishes
// of connections come to it as messages, so that there is one order of everything, and no lock. It never waits: what takes time is a task,
// which posts its answer.
type loop struct {
	// Fixed at construction.
	cfg       *Config
	gateway   string
	log       *slog.Logger
	constants *constants
	interest  *interest
	beat      func() time.Time // when the hub was heard last
	cores     *cores
	inbox     chan message
	ctx       context.Context // of the loop's life
	guesses   *guesses
	identify  chan struct{} // a place per IDENTIFY that a core is being asked for
	locating  chan struct{} // a place per session that a core is being asked where its client stands
	now       func() time.Time

	// Any goroutine.
	tasks    sync.WaitGroup
	open     atomic.Int64 // connections
	draining atomic.Bool
	taken    atomic.Int64 // sessions that other edges took
	pace     pace         // of deliveries

	// Owned by run's goroutine.
	index    int64 // arrival index of the last numbered event
	gen      *generation
	encoder  *encoder
	payload  []byte
	cached   []*event
	clients  map[*client]struct{}
	sessions map[string]*session
	byKey    map[uint64]*session // those that cores know by a key
	users    map[proto.ID]*user
	guilds   map[proto.ID]*guild
	doomed   []*session
	reporter *reporter
	herald   *herald

	sandbox *sandbox // of a replay: what is given is collected, and nobody is asked

	// Of the journal.
	journal    journal // nil: sessions resume here alone
	applied    [proto.Buckets]uint64
	started    [proto.Buckets]bool
	journaled  int64                      // index up to which records were written
	snapshot   time.Time                  // of the last one
	parts      []*pb.JournalSnapshot      // of it that have yet to be written, before all else
	recordRoom int                        // things that may wait for the journal
	recordMost int                        // things that it takes in one record
	afterWrite []func()                   // wait for the next
	heldAt     time.Time                  // when the cores were told of moved sessions
	holding    bool                       // they are being told
	moved      map[int64]*generation      // of sessions that moved here, by base
	moves      map[int]map[*move]struct{} // those who collect a bucket's entries
	awaiting   map[int][]awaited          // answers by the bucket that they are ahead of

	cursor    cursor
	out       []outgoing
	delivered int // dispatches in out
}

func newLoop(s *Server, ctx context.Context) *loop {
	l := &loop{
		cfg: &s.cfg, gateway: s.gateway, log: s.cfg.Log, constants: newConstants(s.cfg.HeartbeatInterval.Milliseconds()),
		cores: newCores(s.bus, s.cfg.Region), inbox: make(chan message, inboxLen), ctx: ctx, guesses: &guesses{now: time.Now}, identify: make(chan struct{}, s.cfg.Identifies), locating: make(chan struct{}, s.cfg.Identifies),
		now: time.Now, gen: &generation{}, encoder: &encoder{}, clients: map[*client]struct{}{}, sessions: map[string]*session{}, byKey: map[uint64]*session{}, moves: map[int]map[*move]struct{}{}, moved: map[int64]*generation{}, awaiting: map[int][]awaited{}, recordRoom: roomOfRecord, recordMost: mostOfRecord,
		users: map[proto.ID]*user{}, guilds: map[proto.ID]*guild{}, beat: time.Now, cursor: newCursor(),
	}
	l.reporter, l.herald = newReporter(l), &herald{loop: l}
	return l
}

// post hands m to the loop, waiting for room; false once the loop has ended.
func (l *loop) post(m message) bool {
	select {
	case l.inbox <- m:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// task runs f beside the loop; f ends soon after ctx does.
func (l *loop) task(f func(ctx context.Context)) {
	l.tasks.Add(1)
	go func() {
		defer l.tasks.Done()
		f(l.ctx)
	}()
}

func (l *loop) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	flush := time.NewTicker(presenceFlush)
	defer flush.Stop()
	defer func() {
		sessionsGauge.Sub(float64(len(l.sessions)))
		guildsGauge.Sub(float64(len(l.guilds)))
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-l.inbox:
			l.batch(m)
		case t := <-tick.C:
			loopLag.Observe(time.Since(t).Seconds())
			l.tick()
			l.flush()
		case <-flush.C:
			l.reporter.flush()
			l.herald.flush()
			l.flush()
		}
	}
}

// batch applies a message and what waits already behind it, so that a batch grows with the load, and lets out what that gave.
func (l *loop) batch(m message) {
	m.apply(l)
	l.takeMore()
	l.dropDoomed()
	l.flush()
}

func (l *loop) takeMore() {
	for range maxBatch {
		select {
		case m := <-l.inbox:
			m.apply(l)
		default:
			return
		}
	}
}

// tick does what depends on time.
func (l *loop) tick() {
	now := l.now()
	l.pace.mark(now)
	inboxGauge.Set(float64(len(l.inbox)))
	l.dropEncodings()
	beat := l.cfg.HeartbeatInterval * 3 / 2
	for c := range l.clients {
		switch {
		case now.Sub(time.Unix(0, c.lastBeat.Load())) > beat:
			c.conn.Close(proto.CloseTimeout)
		case c.phase == fresh && now.Sub(c.opened) > l.cfg.IdentifyTimeout:
			c.conn.Close(proto.CloseTimeout)
		}
	}
	if err := l.cutOff(now); err != nil {
		l.isolate(err)
	}
	for _, s := range l.sessions {
		l.release(s, now)
		switch {
		case s.client == nil && now.Sub(s.detached) > l.cfg.SessionLife:
			l.drop(s)
		case s.held != nil && now.Sub(s.held.begun) > moveTimeout:
			l.giveUp(s.held, context.DeadlineExceeded)
		case s.last-s.gen.base > s.half()-1<<20: // s comes near the end of its half of the numbers
			if c := s.client; c != nil {
				l.detach(s)
				l.invalidate(c)
			}
			l.drop(s)
		}
	}
	l.speak(now)
	if l.index-l.gen.base > generationSpan/2 {
		l.gen = &generation{base: l.index}
	}
	for _, g := range l.guilds {
		if g.loaded && g.used() == 0 && now.Sub(g.idle) > l.cfg.GuildLinger {
			l.forgetGuild(g)
		}
	}
	l.dropLate(now)
	l.hold(now)
	l.herald.tick(now)
}

// onEntry implements relay.ReaderConfig: it blocks while the loop is behind.
func (l *loop) onEntry(bucket int, seq uint64, e *pb.Entry) { l.post(logEntry{bucket, seq, e}) }

func (l *loop) onEphemeral(bucket int, e *pb.Event) { l.post(ephemeral{e}) }

func (l *loop) onReset(bucket int) { l.post(reset{bucket}) }

// logEntry is an entry of a followed bucket, in order, exactly once.
type logEntry struct {
	bucket   int
	sequence uint64
	entry    *pb.Entry
}

func (m logEntry) apply(l *loop) {
	for i, e := range m.entry.Events {
		l.during(m.bucket, m.sequence, i, func() { l.logEvent(m.sequence, e) })
	}
	l.applied[m.bucket] = m.sequence
	l.collect(m)
	l.caughtUp(m.bucket)
}

// logEvent applies one event of the log.
func (l *loop) logEvent(seq uint64, e *pb.Event) {
	switch {
	case len(e.Recipients) > 0:
		l.directEvent(seq, e)
	case ofUser(e):
		l.userEvent(seq, e)
	default:
		if g := l.guilds[proto.ID(e.Guild)]; g != nil {
			l.guildEvent(g, seq, e)
		} else if u := l.users[proto.ID(e.Id)]; u != nil && e.Type == proto.EventGuildMemberAdd {
			for _, s := range u.each() { // as of this entry, so that positions tell who is in
				l.join(s, proto.ID(e.Guild), false)
			}
		}
	}
}

// ephemeral is an event that no log holds, typing for example.
type ephemeral struct{ event *pb.Event }

func (m ephemeral) apply(l *loop) {
	if len(m.event.Recipients) > 0 {
		l.directFleeting(m.event)
		return
	}
	g := l.guilds[proto.ID(m.event.Guild)]
	if g != nil && m.event.Type == proto.EventPresenceUpdate {
		l.herald.hear(g, m.event)
		return
	}
	if g == nil || !g.loaded || m.event.Type == "" || m.event.Type[0] == '_' {
		return
	}
	ev := newEvent(m.event)
	ev.fleeting = true
	l.fanOut(g, m.event, ev)
}

// reset says that what was built on a bucket's log has to be built anew. Its sessions are closed resumably, and find out by op 9.
type reset struct{ bucket int }

func (m reset) apply(l *loop) {
	l.log.Warn("log began anew", "bucket", m.bucket)
	for _, s := range l.sessions {
		if s.bucket == m.bucket || s.inBucket(m.bucket) {
			l.closeSession(s, proto.CloseUnknown)
		}
	}
	for _, u := range l.users {
		for p := range u.pending {
			p.stale = true // the bucket may be that of a direct channel
		}
	}
	for _, g := range l.guilds {
		if g.id.Bucket() != m.bucket {
			continue
		}
		if g.loaded {
			l.forgetGuild(g)
		} else {
			g.buffer, g.restart = nil, true
		}
	}
}

func (s *session) inBucket(bucket int) bool {
	for id := range s.guilds {
		if id.Bucket() == bucket {
			return true
		}
	}
	for id := range s.directs {
		if id.Bucket() == bucket {
			return true
		}
	}
	return false
}
