package edge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	identifyTimeout = 12 * time.Second // for the cores' answer; READY has to come within 15 s
	maxShards       = 1 << 14
	maxKept         = 1 << 10 // events of the user while a core is being asked
)

// onIdentify checks what the edge itself can check; a core has to verify the token.
func (c *client) onIdentify(d json.RawMessage) {
	var id proto.Identify
	if json.Unmarshal(d, &id) != nil {
		c.conn.Close(proto.CloseDecode)
		return
	}
	intents := proto.IntentsAll
	if id.Intents != nil {
		intents = *id.Intents
	}
	shard := [2]int{0, 1}
	if id.Shard != nil {
		shard = *id.Shard
	}
	token := bareToken(id.Token)
	user, ok := claimedUser(token)
	switch {
	case intents&^proto.IntentsAll != 0:
		c.conn.Close(proto.CloseInvalidIntents)
	case shard[1] < 1 || shard[1] > maxShards || shard[0] < 0 || shard[0] >= shard[1]:
		c.conn.Close(proto.CloseInvalidShard)
	case !ok:
		identifies.WithLabelValues("bad_token").Inc()
		c.badToken()
	default:
		look, err := readWish(id.Presence)
		if err != nil {
			look = wish{status: proto.StatusOnline}
		}
		c.loop.post(identifyAsk{&pending{client: c, token: token, user: user, intents: intents, shard: shard,
			large: min(max(id.LargeThreshold, 50), allMembers), wish: look, device: deviceOf(id.Properties)}})
	}
}

// A pending identify waits for a core. Meanwhile it keeps the user's events, so that none falls between the core's snapshot and READY.
type pending struct {
	client  *client
	token   string
	user    proto.ID // as the token claims
	intents int64
	shard   [2]int
	large   int
	device  string
	gen     *generation // that the session is to have; the loop's

	// Owned by the loop.
	wish   wish
	kept   []buffered
	direct []buffered // of direct channels
	stale  bool       // too much came, or the log began anew
	key    uint64     // that the journal has it under; 0: it has not
}

func (p *pending) keep(seq uint64, e *pb.Event) {
	if len(p.kept) == maxKept {
		p.stale = true
		return
	}
	p.kept = append(p.kept, buffered{seq, e})
}

// identifyAsk begins an identify.
type identifyAsk struct{ pending *pending }

func (m identifyAsk) apply(l *loop) {
	p, c := m.pending, m.pending.client
	if c.gone {
		return
	}
	if c.phase != fresh {
		c.conn.Close(proto.CloseIdentifiedTwice)
		return
	}
	c.phase, c.pending = identifying, p
	p.gen = l.gen
	l.user(p.user).pending[p] = struct{}{}
	l.task(func(ctx context.Context) {
		ans, held, err := l.askIdentify(ctx, p)
		if err == nil && !ans.Limited {
			err = l.journaledSoon(ctx, p, ans.Key)
		}
		var directs []*heldDirect
		if err == nil && !ans.Limited && p.shard[0] == directShard {
			directs = l.askDirects(ctx, ans.User)
		}
		if d := startWait(ans, err); d > 0 {
			limited.WithLabelValues("starts").Inc()
			wait(ctx, d) // what happens to the user meanwhile is kept
		}
		if !l.post(identified{pending: p, answer: ans, held: held, directs: directs, err: err}) {
			l.releaseDirects(directs)
			if held {
				l.interest.release(p.user.Bucket())
			}
		}
	})
}

