package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge/edgetest"
	"github.com/starling-chat/starling/proto"
)

// Bob asks for the 2,502 members of a guild that the edge does not hold: they come in chunks of 1,000 and the last says that it is. Asked again
// at once he is told to wait, and Carl, who lacks the intent, gets nothing but what he names.
func TestRequestMembersOfALargeGuild(t *testing.T) {
	w := newWorld(t, nil)
	var crowd []*edgetest.User
	for i := range 2500 {
		crowd = append(crowd, w.core.AddBot(fmt.Sprint("extra", i), 12))
	}
	bob, carl := w.core.AddBot("bob2", 12), w.core.AddBot("carl", 12)
	big := w.core.AddGuild(13, w.alice, append([]*edgetest.User{bob, carl}, crowd...)...)
	general := big.Channels[0]
	open := func(u *edgetest.User, intents int64) *edgetest.Client {
		c := w.dial(t)
		c.Identify(u.Token, map[string]any{"intents": intents})
		c.Expect(proto.EventGuildCreate, nil)
		return c
	}
	all := fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","query":"","limit":0,"nonce":"all"}}`, big.ID)

	c := open(bob, proto.IntentGuilds|proto.IntentGuildMembers)
	c.SendText(all)
	seen := map[proto.ID]bool{}
	for i := range 3 {
		var chunk proto.GuildMembersChunk
		c.Expect(proto.EventGuildMembersChunk, &chunk)
		if chunk.ChunkIndex != i || chunk.ChunkCount != 3 || *chunk.Nonce != "all" || len(chunk.Members) > 1000 {
			t.Fatalf("chunk %d: index %d of %d, %d members", i, chunk.ChunkIndex, chunk.ChunkCount, len(chunk.Members))
		}
		for _, m := range chunk.Members {
			seen[m.User.ID] = true
		}
	}
	if len(seen) < 2500 {
		t.Errorf("%d members, want all", len(seen))
	}
	c.SendText(all)
	var told proto.RateLimited
	c.Expect(proto.EventRateLimited, &told)
	if told.Opcode != proto.OpRequestMembers || told.RetryAfter < 20 || told.RetryAfter > 30 || told.Meta.GuildID != big.ID || *told.Meta.Nonce != "all" {
		t.Errorf("RATE_LIMITED %+v", told)
	}

	d := open(carl, proto.IntentGuilds|proto.IntentGuildMessages)
	d.SendText(all)
	d.SendText(fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","query":"extra24","limit":1000,"nonce":"%s"}}`, big.ID, strings.Repeat("n", 33)))
	var chunk proto.GuildMembersChunk
	d.Expect(proto.EventGuildMembersChunk, &chunk)
	if len(chunk.Members) != 100 || chunk.ChunkCount != 1 || chunk.Nonce != nil {
		t.Errorf("by prefix: %d members, chunk of %d, nonce %v; want 100, 1, none", len(chunk.Members), chunk.ChunkCount, chunk.Nonce)
	}
	d.SendText(fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","user_ids":[%d,5],"nonce":"ids"}}`, big.ID, crowd[7].ID))
	d.Expect(proto.EventGuildMembersChunk, &chunk)
	if len(chunk.Members) != 1 || len(chunk.NotFound) != 1 || chunk.NotFound[0] != 5 {
		t.Errorf("by ids: %d members, not found %v", len(chunk.Members), chunk.NotFound)
	}
	w.core.Say(&general, w.alice, "end")
	expectMessage(t, d, "")
}

// The cores have a session wait, and READY comes after; a start beyond the limits closes with 4008.
func TestSessionStartLimits(t *testing.T) {
	w := newWorld(t, nil)
	const pause = 300 * time.Millisecond
	w.core.OnStart(edgetest.Start{Wait: pause})
	began := time.Now()
	c, _ := w.login(t, w.bob, nil)
	if took := time.Since(began); took < pause {
		t.Errorf("READY after %v, want %v at least", took, pause)
	}
	w.core.Say(w.general, w.alice, "hello")
	expectMessage(t, c, "hello")
	w.core.OnStart(edgetest.Start{Limited: true})
	d := w.dial(t)
	d.ExpectOp(proto.OpHello)
	d.Send(proto.OpIdentify, map[string]any{"token": w.bob.Token})
	d.ExpectClose(proto.CloseRateLimited)
}

// One of a herd that may come soon is let in then; one that may not is closed with 1012 and told when there is a turn.
func TestHerdIsTurnedAway(t *testing.T) {
	w := newWorld(t, nil)
	const soon, late = 300 * time.Millisecond, 12*time.Second + 345*time.Millisecond
	w.core.OnStart(edgetest.Start{Later: soon})
	began := time.Now()
	w.login(t, w.bob, nil)
	if took := time.Since(began); took < soon {
		t.Errorf("READY after %v, want %v at least", took, soon)
	}
	w.core.OnStart(edgetest.Start{Later: late})
	c := w.dial(t)
	c.ExpectOp(proto.OpHello)
	c.Send(proto.OpIdentify, map[string]any{"token": w.bob.Token})
	why := c.ExpectClose(proto.CloseRestart)
	if got := proto.RetryAfter(why); got != late {
		t.Errorf("closed with %q: come again after %v, want %v", why, got, late)
	}
}

// Who never asked for a session hears 4003; presence and heartbeats are let pass, for libraries send them early.
func TestNotIdentified(t *testing.T) {
	w := newWorld(t, nil)
	for _, frame := range []string{fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","query":"","limit":0}}`, w.guild.ID),
		`{"op":4,"d":{"guild_id":"1","channel_id":null,"self_mute":false,"self_deaf":false}}`} {
		c := w.dial(t)
		c.ExpectOp(proto.OpHello)
		c.SendText(`{"op":3,"d":{"since":null,"activities":[],"status":"online","afk":false}}`)
		c.SendText(`{"op":1,"d":null}`)
		c.ExpectOp(proto.OpHeartbeatAck)
		c.SendText(frame)
		c.ExpectClose(proto.CloseNotIdentified)
	}
}
