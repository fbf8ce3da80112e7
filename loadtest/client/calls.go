package client

import (
	"context"
	"fmt"

	"github.com/starling-chat/starling/proto"
)

// A Person is a registered account and its login.
type Person struct {
	User         proto.SelfUser `json:"user"`
	Token        string         `json:"token"`
	RefreshToken string         `json:"refresh_token"`
	ExpiresIn    int            `json:"expires_in"`
}

// A Bot is an application's account.
type Bot struct {
	ID    proto.ID   `json:"id"`
	User  proto.User `json:"bot"`
	Token string     `json:"token"` // x.y.z, without "Bot "
}

// Auth is the bot's Authorization header.
func (b Bot) Auth() string { return "Bot " + b.Token }

// Register makes an account.
func (r *REST) Register(ctx context.Context, name, password string) (Person, error) {
	return call[Person](ctx, r, "POST", "/auth/register", map[string]any{"username": name, "password": password})
}

// Login starts another login of an account.
func (r *REST) Login(ctx context.Context, name, password string) (Person, error) {
	return call[Person](ctx, r, "POST", "/auth/login", map[string]any{"login": name, "password": password})
}

// Logout ends a login.
func (r *REST) Logout(ctx context.Context, refresh string) error {
	return r.Call(ctx, "POST", "/auth/logout", map[string]any{"refresh_token": refresh}, nil)
}

// Application makes an application and its bot.
func (r *REST) Application(ctx context.Context, name string) (Bot, error) {
	return call[Bot](ctx, r, "POST", "/applications", map[string]any{"name": name})
}

// ResetBot gives a bot a new token and returns it.
func (r *REST) ResetBot(ctx context.Context, bot proto.ID) (string, error) {
	var out struct {
		Token string `json:"token"`
	}
	err := r.Call(ctx, "POST", fmt.Sprintf("/applications/%s/bot/reset", bot), map[string]any{}, &out)
	return out.Token, err
}

// Guild makes a guild.
func (r *REST) Guild(ctx context.Context, name string) (proto.Guild, error) {
	return call[proto.Guild](ctx, r, "POST", "/guilds", map[string]any{"name": name})
}

// AddBot adds a bot to a guild.
func (r *REST) AddBot(ctx context.Context, guild, bot proto.ID) error {
	return r.Call(ctx, "PUT", fmt.Sprintf("/guilds/%s/members/%s", guild, bot), map[string]any{}, nil)
}

// Channel makes a text channel.
func (r *REST) Channel(ctx context.Context, guild proto.ID, name string) (proto.Channel, error) {
	return call[proto.Channel](ctx, r, "POST", fmt.Sprintf("/guilds/%s/channels", guild), map[string]any{"name": name, "type": 0})
}

// Invite makes an invite to a channel's guild and returns its code.
func (r *REST) Invite(ctx context.Context, channel proto.ID) (string, error) {
	i, err := call[proto.Invite](ctx, r, "POST", fmt.Sprintf("/channels/%s/invites", channel), map[string]any{"max_age": 0})
	return i.Code, err
}

// Join joins a guild by an invite.
func (r *REST) Join(ctx context.Context, code string) error {
	return r.Call(ctx, "POST", "/invites/"+code, map[string]any{}, nil)
}

// Role makes a role with permissions.
func (r *REST) Role(ctx context.Context, guild proto.ID, name string, p proto.Permissions) (proto.Role, error) {
	return call[proto.Role](ctx, r, "POST", fmt.Sprintf("/guilds/%s/roles", guild), map[string]any{"name": name, "permissions": p})
}

// GiveRole adds a role to a member.
func (r *REST) GiveRole(ctx context.Context, guild, user, role proto.ID) error {
	return r.Call(ctx, "PUT", fmt.Sprintf("/guilds/%s/members/%s/roles/%s", guild, user, role), nil, nil)
}

// TakeRole removes a role from a member.
func (r *REST) TakeRole(ctx context.Context, guild, user, role proto.ID) error {
	return r.Call(ctx, "DELETE", fmt.Sprintf("/guilds/%s/members/%s/roles/%s", guild, user, role), nil, nil)
}

// Overwrite sets a permission overwrite of a channel for a role or member.
func (r *REST) Overwrite(ctx context.Context, channel proto.ID, o proto.Overwrite) error {
	return r.Call(ctx, "PUT", fmt.Sprintf("/channels/%s/permissions/%s", channel, o.ID),
		map[string]any{"type": o.Type, "allow": o.Allow, "deny": o.Deny}, nil)
}

// DropOverwrite removes one.
func (r *REST) DropOverwrite(ctx context.Context, channel, target proto.ID) error {
	return r.Call(ctx, "DELETE", fmt.Sprintf("/channels/%s/permissions/%s", channel, target), nil, nil)
}

// Say sends a message.
func (r *REST) Say(ctx context.Context, channel proto.ID, content string) (proto.Message, error) {
	return r.Post(ctx, channel, map[string]any{"content": content})
}

// Post sends a message with any body.
func (r *REST) Post(ctx context.Context, channel proto.ID, body any) (proto.Message, error) {
	return call[proto.Message](ctx, r, "POST", fmt.Sprintf("/channels/%s/messages", channel), body)
}

// Edit changes a message's content.
func (r *REST) Edit(ctx context.Context, channel, message proto.ID, content string) (proto.Message, error) {
	return call[proto.Message](ctx, r, "PATCH", fmt.Sprintf("/channels/%s/messages/%s", channel, message), map[string]any{"content": content})
}

// Delete deletes a message.
func (r *REST) Delete(ctx context.Context, channel, message proto.ID) error {
	return r.Call(ctx, "DELETE", fmt.Sprintf("/channels/%s/messages/%s", channel, message), nil, nil)
}

// Message reads one message.
func (r *REST) Message(ctx context.Context, channel, message proto.ID) (proto.Message, error) {
	return call[proto.Message](ctx, r, "GET", fmt.Sprintf("/channels/%s/messages/%s", channel, message), nil)
}

// History reads one page, newest first. query is "limit=50&before=ID".
func (r *REST) History(ctx context.Context, channel proto.ID, query string) ([]proto.Message, error) {
	return call[[]proto.Message](ctx, r, "GET", fmt.Sprintf("/channels/%s/messages?%s", channel, query), nil)
}

// Type shows that the account is typing.
func (r *REST) Type(ctx context.Context, channel proto.ID) error {
	return r.Call(ctx, "POST", fmt.Sprintf("/channels/%s/typing", channel), nil, nil)
}

func call[T any](ctx context.Context, r *REST, method, path string, body any) (T, error) {
	var out T
	err := r.Call(ctx, method, path, body, &out)
	return out, err
}
