package sqlstore

import (
	"slices"

	"github.com/starling-chat/starling/proto"
)

func rolePut(c change) error {
	r, err := decode[proto.GuildRole](c)
	if err != nil {
		return err
	}
	return putRole(c, r.GuildID, r.Role)
}

func putRole(c change, guild proto.ID, r proto.Role) error {
	if guild == 0 || r.ID == 0 {
		return errNoID
	}
	return c.exec(`INSERT INTO roles (guild_id, id, body) VALUES ($1, $2, $3)
		ON CONFLICT (guild_id, id) DO UPDATE SET body = excluded.body`, int64(guild), int64(r.ID), body(r))
}

// roleDelete also takes the role from the overwrites of channels, and by a sweep from those who hold it.
func roleDelete(c change) error {
	gone, err := decode[proto.GuildRoleDelete](c)
	if err != nil {
		return err
	}
	if gone.GuildID == 0 || gone.RoleID == 0 {
		return errNoID
	}
	channels, err := collect(c.ctx, c.tx, scanBody[proto.Channel], `SELECT body FROM channels WHERE guild_id = $1`, int64(gone.GuildID))
	if err != nil {
		return err
	}
	names := func(o proto.Overwrite) bool { return o.Type == proto.OverwriteRole && o.ID == gone.RoleID }
	for _, ch := range channels {
		if !slices.ContainsFunc(ch.Overwrites, names) {
			continue
		}
		ch.Overwrites = slices.DeleteFunc(ch.Overwrites, names)
		if err := putChannel(c, ch); err != nil {
			return err
		}
	}
	if err := c.exec(`DELETE FROM roles WHERE guild_id = $1 AND id = $2`, int64(gone.GuildID), int64(gone.RoleID)); err != nil {
		return err
	}
	return c.sweep(gone.GuildID, gone.RoleID)
}
