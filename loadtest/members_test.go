package loadtest

import (
	"fmt"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// Op 8 takes ids as strings, numbers and lists, and its answer always holds not_found.
func TestRequestMembers(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("max", true)
	person, _ := w.human("mia")
	s := w.open(0, bot.Token, client.Options{}, nil)
	g, u := w.guild.ID, person.User.ID
	for i, tt := range []struct {
		name, ask string
		members   int
		notFound  int
	}{
		{"all", fmt.Sprintf(`"guild_id":"%s","query":"","limit":0`, g), 3, 0},
		{"number", fmt.Sprintf(`"guild_id":%s,"query":"","limit":0`, g), 3, 0},
		{"list", fmt.Sprintf(`"guild_id":["%s"],"query":"","limit":0,"presences":false`, g), 3, 0},
		{"one user", fmt.Sprintf(`"guild_id":"%s","user_ids":"%s","limit":0`, g, u), 1, 0},
		{"users as numbers", fmt.Sprintf(`"guild_id":"%s","user_ids":[%s,%s],"limit":0`, g, u, bot.ID), 2, 0},
		{"users as strings, one unknown", fmt.Sprintf(`"guild_id":[%s],"user_ids":["%s","4611686018427387904"],"limit":0`, g, u), 1, 1},
		{"by name", fmt.Sprintf(`"guild_id":"%s","query":"mia","limit":10`, g), 1, 0},
		{"limit", fmt.Sprintf(`"guild_id":"%s","query":"","limit":2`, g), 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nonce := fmt.Sprint("n", i)
			must(t, s.SendRaw(fmt.Sprintf(`{"op":8,"d":{%s,"nonce":"%s"}}`, tt.ask, nonce)))
			e := w.await(s.Gateway, 0, "GUILD_MEMBERS_CHUNK", about("GUILD_MEMBERS_CHUNK", func(c proto.GuildMembersChunk) bool {
				return c.Nonce != nil && *c.Nonce == nonce
			}))
			var c proto.GuildMembersChunk
			must(t, e.Into(&c))
			if len(c.Members) != tt.members || len(c.NotFound) != tt.notFound || c.ChunkIndex != 0 || c.ChunkCount != 1 || c.GuildID != g {
				t.Errorf("got %d members, %d not found, chunk %d of %d; want %d, %d, 0 of 1", len(c.Members), len(c.NotFound), c.ChunkIndex,
					c.ChunkCount, tt.members, tt.notFound)
			}
		})
	}
}

// Jo joins while connected: GUILD_CREATE comes, and from then on every message. When he is removed, GUILD_DELETE, and no message more.
func TestJoinWhileConnected(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 2*patience)
	bot, _ := w.bot("jo", false)
	watcher, _ := w.bot("wanda", true)
	s := w.open(0, bot.Token, client.Options{}, nil)
	if len(s.guilds) != 0 {
		t.Fatalf("got %d guilds before joining, want 0", len(s.guilds))
	}
	see := w.open(1, watcher.Token, client.Options{}, nil)

	stop := make(chan struct{})
	spoken := make(chan []proto.ID, 1)
	go func() {
		var ids []proto.ID
		defer func() { spoken <- ids }()
		for i := 0; i < 500; i++ {
			m, err := w.owner.Say(ctx, w.general, fmt.Sprint(i))
			if err != nil {
				t.Error(err)
				return
			}
			ids = append(ids, m.ID)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	must(t, w.owner.AddBot(ctx, w.guild.ID, bot.ID))
	created := w.await(s.Gateway, 0, "GUILD_CREATE", about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == w.guild.ID }))
	w.await(see.Gateway, 0, "GUILD_MEMBER_ADD", about("GUILD_MEMBER_ADD", func(m proto.GuildMember) bool { return m.User.ID == bot.ID }))
	w.await(s.Gateway, 0, "a message", event("MESSAGE_CREATE"))
	close(stop)
	ids := <-spoken
	last := ids[len(ids)-1]
	w.await(s.Gateway, 0, "the last message", says(proto.Message{ID: last}))

	var got []proto.ID
	for _, e := range s.Since(0) {
		var m proto.Message
		if e.T == "MESSAGE_CREATE" && e.Into(&m) == nil {
			if e.S < created.S {
				t.Errorf("message %s before GUILD_CREATE", m.ID)
			}
			got = append(got, m.ID)
		}
	}
	want := ids[len(ids)-len(got):] // the last ones, without a hole
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("hole: message %d after the join is %s, want %s", i, got[i], want[i])
		}
	}
	var c proto.GuildCreate
	must(t, created.Into(&c))
	for _, ch := range c.Channels {
		if ch.ID == w.general && ch.LastMessageID != nil && *ch.LastMessageID < want[0] {
			for _, id := range ids {
				if id > *ch.LastMessageID && id < want[0] {
					t.Errorf("message %s is neither in GUILD_CREATE (last %s) nor was it sent", id, *ch.LastMessageID)
				}
			}
		}
	}

	must(t, w.owner.Call(ctx, "DELETE", fmt.Sprintf("/guilds/%s/members/%s", w.guild.ID, bot.ID), nil, nil))
	w.await(s.Gateway, 0, "GUILD_DELETE", about("GUILD_DELETE", func(d proto.GuildStub) bool { return d.ID == w.guild.ID && !d.Unavailable }))
	m := take[proto.Message](t)(w.owner.Say(ctx, w.general, "without jo"))
	w.await(see.Gateway, 0, "message", says(m))
	mark := s.Mark()
	must(t, w.owner.AddBot(ctx, w.guild.ID, bot.ID))
	w.await(s.Gateway, mark, "GUILD_CREATE again", about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == w.guild.ID }))
	if s.Count(0, says(m)) != 0 {
		t.Error("a message of a guild that jo had left reached him")
	}
}

// An invite shows the guild to a stranger, lets him in, and does nothing for somebody who is in already.
func TestInvites(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, patience)
	p := take[client.Person](t)(w.owner.As("").Register(ctx, name("inga"), password))
	r := w.owner.As("Bearer " + p.Token)
	s := w.open(1, p.Token, client.Options{}, nil)
	code := take[string](t)(w.owner.Invite(ctx, w.general))
	var invite proto.Invite
	must(t, r.Call(ctx, "GET", "/invites/"+code, nil, &invite))
	if invite.Guild.ID != w.guild.ID || invite.Channel.ID != w.general || invite.Code != code {
		t.Errorf("invite: %+v", invite)
	}
	must(t, r.Join(ctx, code))
	w.await(s.Gateway, 0, "GUILD_CREATE", about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == w.guild.ID && c.MemberCount == 2 }))
	must(t, r.Join(ctx, code))
	m := take[proto.Message](t)(r.Say(ctx, w.general, "thank you"))
	w.await(s.Gateway, 0, "own message", says(m))
	fails(t, r.Join(ctx, "nosuchcode"), proto.ErrUnknownInvite)
	if got := s.Count(0, event("GUILD_CREATE")); got != 1 {
		t.Errorf("got %d GUILD_CREATE, want 1", got)
	}
}
