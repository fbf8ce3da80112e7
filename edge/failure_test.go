package edge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/edge/edgetest"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestCoreIsDownForAWhile(t *testing.T) {
	w := newWorld(t, nil)
	w.core.Down(true)
	c := w.dial(t)
	c.ExpectOp(proto.OpHello)
	c.Send(proto.OpIdentify, map[string]any{"token": w.bob.Token})
	relaytest.Until(t, "the core is asked", func() bool { return w.core.Calls("identify") > 1 })
	w.core.Down(false)
	c.Expect(proto.EventReady, nil)
	c.Expect(proto.EventGuildCreate, nil)
}

func TestUnknownGuildIsNotSilence(t *testing.T) {
	w := newWorld(t, nil)
	lost := w.core.NewID(11)
	w.bob.Guilds = append([]proto.ID{lost}, w.bob.Guilds...)
	c := w.dial(t)
	c.Identify(w.bob.Token, nil)
	got := map[string]bool{}
	for range 2 {
		f := c.Next()
		got[f.T] = true
	}
	if !got[proto.EventGuildCreate] || !got[proto.EventGuildDelete] {
		t.Fatalf("got %v", got)
	}
}

func TestShards(t *testing.T) {
	w := newWorld(t, nil)
	for shard := range 3 {
		c := w.dial(t)
		r := c.Identify(w.bob.Token, map[string]any{"shard": []int{shard, 3}})
		mine := int(uint64(w.guild.ID)>>22%3) == shard
		if r.Shard != [2]int{shard, 3} || (len(r.Guilds) == 1) != mine {
			t.Fatalf("shard %d: READY %+v", shard, r)
		}
		if mine {
			c.Expect(proto.EventGuildCreate, nil)
		}
	}
}