// askIdentify verifies the token and follows the user's bucket; held says that the follow is to be released. The snapshot has to be taken
// after the bucket is followed. Where nobody follows it yet the token is verified first: strangers shall not choose what the edge hears.
func (l *loop) askIdentify(ctx context.Context, p *pending) (ans *pb.IdentifyAnswer, held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	select {
	case l.identify <- struct{}{}:
		defer func() { <-l.identify }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	bucket := p.user.Bucket()
	known := l.interest.has(bucket)
	if !known {
		if ans, err = l.cores.identify(ctx, p.token, nil); err != nil {
			return nil, false, err
		}
	}
	if err = l.interest.follow(ctx, bucket); err != nil {
		return nil, false, err
	}
	ans, err = l.cores.identify(ctx, p.token, l.origin(p))
	return ans, true, err
}

// origin is where the session begins, for the core to sign.
func (l *loop) origin(p *pending) *pb.SessionOrigin {
	o := &pb.SessionOrigin{Edge: l.cfg.Name, Base: p.gen.base, Intents: p.intents, Shard: uint32(p.shard[0]), Shards: uint32(p.shard[1]), Large: uint32(p.large)}
	if l.journal != nil {
		o.Boot = l.journal.Boot()
	}
	return o
}

// maxStartWait bounds how long the cores may have a session wait: READY has to come within 15 s.
const maxStartWait = 10 * time.Second

// startWait is how long the cores want a session to wait, because the user starts many.
func startWait(ans *pb.IdentifyAnswer, err error) time.Duration {
	if err != nil || ans.User == nil {
		return 0
	}
	return min(time.Duration(ans.WaitMs)*time.Millisecond, maxStartWait)
}

// identified ends an identify.
type identified struct {
	pending *pending
	answer  *pb.IdentifyAnswer
	held    bool
	directs []*heldDirect
	err     error
}

func (m identified) apply(l *loop) {
	if l.await(m) {
		return
	}
	p, c := m.pending, m.pending.client
	if u := l.users[p.user]; u != nil {
		delete(u.pending, p)
		l.forgetUser(p.user, u)
	}
	if c.pending == p {
		c.pending, c.phase = nil, fresh
	}
	if code := m.verdict(l); c.gone || code != 0 {
		switch code {
		case 0:
		case proto.CloseAuthFailed:
			c.badToken()
		default:
			c.turnAway(code, m.err)
		}
		l.releaseDirects(m.directs)
		if m.held {
			l.interest.release(p.user.Bucket())
		}
		return
	}
	identifies.WithLabelValues("ok").Inc()
	l.begin(p, m.answer, m.directs)
}

// verdict says what to close with; 0 = let in.
func (m identified) verdict(l *loop) proto.CloseCode {
	switch {
	case errors.Is(m.err, errBadToken):
		identifies.WithLabelValues("bad_token").Inc()
		return proto.CloseAuthFailed
	case m.err != nil:
		identifies.WithLabelValues("no_answer").Inc()
		l.log.Warn("identify", "err", m.err)
		return proto.CloseRestart
	case proto.ID(m.answer.User.User) != m.pending.user:
		identifies.WithLabelValues("bad_token").Inc()
		return proto.CloseAuthFailed
	case m.answer.Limited:
		identifies.WithLabelValues("limited").Inc()
		limited.WithLabelValues("starts").Inc()
		return proto.CloseRateLimited
	case m.pending.stale:
		identifies.WithLabelValues("stale").Inc()
		return proto.CloseRestart
	}
	return 0
}

// begin opens the session: READY, then what happened to the user since the core's snapshot, then each guild as it is loaded.
func (l *loop) begin(p *pending, ans *pb.IdentifyAnswer, directs []*heldDirect) {
	c := p.client
	var self proto.SelfUser
	if err := json.Unmarshal(ans.User.Self, &self); err != nil {
		l.log.Error("identify: user not understood", "err", err)
		c.conn.Close(proto.CloseUnknown)
		l.releaseDirects(directs)
		l.interest.release(p.user.Bucket())
		return
	}
	s := &session{id: cmp.Or(ans.Session, newSessionID()), key: ans.Key, user: p.user, bucket: p.user.Bucket(), intents: p.intents, shard: p.shard,
		large: p.large, gen: p.gen,
		since: ans.User.Sequence, token: hashToken(p.token), auth: proto.ID(ans.AuthSession), guilds: map[proto.ID]*membership{}, client: c,
		directs: map[proto.ID]*seat{}, closed: map[proto.ID]closing{},
		ring: ring{maxEvents: l.cfg.RingEvents, maxBytes: l.cfg.RingBytes}}
	l.sessions[s.id] = s
	if s.key != 0 {
		l.byKey[s.key] = s
	}
	l.user(s.user).sessions[s] = struct{}{}
	c.session, c.phase = s, live
	sessionsGauge.Inc()
	s.posture.device = p.device
	l.pose(s, p.wish)
	l.reporter.show(s)

	since := slices.DeleteFunc(p.kept, func(b buffered) bool { return b.sequence <= ans.User.Sequence })
	guilds := guildsAfter(ans.User.Guilds, since)
	seated, later := l.takeSeats(s, directs)
	seated, ended := l.foldDirects(seated, p.direct)
	listed := make([]json.RawMessage, 0, len(seated))
	for _, x := range seated {
		listed = append(listed, x.body)
	}
	ready := l.ready(s, c.version, foldSelf(self, since), guilds, listed)
	ready.places = []*pb.JournalPlace{{Known: true}} // all guilds wait; direct channels are those that the user's bucket has in its list here
	if looks := looksLike(s.posture.wish.status); !looks.Gone {
		ready.places = append(ready.places, looks)
	}
	for _, id := range guilds {
		if s.inShard(id) {
			ready.places = append(ready.places, &pb.JournalPlace{Place: uint64(id), Guild: true, Known: true})
		}
	}
	for id, c := range s.closed {
		ready.places = append(ready.places, c.place(id))
	}
	ready.asOf = l.shows(s)
	l.give(s, ready)
	l.park(c, s.last)
	s.ring = ring{maxEvents: s.ring.maxEvents, maxBytes: s.ring.maxBytes, lost: s.last} // a client without READY has nothing to resume
	for _, b := range since {
		internal := b.event.Type == "" || b.event.Type[0] == '_' // the rest is in READY
		if internal && b.event.Type != proto.EventInternalGuildJoined && !l.userEventFor(s, b.event, newEvent(b.event)) {
			return
		}
	}
	for _, x := range ended {
		l.endDirect(x.seat, x.end)
	}
	for _, id := range later {
		l.openDirect(s, id, saidSince(l.now()))
	}
	for _, id := range guilds {
		if m := l.join(s, id, true); m != nil {
			m.homed = true
		}
	}
}

// guildsAfter applies joins and leaves to the list of a user's guilds.
func guildsAfter(list []uint64, since []buffered) []proto.ID {
	guilds := make([]proto.ID, 0, len(list))
	for _, id := range list {
		guilds = append(guilds, proto.ID(id))
	}
	for _, b := range since {
		id := proto.ID(b.event.Guild)
		switch b.event.Type {
		case proto.EventInternalGuildJoined:
			if !slices.Contains(guilds, id) {
				guilds = append(guilds, id)
			}
		case proto.EventInternalGuildLeft:
			guilds = slices.DeleteFunc(guilds, func(g proto.ID) bool { return g == id })
		}
	}
	return guilds
}

func (l *loop) ready(s *session, version int, self proto.SelfUser, guilds []proto.ID, directs []json.RawMessage) *event {
	d := proto.Ready{V: version, User: self, Guilds: []proto.GuildStub{}, PrivateChannels: directs, SessionID: s.id,
		ResumeGatewayURL: l.gateway, Shard: s.shard, Application: proto.Application{ID: s.user}, Trace: []string{l.cfg.Name}}
	for _, id := range guilds {
		if s.inShard(id) {
			d.Guilds = append(d.Guilds, proto.GuildStub{ID: id, Unavailable: true})
		}
	}
	return ownEvent(proto.EventReady, d)
}
