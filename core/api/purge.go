package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Bounds of one purge. What lies beyond stays, for moderators to delete.
const (
	purgeTime    = 5 * time.Second
	purgeScanned = 20_000 // messages looked at
	purgeDeleted = 1000
	purgePage    = 100
)

// purge deletes what users wrote within age in a guild, newest first per channel, as far as the bounds reach. The ban that it belongs to
// is done: what fails here is told to the log alone.
func (s *Server) purge(c *call, guild proto.ID, users []proto.ID, age time.Duration) {
	g, err := s.cfg.Directory.Guild(c.ctx(), guild)
	if err != nil {
		s.warn("purge failed", "bans.put", err)
		return
	}
	began := s.cfg.Now()
	since := began.Add(-age)
	scanned, deleted := 0, 0
	for _, ch := range g.Channels {
		if ch.Type != proto.ChannelText {
			continue
		}
		for before := proto.ID(0); ; {
			if scanned >= purgeScanned || deleted >= purgeDeleted || s.cfg.Now().Sub(began) > purgeTime {
				return
			}
			page, err := s.cfg.History.Before(c.ctx(), ch.ID, before, purgePage)
			if err != nil {
				s.warn("purge failed", "bans.put", fmt.Errorf("channel %d: %w", ch.ID, err))
				return
			}
			scanned += len(page)
			var ids []proto.ID
			for _, m := range page {
				before = m.ID
				if slices.Contains(users, m.Author.ID) && m.ID.Time().After(since) {
					ids = append(ids, m.ID)
				}
			}
			if len(ids) > 0 {
				cmd := c.guildCommand(core.KindMessagesPurge, guild)
				cmd.Id, cmd.Channel = c.commandID(fmt.Sprintf("%s/%d", core.KindMessagesPurge, ids[0])), uint64(ch.ID)
				if _, err := s.send(c, cmd, core.MessagesPurge{Users: users, Messages: ids}); err != nil {
					s.warn("purge failed", "bans.put", err)
					return
				}
				deleted += len(ids)
			}
			if len(page) < purgePage || before.Time().Before(since) {
				break
			}
		}
	}
}
