package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Revoke is the body of POST tokens/revoke: an id, or the name of a person.
type Revoke struct {
	User string `json:"user"`
}

// Revoked answers it.
type Revoked struct {
	User    User `json:"user"`
	Revoked int  `json:"revoked"` // tokens of a bot, always 1; logins of a person
}

// revokeAtOnce bounds commands under way for one person with many logins.
const revokeAtOnce = 16

// revoke makes an account's tokens worth nothing: a bot gets a token that nobody knows, a person's logins end. What was read stays read, and
// whoever knows the password can log in again.
func (c *Console) revoke(ctx context.Context, r *http.Request) (any, error) {
	var in Revoke
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, wrong("body: %v", err)
	}
	a, err := c.account(ctx, in.User)
	if err != nil {
		return nil, err
	}
	answer := Revoked{User: userOf(a), Revoked: 1}
	if a.User.Bot {
		return answer, c.revokeBot(ctx, a.User.ID)
	}
	answer.Revoked, err = c.revokeLogins(ctx, a.User.ID)
	return answer, err
}

func (c *Console) revokeBot(ctx context.Context, bot proto.ID) error {
	var entropy [32]byte
	rand.Read(entropy[:]) // never fails
	err := c.do(ctx, core.KindTokenReset, bot, core.TokenReset{TokenHash: auth.HashSecret(auth.BotSecret(entropy))})
	c.cfg.Forget(bot)
	return err
}

func (c *Console) revokeLogins(ctx context.Context, user proto.ID) (int, error) {
	logins, err := c.cfg.Directory.LoginsOf(ctx, user)
	if err != nil {
		return 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(revokeAtOnce)
	for _, l := range logins {
		g.Go(func() error {
			err := c.do(ctx, core.KindSessionGone, user, core.SessionGone{Session: l.ID})
			c.cfg.Forget(0, l.ID)
			return err
		})
	}
	return len(logins), g.Wait()
}

// do has the owner of a user's home bucket execute a command of the mesh itself.
func (c *Console) do(ctx context.Context, kind string, user proto.ID, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	id := make([]byte, 16)
	rand.Read(id)
	_, err = c.cfg.Commands.Do(ctx, &pb.Command{Id: id, Kind: kind, Target: uint64(user), Body: text, Bucket: uint32(user.Bucket())})
	return err
}
