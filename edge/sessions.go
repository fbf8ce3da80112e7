package edge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
)

// shownID is how much of a session's id operators see: enough to name it, too little to resume it.
const shownID = 8

// A SessionInfo says what one session is and does, for operators.
type SessionInfo struct {
	ID       string   `json:"id"` // its first characters
	User     proto.ID `json:"user"`
	Bot      bool     `json:"bot"`
	Login    proto.ID `json:"login,omitempty"` // of a person
	Guilds   int      `json:"guilds"`
	Intents  int64    `json:"intents"`
	Shard    [2]int   `json:"shard"`
	Encoding string   `json:"encoding"`
	Compress string   `json:"compress"` // "" while detached

	Connected bool      `json:"connected"` // else it waits for RESUME
	Since     time.Time `json:"since"`     // when it was connected or detached
	Queued    int       `json:"queued"`    // bytes that the client has not yet taken
	Kept      int       `json:"kept"`      // events for RESUME
	Remote    string    `json:"remote"`    // address, "" while detached
}

// A SessionQuery says which sessions are asked for.
type SessionQuery struct {
	User     proto.ID // 0 = any
	After    string   // a shown id, of the page before
	Limit    int
	ByQueued bool // those with most queued bytes first; such a list has one page
}

var (
	errStopped   = errors.New("edge: stopped")
	errNoSession = errors.New("edge: no such session")
	errAmbiguous = errors.New("edge: several sessions begin so")
)

// sessionsFor lists sessions, and how many there are in all of the query's user. The loop is asked twice and each time for little: with a
// hundred thousand sessions nobody shall feel that an operator looks.
func (l *loop) sessionsFor(ctx context.Context, q SessionQuery) (page []SessionInfo, total int, err error) {
	all, err := ask(ctx, l, func() []sessionRef { return l.sessionRefs(q.User) })
	if err != nil {
		return nil, 0, err
	}
	total = len(all)
	if q.ByQueued {
		for i := range all {
			if all[i].conn != nil {
				all[i].queued = all[i].conn.Waiting()
			}
		}
	} else {
		all = slices.DeleteFunc(all, func(r sessionRef) bool { return q.After != "" && shown(r.session.id) <= q.After })
	}
	slices.SortFunc(all, func(a, b sessionRef) int {
		return cmp.Or(cmp.Compare(b.queued, a.queued), strings.Compare(a.session.id, b.session.id))
	})
	all = all[:min(len(all), q.Limit)]
	page, err = ask(ctx, l, func() []SessionInfo {
		list := make([]SessionInfo, 0, len(all))
		for _, r := range all {
			if !r.session.dropped {
				list = append(list, r.session.info())
			}
		}
		return list
	})
	return page, total, err
}

// closeShown ends the session whose id begins with prefix. A client that is connected is closed resumably, finds that there is nothing to
// resume, and identifies anew.
func (l *loop) closeShown(ctx context.Context, prefix string) error {
	failed, err := ask(ctx, l, func() error {
		var found *session
		for id, s := range l.sessions {
			if strings.HasPrefix(id, prefix) {
				if found != nil {
					return errAmbiguous
				}
				found = s
			}
		}
		if found == nil {
			return errNoSession
		}
		l.closeSession(found, proto.CloseUnknown)
		return nil
	})
	return errors.Join(failed, err)
}

// A sessionRef is a session with what may be read outside the loop.
type sessionRef struct {
	session *session // only its id
	conn    transport.Conn
	queued  int
}

func (l *loop) sessionRefs(user proto.ID) []sessionRef {
	var list []sessionRef
	add := func(s *session) {
		r := sessionRef{session: s}
		if s.client != nil {
			r.conn = s.client.conn
		}
		list = append(list, r)
	}
	if user == 0 {
		list = make([]sessionRef, 0, len(l.sessions))
		for _, s := range l.sessions {
			add(s)
		}
	} else if u := l.users[user]; u != nil {
		for s := range u.sessions {
			add(s)
		}
	}
	return list
}

func shown(id string) string { return id[:min(shownID, len(id))] }

// info is for the loop.
func (s *session) info() SessionInfo {
	i := SessionInfo{ID: shown(s.id), User: s.user, Bot: s.auth == 0, Login: s.auth, Guilds: len(s.guilds), Intents: s.intents, Shard: s.shard,
		Encoding: "json", Since: s.detached.UTC(), Kept: s.ring.n}
	if c := s.client; c != nil {
		i.Connected, i.Since, i.Remote, i.Queued = true, c.opened.UTC(), c.remote, c.conn.Waiting()
		i.Compress = c.compress.String()
	}
	return i
}

// ask has f run in the loop and gives its answer.
func ask[T any](ctx context.Context, l *loop, f func() T) (T, error) {
	answer := make(chan T, 1)
	if !l.post(question(func() { answer <- f() })) {
		var none T
		return none, errStopped
	}
	return await(ctx, l, answer)
}

func await[T any](ctx context.Context, l *loop, answer <-chan T) (T, error) {
	var none T
	select {
	case v := <-answer:
		return v, nil
	case <-l.ctx.Done():
		return none, errStopped
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// A question reads the loop's tables between two messages.
type question func()

func (m question) apply(*loop) { m() }
