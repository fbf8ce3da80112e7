package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Role is one line of a table of roles: how it is, and what it tells of itself, if it does.
type Role[T any] struct {
	Name  string `json:"name"`
	State string `json:"state"` // serves, starting, silent, ended, or the role's own words
	Why   string `json:"why"`   // it is not well; "" if it is
	Info  *T     `json:"info"`  // null: it told nothing
}

// A kind is what tables of one kind of role have of their own.
type kind[T any] struct {
	role  string
	head  string
	state func(*T) (state, why string)
	name  func(*T) string
	cells func(*T) []any // behind name and state
}

// look asks all roles of a kind. The error says which of them are not there.
func (k kind[T]) look(ctx context.Context, d *Desk) ([]Role[T], *table, error) {
	places, err := d.all(k.role)
	if err != nil {
		return nil, nil, err
	}
	answers := askEach(places, func(p place, into *T) error { return d.askSoon(ctx, p, "GET", k.role, nil, into) })
	t := &table{head: k.head}
	roles := make([]Role[T], 0, len(answers))
	errs := d.silent
	var why []string
	for _, a := range answers {
		r := Role[T]{Name: a.from.name}
		var no *refusal
		switch {
		case a.err == nil && k.name(&a.v) != a.from.name:
			r.State, r.Why = "ended", fmt.Sprintf("%s answers in its place", clean(k.name(&a.v)))
		case a.err == nil:
			r.Info = &a.v
			r.State, r.Why = k.state(&a.v)
		case errors.As(a.err, &no):
			r.State, r.Why = "starting", clean(no.text)
		case a.from.dead:
			r.State, r.Why = "ended", "its process is gone"
		default:
			r.State, r.Why = "silent", a.err.Error()
		}
		if r.Info == nil && r.State != "starting" {
			errs = append(errs[:len(errs):len(errs)], fmt.Errorf("%s: %s", r.Name, strings.TrimPrefix(r.Why, a.from.String()+" ")))
		} else if r.Why != "" {
			why = append(why, r.Name+": "+clean(r.Why))
		}
		cells := []any{r.Name, r.State}
		if r.Info != nil {
			cells = append(cells, k.cells(r.Info)...)
		} else {
			for range strings.Count(k.head, "\t") - 1 {
				cells = append(cells, "-")
			}
		}
		t.add(cells...)
		roles = append(roles, r)
	}
	t.foot = strings.Join(why, "\n")
	return roles, t, errors.Join(errs...)
}

// tell puts sum in front of the remarks of a table.
func (t *table) tell(sum string) {
	t.foot = strings.TrimSuffix(sum+"\n"+t.foot, "\n")
}

// up is how long a role runs.
func up(since time.Time) string { return ago(since, time.Now()) }

// A view is one table, to be shown once or watched.
type view func(ctx context.Context) (any, *table, error)

func (d *Desk) view(role string) (view, error) {
	switch role {
	case "core":
		return d.cores, nil
	case "hub":
		return d.hubs, nil
	case "leaf":
		return d.leaves, nil
	case "edge":
		return d.edges, nil
	}
	return nil, fmt.Errorf("no role %q", role)
}

// Roles shows the table of a kind of role: core, hub, leaf or edge.
func (d *Desk) Roles(ctx context.Context, role string) error {
	v, err := d.view(role)
	if err != nil {
		return err
	}
	all, t, err := v(ctx)
	if t == nil {
		return err
	}
	return errors.Join(d.show(all, t), err)
}

// WatchRoles draws the table each second until ctx ends.
func (d *Desk) WatchRoles(ctx context.Context, role string) error {
	v, err := d.view(role)
	if err != nil {
		return err
	}
	return d.watch(ctx, map[string]string{"core": "cores", "hub": "hubs", "leaf": "leaves", "edge": "edges"}[role],
		func() (any, *table, error) { return v(ctx) })
}
