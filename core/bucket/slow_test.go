package bucket

import (
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Bob, who has written, waits his turn: though he deletes what he wrote, and though another owner takes the bucket over. Olga, who owns the guild,
// waits for nothing, and what tells of a pin is no turn of hers once the guild is not hers any more.
func TestSlowModeOverRestart(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	olga, bob, cy := w.person("olga"), w.person("bob"), w.person("cy")
	h := w.home(olga)
	h.join(bob)
	h.join(cy)
	wait := 3600
	w.do(200, h.in(h.general, core.KindChannelEdit, olga, 0), core.ChannelEdit{RateLimitPerUser: &wait}, nil)
	slow := &proto.Error{Status: 429, Code: proto.CodeSlowMode}
	more := core.MessageCreate{Content: "and then"}
	said := h.say(bob, "once")
	w.refused(slow, h.in(h.general, core.KindMessageCreate, bob, 0), more)
	w.do(204, h.in(h.general, core.KindMessageDelete, bob, said.ID), nil, nil)
	w.refused(slow, h.in(h.general, core.KindMessageCreate, bob, 0), more)
	o.stop()
	o = w.own("core")
	w.refused(slow, h.in(h.general, core.KindMessageCreate, bob, 0), more)
	first := h.say(cy, "first")
	w.refused(slow, h.in(h.general, core.KindMessageCreate, cy, 0), more)
	w.do(204, h.in(h.general, core.KindPin, olga, first.ID), nil, nil)
	w.do(200, h.cmd(core.KindGuildEdit, olga, 0), core.GuildEdit{OwnerID: &cy}, nil)
	o.stop()
	w.own("core")
	h.say(cy, "as the owner")
	h.say(cy, "as often as she likes")
	h.say(olga, "her first words")
	w.refused(slow, h.in(h.general, core.KindMessageCreate, olga, 0), more)
}
