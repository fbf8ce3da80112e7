package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/starling-chat/starling/proto"
)

// answer is what register, login and refresh say.
type answer struct {
	User    proto.SelfUser `json:"user"`
	Token   string         `json:"token"`
	Refresh string         `json:"refresh_token"`
	Seconds int64          `json:"expires_in"`
}

func (a answer) login() Login {
	return Login{User: a.User.Username, Token: a.Token, Refresh: a.Refresh, Expires: time.Now().Add(time.Duration(a.Seconds) * time.Second)}
}

// Register makes an account and logs in to it.
func (c *Client) Register(ctx context.Context, user, password string) (proto.SelfUser, error) {
	return c.open(ctx, "/auth/register", map[string]string{"username": user, "password": password})
}

// LogIn logs in to an account.
func (c *Client) LogIn(ctx context.Context, user, password string) (proto.SelfUser, error) {
	return c.open(ctx, "/auth/login", map[string]string{"login": user, "password": password})
}

func (c *Client) open(ctx context.Context, path string, body any) (proto.SelfUser, error) {
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	text, err := json.Marshal(body)
	if err != nil {
		return proto.SelfUser{}, err
	}
	var a answer
	if err := c.once(ctx, http.MethodPost, path, "", text, &a); err != nil {
		return a.User, &callError{"POST", path, err}
	}
	return a.User, c.tokens.set(a.login())
}

// Use takes a login, such as a bot's: Login{Token: "Bot x.y.z"}.
func (c *Client) Use(l Login) error { return c.tokens.set(l) }

// LogOut ends the login at the server and forgets it.
func (c *Client) LogOut(ctx context.Context) error {
	l, err := c.tokens.stored()
	if err != nil {
		return err
	}
	if l.Refresh != "" {
		ctx, stop := context.WithTimeout(ctx, c.timeout)
		defer stop()
		body, err := json.Marshal(map[string]string{"refresh_token": l.Refresh})
		if err != nil {
			return err
		}
		if err := c.once(ctx, http.MethodPost, "/auth/logout", "", body, nil); err != nil {
			return fmt.Errorf("log out: %w", err)
		}
	}
	return c.tokens.set(Login{User: l.User})
}

// Me is the account itself.
func (c *Client) Me(ctx context.Context) (proto.SelfUser, error) {
	return call[proto.SelfUser](ctx, c, "GET", "/users/@me", nil)
}
