package bucket

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Alice founds a guild, Bob joins it, they talk; everything ends up in log, directory and history, and ids rise.
func TestStory(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	h.join(bob)

	first, second := h.say(alice, "hello <@"+bob.String()+">"), h.say(bob, "hi")
	if !(h.guild < h.general && h.general < first.ID && first.ID < second.ID) {
		t.Errorf("ids do not rise: %d %d %d %d", h.guild, h.general, first.ID, second.ID)
	}
	for _, id := range []proto.ID{h.general, first.ID} {
		if id.Bucket() != h.guild.Bucket() {
			t.Errorf("id %d is of bucket %d, its guild of %d", id, id.Bucket(), h.guild.Bucket())
		}
	}
	if first.GuildID != nil || first.Member != nil || len(first.Mentions) != 1 || first.Mentions[0].ID != bob {
		t.Errorf("answer is not REST's form: %+v", first)
	}
	if !time.Time(first.Timestamp).Equal(first.ID.Time()) {
		t.Errorf("timestamp %s, id says %s", first.Timestamp, first.ID.Time())
	}

	content := "hello all"
	var edited proto.Message
	w.do(200, h.cmd(core.KindMessageEdit, alice, first.ID), core.MessageEdit{Content: &content}, &edited)
	if edited.Content != content || edited.EditedTimestamp == nil || edited.ID != first.ID {
		t.Errorf("edited: %+v", edited)
	}
	w.refused(proto.ErrNotAuthor, h.cmd(core.KindMessageEdit, bob, first.ID), core.MessageEdit{Content: &content})
	w.do(204, h.cmd(core.KindMessageDelete, bob, second.ID), nil, nil)
	w.refused(proto.ErrUnknownMessage, h.cmd(core.KindMessageDelete, bob, second.ID), nil)

	page, err := w.hist.Before(context.Background(), h.general, 0, 10)
	if err != nil || len(page) != 1 || page[0].Content != content {
		t.Errorf("history: %+v, %v", page, err)
	}
	g, s := h.snapshot()
	if len(g.Channels) != 1 || *g.Channels[0].LastMessageID != second.ID || len(g.Members) != 2 || !s.AllMembers || g.MemberCount != 2 {
		t.Errorf("snapshot: %+v", g)
	}
	if s.Incarnation != o.log.Incarnation() || s.Sequence == 0 {
		t.Errorf("snapshot of sequence %d, incarnation %d", s.Sequence, s.Incarnation)
	}
	relaytest.Until(t, "Bob's own bucket learns of the join", func() bool {
		ids, err := w.dir.GuildsOf(context.Background(), bob)
		return err == nil && slices.Contains(ids, h.guild)
	})
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

func TestMessageRules(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	alice, bob, eve := w.person("alice"), w.person("bob"), w.person("eve")
	h := w.home(alice)
	h.join(bob)
	long := string(bytes.Repeat([]byte("a"), proto.MaxContent))
	wide := ""
	for range proto.MaxContent {
		wide += "ü"
	}
	for _, c := range []struct {
		name string
		who  proto.ID
		body any
		want *proto.Error // nil: sent
	}{
		{"plain", bob, core.MessageCreate{Content: "x"}, nil},
		{"at the limit", bob, core.MessageCreate{Content: long}, nil},
		{"at the limit, wide", bob, core.MessageCreate{Content: wide}, nil},
		{"over the limit", bob, core.MessageCreate{Content: long + "a"}, &proto.Error{Status: 400, Code: 50035}},
		{"empty", bob, core.MessageCreate{}, proto.ErrEmptyMessage},
		{"blank", bob, core.MessageCreate{Content: " \n\t"}, proto.ErrEmptyMessage},
		{"integer nonce", bob, core.MessageCreate{Content: "x", Nonce: []byte("12")}, nil},
		{"long nonce", bob, core.MessageCreate{Content: "x", Nonce: []byte(`"12345678901234567890123456"`)}, &proto.Error{Status: 400, Code: 50035}},
		{"odd nonce", bob, core.MessageCreate{Content: "x", Nonce: []byte(`{}`)}, &proto.Error{Status: 400, Code: 50035}},
		{"stranger", eve, core.MessageCreate{Content: "x"}, proto.ErrMissingAccess},
		{"not an object", bob, []int{1}, &proto.Error{Status: 400, Code: 50035}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			if c.want == nil {
				w.do(200, h.cmd(core.KindMessageCreate, c.who, 0), c.body, nil)
			} else {
				w.refused(c.want, h.cmd(core.KindMessageCreate, c.who, 0), c.body)
			}
		})
	}
	w.t = t
	w.refused(proto.ErrUnknownChannel, h.in(12345, core.KindMessageCreate, bob, 0), core.MessageCreate{Content: "x"})
	other := h.cmd(core.KindMessageCreate, bob, 0)
	other.Guild = uint64(proto.MakeID(time.Now(), h.guild.Bucket(), 4000))
	w.refused(proto.ErrUnknownGuild, other, core.MessageCreate{Content: "x"})
	late := h.cmd(core.KindMessageCreate, bob, 0)
	late.Id, late.Bucket = newCommandID(), uint32(h.guild.Bucket())
	late.DeadlineMs = time.Now().Add(-time.Second).UnixMilli()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if r, err := askFor(ctx, w, late); err == nil {
		t.Errorf("an expired command was answered: %v", r)
	}
}

