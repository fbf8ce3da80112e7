package bucket

import (
	"context"
	"encoding/json"
	"time"

	"github.com/starling-chat/starling/proto"
)

const (
	slowPast  = 1000 // messages of the past that are looked at when slow mode begins to count
	slowSweep = 4096 // users that are remembered before those who may send again are forgotten
)

// slowMode is when each user wrote last in a channel with slow mode. It is made of the channel's last messages when it is first needed, and of
// the commands of the last minutes, which a new owner learns from the log: deleting a message, or an owner that changes, gives nobody a turn.
type slowMode struct {
	last  map[proto.ID]time.Time
	sweep int // size at which it is swept
}

// slow is nil if the actor may write now, or what tells how long to wait.
func (t *turn) slow(a *access, ch *channel, p proto.Permissions) error {
	wait := time.Duration(ch.RateLimitPerUser) * time.Second
	if wait <= 0 {
		ch.slow = nil
		return nil
	}
	if a.member.User.Bot || p&(proto.PermManageMessages|proto.PermManageChannels|proto.PermBypassSlowmode) != 0 {
		return nil
	}
	if ch.slow == nil {
		s, err := t.b.slowModeOf(t.ctx, ch.ID, t.now.Add(-wait))
		if err != nil {
			return err
		}
		ch.slow = s
	}
	if left := wait - t.now.Sub(ch.slow.last[a.user()]); left > 0 {
		return proto.SlowMode(left)
	}
	return nil
}

// spoke notes that a user wrote.
func (s *slowMode) spoke(user proto.ID, now time.Time, wait time.Duration) {
	if s == nil {
		return
	}
	if len(s.last) >= max(s.sweep, slowSweep) {
		for id, at := range s.last {
			if now.Sub(at) > wait {
				delete(s.last, id)
			}
		}
		s.sweep = 2 * len(s.last)
	}
	s.last[user] = now
}

// slowModeOf reads who wrote in a channel since a time.
func (b *bucket) slowModeOf(ctx context.Context, channel proto.ID, since time.Time) (*slowMode, error) {
	s := &slowMode{last: map[proto.ID]time.Time{}}
	note := func(m proto.Message) {
		if m.System() {
			return
		}
		if at := time.Time(m.Timestamp); at.After(s.last[m.Author.ID]) {
			s.last[m.Author.ID] = at
		}
	}
	for _, memo := range b.recent.commands {
		var m proto.Message
		if ev := memo.event; ev.Type == proto.EventMessageCreate && proto.ID(ev.Channel) == channel && json.Unmarshal(ev.Body, &m) == nil {
			note(m)
		}
	}
	for _, c := range b.overlay.messages {
		var m proto.Message
		if c.event != nil && proto.ID(c.event.Channel) == channel && json.Unmarshal(c.event.Body, &m) == nil {
			note(m)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for before, n := proto.ID(0), 0; n < slowPast; n += 100 {
		page, err := b.state.history.Before(ctx, channel, before, 100)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			note(m)
			before = m.ID
		}
		if len(page) < 100 || before.Time().Before(since) {
			break
		}
	}
	return s, nil
}
