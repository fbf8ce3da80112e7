package operator

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/starling-chat/starling/core/console"
	"github.com/starling-chat/starling/proto"
)

// pageLimit is how much of a list is asked for at once where all of it is wanted.
const pageLimit = 1000

// A List says which part of a list is wanted.
type List struct {
	Name  string // that names begin with; "" = any
	After string // an id; "" = from the first
	Limit int
	All   bool // whatever Limit says
}

func (l List) limit() string {
	if l.All {
		return strconv.Itoa(pageLimit)
	}
	return strconv.Itoa(l.Limit)
}

// Accounts lists people, or bots.
func (d *Desk) Accounts(ctx context.Context, l List, bots bool) error {
	all := console.Users{Users: []console.User{}}
	for more := true; more; {
		var page console.Users
		if err := d.askCore(ctx, "GET", query("users", "bots", strconv.FormatBool(bots), "name", l.Name, "after", l.After, "limit", l.limit()), nil, &page); err != nil {
			return err
		}
		all.Users, all.Next = append(all.Users, page.Users...), page.Next
		if more = l.All && page.Next != nil; more {
			l.After = page.Next.String()
		}
	}
	t := &table{head: "ID\tCREATED\tBUCKET\tNAME", foot: foot(len(all.Users), all.Next, "person", "people", l)}
	if bots {
		t.head, t.foot = "ID\tCREATED\tBUCKET\tOWNER\tNAME", foot(len(all.Users), all.Next, "bot", "bots", l)
	}
	for _, u := range all.Users {
		if bots {
			t.add(u.ID, day(u.Created), u.Bucket, idOf(u.OwnerID), shownName(u))
		} else {
			t.add(u.ID, day(u.Created), u.Bucket, shownName(u))
		}
	}
	return d.show(all, t)
}

// foot says what the list is not.
func foot(n int, next *proto.ID, one, many string, l List) string {
	switch {
	case next != nil:
		return fmt.Sprintf("the first %s; the next with --after %s, every one with --all", plural(n, one, many), next)
	case n == 0 && l.Name != "":
		return fmt.Sprintf("no %s whose name begins with %q", one, l.Name)
	case n == 0:
		return "no " + many
	}
	return plural(n, one, many)
}

func shownName(u console.User) string {
	if u.GlobalName != nil && *u.GlobalName != u.Username {
		return fmt.Sprintf("%s (%s)", u.Username, *u.GlobalName)
	}
	return u.Username
}

func idOf(id *proto.ID) string {
	if id == nil {
		return "-"
	}
	return id.String()
}

// account finds who is meant.
func (d *Desk) account(ctx context.Context, who string) (u console.UserDetail, err error) {
	return u, d.askCore(ctx, "GET", "users/"+url.PathEscape(who), nil, &u)
}

// Account shows one account.
func (d *Desk) Account(ctx context.Context, who string) error {
	u, err := d.account(ctx, who)
	if err != nil {
		return err
	}
	t := &table{head: "ID\t" + u.ID.String()}
	t.add("kind", map[bool]string{true: "bot", false: "person"}[u.Bot])
	t.add("created", day(u.Created))
	t.add("bucket", u.Bucket)
	if u.OwnerID != nil {
		t.add("owner", *u.OwnerID)
	}
	t.add("guilds", ids(u.Guilds))
	if !u.Bot {
		t.add("logins", len(u.Logins))
		var bots []proto.ID
		for _, b := range u.Bots {
			bots = append(bots, b.ID)
		}
		t.add("bots", ids(bots))
	}
	t.add("name", shownName(u.User))
	return d.show(u, t)
}

// ids shows a list that may be long.
func ids(list []proto.ID) string {
	const shown = 5
	parts := []string{strconv.Itoa(len(list))}
	for _, id := range list[:min(len(list), shown)] {
		parts = append(parts, id.String())
	}
	if len(list) > shown {
		parts = append(parts, "... (--json has all)")
	}
	return strings.Join(parts, "  ")
}
