package edge

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A session is what a client identified as. It outlives its connection for a while, stays in the roster, and keeps filling its ring.
// All of it is owned by the loop.
type session struct {
	// Fixed at construction.
	id      string
	user    proto.ID
	bucket  int // of the user; the session holds one follow of it
	intents int64
	shard   [2]int
	large   int // large_threshold
	gen     *generation
	since   uint64 // sequence of the user's bucket that the session began with: what is not above it was known then

	token    tokenHash
	auth     proto.ID // login; 0 for bots
	guilds   map[proto.ID]*membership
	directs  map[proto.ID]*seat
	closed   map[proto.ID]closing // direct channels where its seat has ended
	client   *client              // nil while detached
	detached time.Time            // when the connection was lost
	left     int64                // index of the last dispatch before that
	last     int64                // index of the last dispatch
	ring     ring
	dropped  bool
	past     map[proto.ID]struct{} // guilds whose end it was told, while the user's bucket has them in the list yet
	queries  int                   // op 8 that cores are being asked for
	key      uint64                // by which cores know it; 0: they do not
	record   *pb.ResumeRecord      // of a session that moved: how it came here
	held     *move                 // it is on its way here
	spoken   time.Time             // when it was sent something last
	serial   uint64                // of the event of the log that it got frames of last
	frames   int64                 // how many of that
	posture  posture
}

// A membership is a session's place in a guild.
type membership struct {
	session *session
	guild   *guild
	class   *class // nil until GUILD_CREATE was sent
	at      int    // index in class.members
	listed  bool   // the client knows of the guild, from READY
	told    bool   // that the guild is unavailable
	homed   bool   // the user's bucket has the guild in its list
	moving  *move  // the session is on its way here, and was shown the guild elsewhere
	settled bool   // then: the guild is loaded, and whether the user is a member is known
	absent  bool   // then: cores know of no such guild
}

// newSessionID makes an id that nobody can guess: 48 hexadecimal digits, so that no command line takes it for a flag.
func newSessionID() string {
	var b [24]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// end notes that the session was told of the end of a guild that the user's bucket has in the list yet.
func (s *session) end(guild proto.ID) {
	if s.past == nil {
		s.past = map[proto.ID]struct{}{}
	}
	s.past[guild] = struct{}{}
}

// inShard tells whether the session's shard is responsible for the guild.
func (s *session) inShard(guild proto.ID) bool {
	return int(uint64(guild)>>22%uint64(s.shard[1])) == s.shard[0]
}

// give numbers e and hands it to s. Callers give one event to all its sessions before they go on to the next: that is what makes s rise.
func (l *loop) give(s *session, e *event) {
	if s.dropped {
		return
	}
	if l.sandbox != nil {
		l.sandbox.take(l, s, e)
		return
	}
	e = l.number(s, e)
	if s.held != nil {
		l.holdBack(s.held, e)
		return
	}
	s.last = max(s.last, e.index)
	if !e.fleeting {
		s.ring.push(e)
		if s.client == nil && s.ring.lost > s.left {
			l.doomed = append(l.doomed, s) // it could not be resumed any more
			return
		}
	}
	l.send(s, e)
}

// detach parts a session from its connection, which is closed or closing; the session waits for RESUME.
func (l *loop) detach(s *session) {
	if s.client == nil {
		return
	}
	if s.held != nil && !s.dropped {
		l.drop(s) // nobody waits for it any more
		return
	}
	s.client.session, s.client.phase = nil, fresh
	s.client = nil
	s.detached, s.left = l.now(), s.last
	l.reporter.lost(s)
}

// drop ends a session.
func (l *loop) drop(s *session) {
	if s.dropped {
		return
	}
	s.dropped = true
	l.index++ // what it would get from here on may be numbered for nobody: no position behind this is its own
	l.detach(s)
	if s.held != nil {
		l.endMove(s.held)
	}
	for _, m := range s.guilds {
		l.leave(m)
	}
	for _, p := range s.directs {
		l.leaveDirect(p)
	}
	delete(l.sessions, s.id)
	if l.byKey[s.key] == s {
		delete(l.byKey, s.key)
	}
	if u := l.users[s.user]; u != nil {
		delete(u.sessions, s)
		l.forgetUser(s.user, u)
	}
	if s.held == nil { // else the move holds it
		l.interest.release(s.bucket)
	}
	sessionsGauge.Dec()
}

// closeSession ends a session and tells its client why.
func (l *loop) closeSession(s *session, code proto.CloseCode) {
	if l.sandbox != nil {
		return // a core has looked at the token
	}
	if s.client != nil {
		l.hangUp(s.client, code)
	}
	l.drop(s)
}

// dropDoomed ends sessions whose ring ran over while they were away; it waits until nobody walks the tables.
func (l *loop) dropDoomed() {
	for _, s := range l.doomed {
		l.drop(s)
	}
	clear(l.doomed)
	l.doomed = l.doomed[:0]
}
