package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/starling-chat/starling/core/console"
)

// errKept tells that nothing was done because nobody said yes.
var errKept = errors.New("nothing was revoked")

// Revoke makes the tokens of accounts worth nothing, once sure has been asked and said yes.
func (d *Desk) Revoke(ctx context.Context, who []string, sure func(question string) (bool, error)) error {
	var all []console.UserDetail
	var what []string
	for _, w := range who {
		u, err := d.account(ctx, w)
		if err != nil {
			return err // before anything is revoked
		}
		all = append(all, u)
		what = append(what, tokensOf(u.User, len(u.Logins)))
	}
	yes, err := sure("Revoke " + strings.Join(what, ", ") + "?")
	if err != nil {
		return err
	}
	if !yes {
		return errKept
	}
	done := []console.Revoked{}
	t := &table{head: "ID\tREVOKED\tNAME"}
	for _, u := range all {
		var r console.Revoked
		if err := d.askCore(ctx, "POST", "tokens/revoke", console.Revoke{User: u.ID.String()}, &r); err != nil {
			return errors.Join(d.show(done, t), err)
		}
		done = append(done, r)
		kind := plural(r.Revoked, "login", "logins")
		if r.User.Bot {
			kind = "token"
		}
		t.add(r.User.ID, kind, r.User.Username)
		t.foot = "who knows a person's password can log in again"
		if r.User.Bot {
			t.foot = fmt.Sprintf("the owner makes a new token with POST /api/v10/applications/%s/bot/reset", r.User.ID)
		}
	}
	return d.show(done, t)
}

func tokensOf(u console.User, logins int) string {
	if u.Bot {
		return fmt.Sprintf("the token of bot %s (%s)", clean(u.Username), u.ID)
	}
	return fmt.Sprintf("%s of %s (%s)", plural(logins, "login", "logins"), clean(u.Username), u.ID)
}
