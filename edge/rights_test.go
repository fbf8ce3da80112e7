package edge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/starling-chat/starling/proto"
)

func TestRequestMembers(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.bob, nil)
	for _, d := range []string{
		fmt.Sprintf(`{"guild_id":"%d","user_ids":["%d","5"],"nonce":"n"}`, w.guild.ID, w.alice.ID),
		fmt.Sprintf(`{"guild_id":%d,"user_ids":[%d,5],"nonce":"n"}`, w.guild.ID, w.alice.ID),
		fmt.Sprintf(`{"guild_id":["%d"],"query":"ALI","limit":0,"nonce":"n","user_ids":null}`, w.guild.ID),
	} {
		c.SendText(`{"op":8,"d":` + d + `}`)
		var chunk proto.GuildMembersChunk
		f := c.Expect(proto.EventGuildMembersChunk, &chunk)
		if len(chunk.Members) != 1 || chunk.Members[0].User.ID != w.alice.ID || chunk.ChunkCount != 1 || chunk.Nonce == nil ||
			!strings.Contains(string(f.D), `"not_found":[`) || strings.Contains(d, `5`) && strings.Contains(d, "5]") && len(chunk.NotFound) != 1 {
			t.Fatalf("%s: %s", d, f.D)
		}
	}
}

func TestRequestMembersWithPresences(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.bob, nil)
	c.SendText(fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","query":"","limit":1,"presences":true}}`, w.guild.ID))
	var chunk proto.GuildMembersChunk
	if f := c.Expect(proto.EventGuildMembersChunk, &chunk); len(chunk.Members) != 1 || !strings.Contains(string(f.D), `"presences":[]`) {
		t.Fatalf("chunk %s", f.D)
	}
}

func TestRightsChangeInOrder(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.bob, nil)
	owner, _ := w.login(t, w.alice, nil)
	hidden := *w.general
	hidden.Overwrites = []proto.Overwrite{{ID: w.guild.ID, Type: proto.OverwriteRole, Deny: proto.PermViewChannel}}
	w.core.SetChannel(w.guild, hidden)
	w.core.Say(w.general, w.alice, "not for bob")
	var gone proto.Channel
	if c.Expect(proto.EventChannelDelete, &gone); gone.ID != w.general.ID {
		t.Fatalf("CHANNEL_DELETE of %d", gone.ID)
	}
	owner.Expect(proto.EventChannelUpdate, nil)
	expectMessage(t, owner, "not for bob")

	// A role brings it back to Bob alone.
	role := proto.Role{ID: w.core.NewID(9), Name: "friends"}
	w.core.SetRole(w.guild, role)
	c.Expect(proto.EventGuildRoleCreate, nil)
	w.core.SetRoles(w.guild, w.bob, role.ID)
	c.Expect(proto.EventGuildMemberUpdate, nil)
	shown := hidden
	shown.Overwrites = append(slices.Clone(shown.Overwrites), proto.Overwrite{ID: role.ID, Type: proto.OverwriteRole, Allow: proto.PermViewChannel})
	w.core.SetChannel(w.guild, shown)
	w.core.Say(w.general, w.alice, "for bob again")
	c.Expect(proto.EventChannelCreate, nil)
	expectMessage(t, c, "for bob again")
	w.core.SetRoles(w.guild, w.bob)
	c.Expect(proto.EventGuildMemberUpdate, nil)
	c.Expect(proto.EventChannelDelete, nil)
	own := hidden
	own.Overwrites = append(slices.Clone(own.Overwrites), proto.Overwrite{ID: w.bob.ID, Type: proto.OverwriteMember, Allow: proto.PermViewChannel})
	w.core.SetChannel(w.guild, own)
	c.Expect(proto.EventChannelCreate, nil)
	admin := proto.Role{ID: w.guild.ID, Name: "@everyone", Permissions: proto.PermAdministrator}
	w.core.SetRole(w.guild, admin)
	c.Expect(proto.EventGuildRoleUpdate, nil)
	w.core.SetChannel(w.guild, hidden)
	c.Expect(proto.EventChannelUpdate, nil)
}

