package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-chat/starling/edge"
)

// SessionsQuery says which sessions are wanted.
type SessionsQuery struct {
	User  string // id or name; "" = any
	Edge  string // name; "" = all
	Limit int    // those with most queued bytes first
	All   bool   // every one, in order of ids
}

// A Session is one of an edge's.
type Session struct {
	Edge string `json:"edge"`
	edge.SessionInfo
	Username string `json:"username"` // "" if no core told
}

// Sessions is what all edges have.
type Sessions struct {
	Total    int       `json:"total"`
	Edges    int       `json:"edges"`
	Sessions []Session `json:"sessions"`
}

// Sessions lists sessions.
func (d *Desk) Sessions(ctx context.Context, q SessionsQuery) error {
	all, t, err := d.sessions(ctx, &q)
	if all == nil {
		return err
	}
	return errors.Join(d.show(all, t), err)
}

// sessions asks the edges. With an error there may be an answer of those that did not fail. It turns the user's name in q to an id.
func (d *Desk) sessions(ctx context.Context, q *SessionsQuery) (*Sessions, *table, error) {
	edges, err := d.edgesNamed(q.Edge)
	if err != nil {
		return nil, nil, err
	}
	if _, bad := strconv.ParseUint(q.User, 10, 64); q.User != "" && bad != nil {
		u, err := d.account(ctx, q.User)
		if err != nil {
			return nil, nil, err
		}
		q.User = u.ID.String()
	}
	all := &Sessions{Sessions: []Session{}}
	var silent error
	if q.All {
		for _, p := range edges {
			silent = errors.Join(silent, d.everySession(ctx, p, q.User, all))
		}
	} else {
		pages, err := askAll[edge.Sessions](ctx, d, edges, query("sessions", "user", q.User, "order", "queued", "limit", strconv.Itoa(q.Limit)))
		for _, page := range pages {
			all.add(page)
			all.Total += page.Total
			all.Edges++
		}
		silent = err
		slices.SortStableFunc(all.Sessions, func(a, b Session) int { return cmp.Compare(b.Queued, a.Queued) })
		all.Sessions = all.Sessions[:min(len(all.Sessions), q.Limit)]
	}
	if all.Edges == 0 {
		return nil, nil, silent
	}
	d.learnNames(ctx, all.Sessions)
	return all, sessionTable(all, d.names), silent
}

func (s *Sessions) add(page edge.Sessions) {
	for _, info := range page.Sessions {
		s.Sessions = append(s.Sessions, Session{Edge: page.Edge, SessionInfo: info})
	}
}

// everySession follows the pages of one edge.
func (d *Desk) everySession(ctx context.Context, p place, user string, all *Sessions) error {
	for after, first := "", true; ; first = false {
		var page edge.Sessions
		err := d.ask(ctx, p, "GET", query("sessions", "user", user, "after", after, "limit", strconv.Itoa(pageLimit)), nil, &page)
		if err != nil {
			return err
		}
		all.add(page)
		if first {
			all.Total += page.Total
			all.Edges++
		}
		if page.Next == nil {
			return nil
		}
		after = *page.Next
	}
}

func (d *Desk) edgesNamed(name string) ([]place, error) {
	if name == "" {
		return d.need("edge")
	}
	p, err := d.named("edge", name)
	if err != nil {
		return nil, err
	}
	return []place{p}, nil
}

// learnNames asks for usernames that are not known yet. Without them ids have to do: the edges' pages work while no core does.
func (d *Desk) learnNames(ctx context.Context, list []Session) {
	var unknown []string
	for _, s := range list {
		if id := s.User.String(); d.names[id] == "" && !slices.Contains(unknown, id) && len(unknown) < 200 {
			unknown = append(unknown, id)
		}
	}
	names := map[string]string{}
	if len(unknown) > 0 && len(d.roles["core"]) > 0 && d.askCore(ctx, "GET", query("names", "ids", strings.Join(unknown, ",")), nil, &names) == nil {
		for id, name := range names {
			d.names[id] = name
		}
	}
	for i := range list {
		list[i].Username = d.names[list[i].User.String()]
	}
}

func sessionTable(all *Sessions, names map[string]string) *table {
	t := &table{head: "EDGE\tSESSION\tUSER ID\tKIND\tGUILDS\tINTENTS\tSHARD\tFORM\tSTATE\tSINCE\tQUEUED\tKEPT\tREMOTE\tUSER"}
	now := time.Now()
	for _, s := range all.Sessions {
		kind, state, form := "person", "detached", s.Encoding
		if s.Bot {
			kind = "bot"
		}
		if s.Connected {
			state = "connected"
		}
		if s.Compress != "" && s.Compress != "none" {
			form += "+" + strings.TrimSuffix(s.Compress, "-stream")
		}
		t.add(s.Edge, s.ID, s.User, kind, s.Guilds, s.Intents, fmt.Sprintf("%d/%d", s.Shard[0], s.Shard[1]), form, state, ago(s.Since, now), size(s.Queued),
			s.Kept, cmp.Or(s.Remote, "-"), cmp.Or(names[s.User.String()], "-"))
	}
	t.foot = fmt.Sprintf("%s on %s", plural(all.Total, "session", "sessions"), plural(all.Edges, "edge", "edges"))
	if n := len(all.Sessions); n < all.Total {
		t.foot = fmt.Sprintf("%d of %s, those with most queued bytes; --limit for more, --all for every one", n, t.foot)
	}
	return t
}

// shownSession is how much of a session's id edges show.
const shownSession = 8

// CloseSession ends one session, on whichever edge it is.
func (d *Desk) CloseSession(ctx context.Context, id, onEdge string) error {
	if len(id) < shownSession {
		return fmt.Errorf("session %q: want the %d characters that starling admin sessions shows", id, shownSession)
	}
	edges, err := d.edgesNamed(onEdge)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range edges {
		var none struct{}
		err := d.ask(ctx, p, "POST", "sessions/"+url.PathEscape(id)+"/close", nil, &none)
		var r *refusal
		switch {
		case err == nil:
			t := &table{foot: "session " + clean(id) + " on " + p.name + " is closed; its client may connect anew"}
			return d.show(map[string]string{"edge": p.name, "closed": id}, t)
		case errors.As(err, &r) && r.status == http.StatusNotFound:
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, fmt.Errorf("no edge has a session %q; starling admin sessions lists them", id))...)
}