func TestMentions(t *testing.T) {
	w := newWorld(t)
	w.own("core")
	alice, bob, eve := w.person("alice"), w.person("bob"), w.person("eve")
	h := w.home(alice)
	h.join(bob)
	role := h.role(0, 0)
	text := "@everyone <@" + alice.String() + "> <@!" + bob.String() + "> <@" + eve.String() + "> <@&" + role.String() + "> <@7"
	m := h.say(bob, text)
	if m.MentionEveryone || len(m.MentionRoles) != 0 || len(m.Mentions) != 2 {
		t.Errorf("Bob mentions %+v %+v %v", m.Mentions, m.MentionRoles, m.MentionEveryone)
	}
	m = h.say(alice, text)
	if !m.MentionEveryone || len(m.MentionRoles) != 1 || len(m.Mentions) != 2 {
		t.Errorf("Alice mentions %+v %+v %v", m.Mentions, m.MentionRoles, m.MentionEveryone)
	}
}

// A command that comes again gets its first answer, from the same owner and from the next.
func TestRepeatedCommand(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	bot := w.bot(alice, "crow")
	type again struct {
		cmd   *pb.Command
		body  any
		first *pb.Result
	}
	var all []again
	once := func(want int, cmd *pb.Command, body any) *pb.Result {
		r := w.do(want, cmd, body, nil)
		all = append(all, again{cmd, body, r})
		return r
	}
	once(200, h.cmd(core.KindMessageCreate, alice, 0), core.MessageCreate{Content: "once", Nonce: []byte(`"n"`)})
	text := "twice"
	once(200, h.cmd(core.KindMessageEdit, alice, h.say(alice, "<@"+alice.String()+">").ID), core.MessageEdit{Content: &text})
	once(201, h.cmd(core.KindChannelCreate, alice, 0), core.ChannelCreate{Name: "attic"})
	once(200, h.cmd(core.KindRoleCreate, alice, 0), core.RoleEdit{})
	once(201, h.cmd(core.KindMemberAdd, alice, bot), nil)
	once(200, h.cmd(core.KindInviteCreate, alice, 0), core.InviteCreate{Code: "abc"})
	once(204, h.cmd(core.KindOverwritePut, alice, alice), core.OverwritePut{Type: 1, Allow: proto.PermSendMessages})
	born := newCommandID()
	once(201, &pb.Command{Id: born, Kind: core.KindGuildCreate, Actor: uint64(alice), Bucket: uint32(core.BirthBucket(born))},
		core.GuildCreate{Name: "Nest"})
	reset := &pb.Command{Kind: core.KindTokenReset, Actor: uint64(alice), Target: uint64(bot), Bucket: uint32(bot.Bucket())}
	once(200, reset, core.TokenReset{TokenHash: bytes.Repeat([]byte{1}, 32)})

	check := func() {
		t.Helper()
		before := o.at(h.guild)
		for _, a := range all {
			r := w.do(int(a.first.Status), a.cmd, a.body, nil)
			if !bytes.Equal(r.Body, a.first.Body) || r.Sequence != a.first.Sequence {
				t.Errorf("%s again: got %d %s, want %d %s", a.cmd.Kind, r.Sequence, r.Body, a.first.Sequence, a.first.Body)
			}
		}
		if after := o.at(h.guild); after != before {
			t.Errorf("repeats moved the bucket from %d to %d", before, after)
		}
	}
	check()
	o.stop()
	o = w.own("core")
	check()
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// An enforced nonce stands for one message, for 5 minutes and over a restart; one that is not enforced stands for nothing.
func TestNonce(t *testing.T) {
	w := newWorld(t)
	o := w.own("core")
	alice, bob := w.person("alice"), w.person("bob")
	h := w.home(alice)
	h.join(bob)
	send := func(who proto.ID, enforce bool) proto.ID {
		t.Helper()
		var m proto.Message
		w.do(200, h.cmd(core.KindMessageCreate, who, 0),
			core.MessageCreate{Content: "x", Nonce: []byte(`"77"`), EnforceNonce: enforce}, &m)
		if string(m.Nonce) != `"77"` {
			t.Errorf("nonce came back as %s", m.Nonce)
		}
		return m.ID
	}
	first := send(alice, true)
	if got := send(alice, true); got != first {
		t.Errorf("repeated nonce: got message %d, want %d", got, first)
	}
	if got := send(alice, false); got == first {
		t.Error("a nonce that is not enforced was")
	}
	if got := send(bob, true); got == first {
		t.Error("the nonce of another author counted")
	}
	o.stop()
	w.own("core")
	if got := send(alice, true); got != first {
		t.Errorf("repeated nonce after a restart: got message %d, want %d", got, first)
	}
}

// at is the sequence of a guild's bucket.
func (o *owned) at(id proto.ID) uint64 {
	if p := o.buckets[id.Bucket()].at.Load(); p != nil {
		return p.Sequence
	}
	return 0
}
