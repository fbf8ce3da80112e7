package edge_test

import (
	"testing"

	"github.com/starling-chat/starling/proto"
)

// The guild's bucket cannot be reached: READY names the guild, GUILD_DELETE says that it is unavailable, and once the bucket is back GUILD_CREATE
// comes by itself, and with it every message from then on.
func TestUnavailableGuildComesBack(t *testing.T) {
	w := newWorld(t, nil)
	w.core.GuildsAway(true)
	c := w.dial(t)
	if r := c.Identify(w.bob.Token, nil); len(r.Guilds) != 1 || !r.Guilds[0].Unavailable {
		t.Fatalf("READY names %+v, want one unavailable guild", r.Guilds)
	}
	var gone proto.GuildStub
	if c.Expect(proto.EventGuildDelete, &gone); gone.ID != w.guild.ID || !gone.Unavailable {
		t.Errorf("GUILD_DELETE %+v, want unavailable", gone)
	}
	w.core.GuildsAway(false)
	var back proto.GuildCreate
	if c.Expect(proto.EventGuildCreate, &back); back.ID != w.guild.ID || back.Unavailable {
		t.Errorf("GUILD_CREATE of %d, unavailable %v", back.ID, back.Unavailable)
	}
	w.core.Say(w.general, w.alice, "welcome back")
	expectMessage(t, c, "welcome back")
}
