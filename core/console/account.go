package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// A User is a line of the list of people or bots.
type User struct {
	ID         proto.ID  `json:"id"`
	Username   string    `json:"username"`
	GlobalName *string   `json:"global_name"`
	Bot        bool      `json:"bot"`
	OwnerID    *proto.ID `json:"owner_id"` // of a bot
	Created    time.Time `json:"created"`
	Bucket     int       `json:"bucket"`
}

// Users answers GET users.
type Users struct {
	Users []User    `json:"users"`
	Next  *proto.ID `json:"next"` // the after of the next page; null: there is none
}

// UserDetail answers GET users/{id or name}.
type UserDetail struct {
	User
	Guilds []proto.ID `json:"guilds"`
	Logins []Login    `json:"logins"` // of a person, not revoked
	Bots   []User     `json:"bots"`   // that a person made
}

// A Login is one of a person's.
type Login struct {
	ID      proto.ID  `json:"id"`
	Expires time.Time `json:"expires"` // unless it is refreshed
}

func userOf(a core.Account) User {
	u := User{ID: a.User.ID, Username: a.User.Username, GlobalName: a.User.GlobalName, Bot: a.User.Bot, Created: a.User.ID.Time(),
		Bucket: a.User.ID.Bucket()}
	if a.OwnerID != 0 {
		u.OwnerID = &a.OwnerID
	}
	return u
}

func (c *Console) users(ctx context.Context, r *http.Request) (any, error) {
	limit, after, err := paging(r)
	if err != nil {
		return nil, err
	}
	q := core.AccountQuery{After: after, Limit: limit + 1}
	if q.Name, err = name(r); err != nil {
		return nil, err
	}
	switch s := r.FormValue("bots"); s {
	case "", "false":
	case "true":
		q.Bots = true
	default:
		return nil, wrong("bots: %.40q: want true or false", s)
	}
	all, err := c.cfg.Directory.Accounts(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := Users{Users: make([]User, 0, len(all))}
	for i, a := range all {
		if i == limit {
			answer.Next = &answer.Users[i-1].ID
			break
		}
		answer.Users = append(answer.Users, userOf(a))
	}
	return answer, nil
}

// account finds an account by id, or a person by name.
func (c *Console) account(ctx context.Context, who string) (core.Account, error) {
	var a core.Account
	var err error
	id, bad := proto.ParseID(who)
	if bad == nil {
		a, err = c.cfg.Directory.Account(ctx, id)
	}
	if bad != nil || errors.Is(err, core.ErrNotFound) { // a name may be digits
		a, err = c.cfg.Directory.AccountByName(ctx, who)
	}
	if errors.Is(err, core.ErrNotFound) {
		return a, absent("there is no account %.80q: want an id, or the whole name of a person (bots by id)", who)
	}
	return a, err
}

func (c *Console) user(ctx context.Context, r *http.Request) (any, error) {
	a, err := c.account(ctx, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	d := UserDetail{User: userOf(a), Logins: []Login{}, Bots: []User{}}
	if d.Guilds, err = c.cfg.Directory.GuildsOf(ctx, d.ID); err != nil {
		return nil, err
	}
	logins, err := c.cfg.Directory.LoginsOf(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range logins {
		d.Logins = append(d.Logins, Login{l.ID, l.Expires.UTC()})
	}
	if d.Bot {
		return d, nil
	}
	bots, err := c.cfg.Directory.BotsOf(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	for _, b := range bots {
		d.Bots = append(d.Bots, userOf(core.Account{User: b, OwnerID: d.ID}))
	}
	return d, nil
}

// names answers GET names?ids=1,2,...: usernames by id, for lists that hold ids alone. Who is unknown is left out.
func (c *Console) names(ctx context.Context, r *http.Request) (any, error) {
	list := strings.Split(r.FormValue("ids"), ",")
	if len(list) > maxLimit {
		return nil, wrong("ids: more than %d", maxLimit)
	}
	names := map[string]string{}
	for _, s := range list {
		id, err := proto.ParseID(s)
		if err != nil {
			return nil, wrong("ids: %v", err)
		}
		u, err := c.cfg.Directory.User(ctx, id)
		if errors.Is(err, core.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		names[s] = u.Username
	}
	return names, nil
}
