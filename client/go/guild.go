package client

import (
	"context"
	"fmt"
	"net/url"

	"github.com/starling-chat/starling/proto"
)

// CreateGuild makes a guild.
func (c *Client) CreateGuild(ctx context.Context, name string) (proto.Guild, error) {
	return call[proto.Guild](ctx, c, "POST", "/guilds", map[string]any{"name": name})
}

// LeaveGuild leaves one.
func (c *Client) LeaveGuild(ctx context.Context, guild proto.ID) error {
	return c.Call(ctx, "DELETE", fmt.Sprintf("/users/@me/guilds/%s", guild), nil, nil)
}

// CreateChannel makes a text channel.
func (c *Client) CreateChannel(ctx context.Context, guild proto.ID, name string) (proto.Channel, error) {
	return call[proto.Channel](ctx, c, "POST", fmt.Sprintf("/guilds/%s/channels", guild),
		map[string]any{"name": name, "type": proto.ChannelText})
}

// CreateInvite makes an invite to a channel's guild that lasts seconds (0 = for ever).
func (c *Client) CreateInvite(ctx context.Context, channel proto.ID, seconds int) (proto.Invite, error) {
	return call[proto.Invite](ctx, c, "POST", fmt.Sprintf("/channels/%s/invites", channel), map[string]any{"max_age": seconds})
}

// Join joins a guild by the code of an invite.
func (c *Client) Join(ctx context.Context, code string) (proto.Invite, error) {
	return call[proto.Invite](ctx, c, "POST", "/invites/"+url.PathEscape(code), map[string]any{})
}
