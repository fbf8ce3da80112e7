package operator

import (
	"context"
	"net/url"

	"github.com/starling-chat/starling/core/console"
	"github.com/starling-chat/starling/proto"
)

// Guilds lists guilds.
func (d *Desk) Guilds(ctx context.Context, l List) error {
	all := console.Guilds{Guilds: []console.Guild{}}
	for more := true; more; {
		var page console.Guilds
		if err := d.askCore(ctx, "GET", query("guilds", "name", l.Name, "after", l.After, "limit", l.limit()), nil, &page); err != nil {
			return err
		}
		all.Guilds, all.Next = append(all.Guilds, page.Guilds...), page.Next
		if more = l.All && page.Next != nil; more {
			l.After = page.Next.String()
		}
	}
	t := &table{head: "ID\tCREATED\tBUCKET\tMEMBERS\tOWNER\tNAME", foot: foot(len(all.Guilds), all.Next, "guild", "guilds", l)}
	for _, g := range all.Guilds {
		t.add(g.ID, day(g.Created), g.Bucket, g.Members, g.OwnerID, g.Name)
	}
	return d.show(all, t)
}

// Guild shows one guild.
func (d *Desk) Guild(ctx context.Context, id string) error {
	var g console.GuildDetail
	if err := d.askCore(ctx, "GET", "guilds/"+url.PathEscape(id), nil, &g); err != nil {
		return err
	}
	t := &table{head: "ID\t" + g.ID.String()}
	t.add("created", day(g.Created))
	t.add("bucket", g.Bucket)
	t.add("members", g.Members)
	t.add("owner", g.OwnerID.String()+"  "+g.Owner)
	t.add("roles", g.Roles)
	for _, c := range g.Channels {
		kind := "channel"
		if c.Type == proto.ChannelCategory {
			kind = "category"
		}
		t.add(kind, c.ID.String()+"  "+c.Name)
	}
	t.add("name", g.Name)
	return d.show(g, t)
}