func TestCategoryComesWithItsChannel(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.bob, nil)
	cat := proto.Channel{ID: w.core.NewID(9), Type: proto.ChannelCategory, GuildID: w.guild.ID, Name: "staff",
		Overwrites: []proto.Overwrite{{ID: w.guild.ID, Type: proto.OverwriteRole, Deny: proto.PermViewChannel}}}
	w.core.SetChannel(w.guild, cat)
	child := proto.Channel{ID: w.core.NewID(9), Type: proto.ChannelText, GuildID: w.guild.ID, Name: "open", ParentID: &cat.ID, Overwrites: []proto.Overwrite{}}
	w.core.SetChannel(w.guild, child)
	var a, b proto.Channel
	c.Expect(proto.EventChannelCreate, &a)
	c.Expect(proto.EventChannelCreate, &b)
	if a.ID != cat.ID || b.ID != child.ID {
		t.Fatalf("created %s, %s; want the category first", a.Name, b.Name)
	}
}

func TestJoinAndLeaveWhileConnected(t *testing.T) {
	w := newWorld(t, nil)
	carol := w.core.AddBot("carol", 10)
	c := w.dial(t)
	if r := c.Identify(carol.Token, nil); len(r.Guilds) != 0 {
		t.Fatalf("READY lists %v", r.Guilds)
	}
	bob, _ := w.login(t, w.bob, nil)
	for range 3 {
		w.core.Join(w.guild, carol)
		w.core.Say(w.general, w.alice, "welcome")
		var g proto.GuildCreate
		c.Expect(proto.EventGuildCreate, &g)
		if g.MemberCount != 3 || len(g.Members) != 3 {
			t.Fatalf("members %d, listed %d", g.MemberCount, len(g.Members))
		}
		expectMessage(t, c, "welcome")
		bob.Expect(proto.EventGuildMemberAdd, nil)
		expectMessage(t, bob, "welcome")
		w.core.Leave(w.guild, carol)
		if f := c.Expect(proto.EventGuildDelete, nil); strings.Contains(string(f.D), "unavailable") {
			t.Fatalf("GUILD_DELETE %s", f.D)
		}
		bob.Expect(proto.EventGuildMemberRemove, nil)
	}
}

// A deleted guild is gone for everybody, also for those whose own bucket has not heard of it.
func TestGuildDeleted(t *testing.T) {
	w := newWorld(t, nil)
	alice, _ := w.login(t, w.alice, nil)
	bob, _ := w.login(t, w.bob, nil)
	w.core.DeleteGuild(w.guild)
	if f := alice.Expect(proto.EventGuildDelete, nil); strings.Contains(string(f.D), "unavailable") {
		t.Fatalf("GUILD_DELETE %s", f.D)
	}
	bob.Expect(proto.EventGuildDelete, nil)
	again := w.dial(t)
	if r := again.Identify(w.alice.Token, nil); len(r.Guilds) != 1 {
		t.Fatalf("READY lists %v", r.Guilds)
	}
	again.Expect(proto.EventGuildDelete, nil)
}

// Joins of a guild that is busy: whatever is said after the join arrives, once, after GUILD_CREATE.
func TestJoinMissesNothing(t *testing.T) {
	w := newWorld(t, nil)
	carol := w.core.AddBot("carol", 10)
	c := w.dial(t)
	c.Identify(carol.Token, nil)
	w.core.Join(w.guild, carol)
	for i := range 100 {
		w.core.Say(w.general, w.alice, fmt.Sprint(i))
	}
	c.Expect(proto.EventGuildCreate, nil)
	for i := range 20 { // what was said before GUILD_CREATE may all be history
		w.core.Say(w.general, w.alice, fmt.Sprint(100+i))
	}
	next := -1
	for next != 119 {
		var m proto.Message
		c.Expect(proto.EventMessageCreate, &m)
		var n int
		fmt.Sscan(m.Content, &n)
		if next >= 0 && n != next+1 {
			t.Fatalf("message %d after %d", n, next)
		}
		next = n
	}
}
