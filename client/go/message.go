package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/starling-chat/starling/proto"
)

// A Draft is a message to be sent.
type Draft struct {
	Content   string     `json:"content"`
	Nonce     string     `json:"nonce,omitempty"` // of NewNonce; sending the same draft again within 5 minutes is safe
	Enforce   bool       `json:"enforce_nonce,omitempty"`
	Reference *Reference `json:"message_reference,omitempty"`
}

// A Reference makes a message a reply.
type Reference struct {
	MessageID proto.ID `json:"message_id"`
	ChannelID proto.ID `json:"channel_id,omitempty"`
	FailIfNot bool     `json:"fail_if_not_exists"` // false: sent as no reply if that message is gone
}

// A Message as the server gives it, with what it is a reply to. Referenced is nil where there is nothing to show.
type Message struct {
	proto.Message
	Reference  *Reference     `json:"message_reference,omitempty"`
	Referenced *proto.Message `json:"referenced_message,omitempty"`
}

// NewNonce makes a nonce that nobody else has, of at most proto.MaxNonce characters.
func NewNonce() string { return strings.ToLower(rand.Text()[:20]) }

// Send sends a message. With a nonce it is enforced: a draft may be sent again until it is known to have arrived.
func (c *Client) Send(ctx context.Context, channel proto.ID, d Draft) (Message, error) {
	d.Enforce = d.Nonce != ""
	return call[Message](ctx, c, "POST", fmt.Sprintf("/channels/%s/messages", channel), d)
}

// Edit changes a message's content.
func (c *Client) Edit(ctx context.Context, channel, message proto.ID, content string) (Message, error) {
	return call[Message](ctx, c, "PATCH", fmt.Sprintf("/channels/%s/messages/%s", channel, message), map[string]any{"content": content})
}

// Delete deletes a message.
func (c *Client) Delete(ctx context.Context, channel, message proto.ID) error {
	return c.Call(ctx, "DELETE", fmt.Sprintf("/channels/%s/messages/%s", channel, message), nil, nil)
}

// History reads up to n (1 to 100) messages older than before, newest first; before 0 means the newest.
func (c *Client) History(ctx context.Context, channel, before proto.ID, n int) ([]Message, error) {
	path := fmt.Sprintf("/channels/%s/messages?limit=%d", channel, n)
	if before != 0 {
		path += "&before=" + before.String()
	}
	return call[[]Message](ctx, c, "GET", path, nil)
}

// Type shows others that the account is typing, for some ten seconds.
func (c *Client) Type(ctx context.Context, channel proto.ID) error {
	return c.Call(ctx, "POST", fmt.Sprintf("/channels/%s/typing", channel), nil, nil)
}