// A guild too large to be known in full: each session brings its own row, few calls bring many, and rights follow rows all the same.
func TestLargeGuild(t *testing.T) {
	w := newWorld(t, nil)
	var crowd []*edgetest.User
	for i := range 300 {
		crowd = append(crowd, w.core.AddBot(fmt.Sprint("bot", i), 12))
	}
	big := w.core.AddGuild(13, w.alice, crowd...)
	general := big.Channels[0]
	var clients []*edgetest.Client
	release := w.core.HoldGuilds() // so that all of them wait, however slow this machine is
	for _, u := range crowd[:30] {
		c := w.dial(t)
		c.Send(proto.OpIdentify, map[string]any{"token": u.Token})
		clients = append(clients, c)
	}
	for _, c := range clients {
		c.ExpectOp(proto.OpHello)
		c.Expect(proto.EventReady, nil)
	}
	release()
	for i, c := range clients {
		var g proto.GuildCreate
		c.Expect(proto.EventGuildCreate, &g)
		if len(g.Members) != 1 || g.Members[0].User.ID != crowd[i].ID || g.MemberCount != 301 || !g.Large {
			t.Fatalf("bot %d: %d members listed, count %d", i, len(g.Members), g.MemberCount)
		}
	}
	if n := w.core.Calls("guild"); n > 20 {
		t.Errorf("%d guild calls for 30 sessions", n)
	}
	role := proto.Role{ID: w.core.NewID(13), Name: "muted"}
	w.core.SetRole(big, role)
	hidden := general
	hidden.Overwrites = []proto.Overwrite{{ID: role.ID, Type: proto.OverwriteRole, Deny: proto.PermViewChannel}}
	w.core.SetChannel(big, hidden)
	w.core.SetRoles(big, crowd[0], role.ID)
	w.core.Say(&general, w.alice, "hello")
	for i, c := range clients {
		c.Expect(proto.EventGuildRoleCreate, nil)
		c.Expect(proto.EventChannelUpdate, nil)
		c.Expect(proto.EventGuildMemberUpdate, nil)
		if i == 0 {
			c.Expect(proto.EventChannelDelete, nil)
		} else {
			expectMessage(t, c, "hello")
		}
	}
	clients[1].SendText(fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","user_ids":["%d","%d"]}}`, big.ID, crowd[200].ID, w.bob.ID))
	var chunk proto.GuildMembersChunk
	clients[1].Expect(proto.EventGuildMembersChunk, &chunk)
	if len(chunk.Members) != 1 || chunk.Members[0].User.ID != crowd[200].ID || len(chunk.NotFound) != 1 {
		t.Fatalf("chunk %+v", chunk)
	}
	late := w.core.AddBot("late", 12)
	c := w.dial(t)
	c.Identify(late.Token, nil)
	w.core.Join(big, late)
	w.core.Say(&general, w.alice, "late is here")
	c.Expect(proto.EventGuildCreate, nil)
	expectMessage(t, c, "late is here")
	w.core.Leave(big, late)
	c.Expect(proto.EventGuildDelete, nil)
}

func TestRingOverflowsWhileAway(t *testing.T) {
	w := newWorld(t, func(c *edge.Config) { c.RingEvents = 10 })
	for missed, resumed := range map[int]bool{10: true, 11: false} {
		c, _ := w.login(t, w.bob, nil)
		witness, _ := w.login(t, w.alice, nil)
		c.Cut()
		w.core.Join(w.guild, w.core.AddBot(fmt.Sprint("x", missed), 20)) // an event before the count begins, so that the cut is noticed
		witness.Expect(proto.EventGuildMemberAdd, nil)
		base := c.Seq
		d := w.dial(t)
		d.Resume(w.bob.Token, c.Session, base)
		d.Expect(proto.EventGuildMemberAdd, nil)
		d.Expect(proto.EventResumed, nil)
		d.Cut()
		for i := range missed {
			w.core.Say(w.general, w.alice, fmt.Sprint(i))
			expectMessage(t, witness, fmt.Sprint(i))
		}
		e := w.dial(t)
		e.Resume(w.bob.Token, c.Session, d.Seq)
		if resumed {
			for i := range missed {
				expectMessage(t, e, fmt.Sprint(i))
			}
			e.Expect(proto.EventResumed, nil)
		} else {
			e.ExpectOp(proto.OpInvalidSession)
		}
		e.Cut()
		witness.Cut()
	}
}

func TestSilenceClosesAndKeepsTheSession(t *testing.T) {
	w := newWorld(t, func(c *edge.Config) { c.HeartbeatInterval = 300 * time.Millisecond })
	c, _ := w.login(t, w.bob, nil)
	c.ExpectClose(proto.CloseTimeout)
	d := w.dial(t)
	d.Resume(w.bob.Token, c.Session, c.Seq)
	d.Expect(proto.EventResumed, nil)
}

func TestSessionExpires(t *testing.T) {
	w := newWorld(t, func(c *edge.Config) { c.SessionLife, c.IdentifyTimeout = time.Millisecond, 500*time.Millisecond })
	c, _ := w.login(t, w.bob, nil)
	idle := w.dial(t)
	c.Cut()
	idle.ExpectClose(proto.CloseTimeout) // never identified; the same tick, or a later one, ends the session
	relaytest.Until(t, "the session is gone", func() bool {
		d := w.dial(t)
		d.Resume(w.bob.Token, c.Session, c.Seq)
		f := d.Next()
		d.Cut()
		return f.Op == proto.OpInvalidSession
	})
}

func TestLogBeginsAnew(t *testing.T) {
	w := newWorld(t, nil)
	for _, bucket := range []int{w.guild.ID.Bucket(), w.bob.ID.Bucket()} {
		c, _ := w.login(t, w.bob, nil)
		w.edge.ResetBucket(bucket)
		c.ExpectClose(proto.CloseUnknown)
		d := w.dial(t)
		d.Resume(w.bob.Token, c.Session, c.Seq)
		d.ExpectOp(proto.OpInvalidSession)
		d.Seq = 0
		d.IdentifyAgain(w.bob.Token, nil)
		d.Expect(proto.EventGuildCreate, nil)
		w.core.Say(w.general, w.alice, "hello")
		expectMessage(t, d, "hello")
		d.Cut()
	}
}

func TestResumeWithARefreshedToken(t *testing.T) {
	w := newWorld(t, nil)
	c, _ := w.login(t, w.alice, nil)
	c.Cut()
	d := w.dial(t)
	d.Resume("Bearer "+w.core.Alias(w.alice), c.Session, c.Seq)
	d.Expect(proto.EventResumed, nil)
	// A token that no core knows any more, for the same session: refused, and the session stays.
	w.core.Forget(w.alice.Token)
	w.core.Forget(w.core.Alias(w.bob))
	bad := w.dial(t)
	bad.Resume(w.alice.Token, c.Session, d.Seq)
	bad.ExpectClose(proto.CloseAuthFailed)
	w.core.Say(w.general, w.bob, "still here")
	expectMessage(t, d, "still here")
}

func TestUnhealthyWithoutTheHub(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	e := edgetest.StartEdge(t, mesh, 0, nil)
	relaytest.Until(t, "healthy", func() bool { return e.Healthy() == nil })
	mesh.StopHub()
	relaytest.Until(t, "unhealthy", func() bool { return e.Healthy() != nil })
	mesh.StartHub(t)
	relaytest.Until(t, "healthy again", func() bool { return e.Healthy() == nil })
}
