package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// A Guild is a line of the list of guilds.
type Guild struct {
	ID      proto.ID  `json:"id"`
	Name    string    `json:"name"`
	OwnerID proto.ID  `json:"owner_id"`
	Members int       `json:"members"`
	Created time.Time `json:"created"`
	Bucket  int       `json:"bucket"`
}

// Guilds answers GET guilds.
type Guilds struct {
	Guilds []Guild   `json:"guilds"`
	Next   *proto.ID `json:"next"` // the after of the next page; null: there is none
}

// GuildDetail answers GET guilds/{id}.
type GuildDetail struct {
	Guild
	Owner    string    `json:"owner"` // username
	Roles    int       `json:"roles"`
	Channels []Channel `json:"channels"`
}

// A Channel of a guild.
type Channel struct {
	ID   proto.ID `json:"id"`
	Name string   `json:"name"`
	Type int      `json:"type"`
}

func guildOf(g proto.Guild) Guild {
	return Guild{ID: g.ID, Name: g.Name, OwnerID: g.OwnerID, Members: g.MemberCount, Created: g.ID.Time(), Bucket: g.ID.Bucket()}
}

func (c *Console) guilds(ctx context.Context, r *http.Request) (any, error) {
	limit, after, err := paging(r)
	if err != nil {
		return nil, err
	}
	q := core.GuildQuery{After: after, Limit: limit + 1}
	if q.Name, err = name(r); err != nil {
		return nil, err
	}
	all, err := c.cfg.Directory.Guilds(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := Guilds{Guilds: make([]Guild, 0, len(all))}
	for i, g := range all {
		if i == limit {
			answer.Next = &answer.Guilds[i-1].ID
			break
		}
		answer.Guilds = append(answer.Guilds, guildOf(g))
	}
	return answer, nil
}

func (c *Console) guild(ctx context.Context, r *http.Request) (any, error) {
	id, err := proto.ParseID(r.PathValue("guild"))
	if err != nil {
		return nil, wrong("guild: %v; search by name with ?name=", err)
	}
	g, err := c.cfg.Directory.Guild(ctx, id)
	if errors.Is(err, core.ErrNotFound) {
		return nil, absent("there is no guild %d", id)
	}
	if err != nil {
		return nil, err
	}
	d := GuildDetail{Guild: guildOf(g), Roles: len(g.Roles), Channels: make([]Channel, 0, len(g.Channels))}
	for _, ch := range g.Channels {
		d.Channels = append(d.Channels, Channel{ch.ID, ch.Name, int(ch.Type)})
	}
	owner, err := c.cfg.Directory.User(ctx, g.OwnerID)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, err
	}
	d.Owner = owner.Username
	return d, nil
}
