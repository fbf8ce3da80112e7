package bucket

import (
	"context"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// reacting is what commands about reactions begin with: the message, its tallies, and where the command's emoji stands among them.
type reacting struct {
	a       *access
	p       proto.Permissions
	msg     *proto.Message
	emoji   string
	tallies []core.Tally // a copy
	at      int          // -1: the emoji is not there
	user    proto.ID     // that the command names; 0: the actor
}

func (t *turn) reacting() (*reacting, error) {
	var body core.ReactionRef
	if err := t.body(&body); err != nil {
		return nil, err
	}
	a, ch, p, err := t.accessTo()
	if err != nil {
		return nil, err
	}
	if !p.Has(proto.PermReadMessageHistory) {
		return nil, proto.ErrMissingPermission
	}
	r := &reacting{a: a, p: p, emoji: body.Emoji, user: body.User}
	if t.cmd.Kind != core.KindReactionRemoveAll && !proto.ValidEmoji(r.emoji) {
		return nil, proto.ErrUnknownEmoji
	}
	if r.msg, err = t.b.message(t.ctx, ch.ID, t.target()); err != nil {
		return nil, err
	}
	tallies, err := t.b.tallies(t.ctx, ch.ID, r.msg.ID)
	if err != nil {
		return nil, err
	}
	r.tallies = slices.Clone(tallies[r.msg.ID])
	r.at = slices.IndexFunc(r.tallies, func(y core.Tally) bool { return y.Emoji == r.emoji })
	return r, nil
}

func reactionAdd(t *turn) error {
	r, err := t.reacting()
	if err != nil {
		return err
	}
	change := core.ReactionChange{}
	switch {
	case r.at >= 0:
		in, err := t.b.reacted(t.ctx, r.msg.ChannelID, r.tallies[r.at].Round, r.a.user())
		if err != nil {
			return err
		}
		if in {
			return t.just(204, nil)
		}
	case !r.p.Has(proto.PermAddReactions): // needed for the first of an emoji alone
		return proto.ErrMissingPermission
	case len(r.tallies) >= proto.MaxReactions:
		return proto.ErrMaxReactions
	default:
		round, err := t.newID()
		if err != nil {
			return err
		}
		r.at = len(r.tallies)
		r.tallies = append(r.tallies, core.Tally{Round: round, Emoji: r.emoji})
	}
	r.tallies[r.at].Count++
	change.Added = []core.Reactor{{Round: r.tallies[r.at].Round, User: r.a.user()}}
	ev := t.emitReaction(r, proto.EventReactionAdd, proto.ReactionAdd{UserID: r.a.user(), ChannelID: r.msg.ChannelID, MessageID: r.msg.ID,
		GuildID: r.a.g.info.ID, Member: r.memberIn(), Emoji: proto.Emoji{Name: r.emoji}, MessageAuthorID: r.msg.Author.ID})
	t.tally(r, change)
	return t.answered(ev, 204)
}

func reactionRemove(t *turn) error {
	r, err := t.reacting()
	if err != nil {
		return err
	}
	user := r.a.user()
	if r.user != 0 && r.user != user {
		if !r.p.Has(proto.PermManageMessages) {
			return proto.ErrMissingPermission
		}
		user = r.user
	}
	if r.at < 0 {
		return t.just(204, nil)
	}
	round := r.tallies[r.at].Round
	in, err := t.b.reacted(t.ctx, r.msg.ChannelID, round, user)
	if err != nil {
		return err
	}
	if !in {
		return t.just(204, nil)
	}
	change := core.ReactionChange{Removed: []core.Reactor{{Round: round, User: user}}}
	if r.tallies[r.at].Count--; r.tallies[r.at].Count <= 0 {
		r.tallies = slices.Delete(r.tallies, r.at, r.at+1)
		change.Ended = []proto.ID{round}
	}
	ev := t.emitReaction(r, proto.EventReactionRemove, proto.ReactionRemove{UserID: user, ChannelID: r.msg.ChannelID, MessageID: r.msg.ID,
		GuildID: r.a.g.info.ID, Emoji: proto.Emoji{Name: r.emoji}})
	t.tally(r, change)
	return t.answered(ev, 204)
}

func reactionRemoveAll(t *turn) error {
	r, err := t.reacting()
	if err != nil {
		return err
	}
	if !r.p.Has(proto.PermManageMessages) {
		return proto.ErrMissingPermission
	}
	if len(r.tallies) == 0 {
		return t.just(204, nil)
	}
	change := core.ReactionChange{Ended: rounds(r.tallies)}
	r.tallies = nil
	ev := t.emitReaction(r, proto.EventReactionRemoveAll,
		proto.ReactionRemoveAll{ChannelID: r.msg.ChannelID, MessageID: r.msg.ID, GuildID: r.a.g.info.ID})
	t.tally(r, change)
	return t.answered(ev, 204)
}

func reactionRemoveEmoji(t *turn) error {
	r, err := t.reacting()
	if err != nil {
		return err
	}
	if !r.p.Has(proto.PermManageMessages) {
		return proto.ErrMissingPermission
	}
	if r.at < 0 {
		return t.just(204, nil)
	}
	change := core.ReactionChange{Ended: []proto.ID{r.tallies[r.at].Round}}
	r.tallies = slices.Delete(r.tallies, r.at, r.at+1)
	ev := t.emitReaction(r, proto.EventReactionRemoveEmoji, proto.ReactionRemoveAll{ChannelID: r.msg.ChannelID, MessageID: r.msg.ID,
		GuildID: r.a.g.info.ID, Emoji: &proto.Emoji{Name: r.emoji}})
	t.tally(r, change)
	return t.answered(ev, 204)
}

// memberIn is the actor as reaction events show it; direct channels have no members.
func (r *reacting) memberIn() *proto.Member {
	if r.a.g.info.ID == 0 {
		return nil
	}
	return r.a.member
}

func (t *turn) emitReaction(r *reacting, kind string, body any) *pb.Event {
	return t.emit(&pb.Event{Type: kind, Guild: uint64(r.a.g.info.ID), Channel: uint64(r.msg.ChannelID), Id: uint64(r.msg.ID),
		Required: uint64(proto.PermViewChannel)}, body, nil)
}

// tally emits what the history keeps of a change.
func (t *turn) tally(r *reacting, c core.ReactionChange) {
	c.ChannelID, c.MessageID, c.Tallies = r.msg.ChannelID, r.msg.ID, r.tallies
	t.emitTally(r.a.g.info.ID, c)
}

func (t *turn) emitTally(guild proto.ID, c core.ReactionChange) {
	var ev *pb.Event
	ev = t.emit(&pb.Event{Type: proto.EventInternalReactions, Guild: uint64(guild), Channel: uint64(c.ChannelID), Id: uint64(c.MessageID)}, c, func() {
		t.b.overlay.pendPost(postKey{id: c.MessageID}, c.Tallies, ev)
		for _, u := range c.Added {
			t.b.overlay.pendPost(postKey{u.Round, u.User}, true, ev)
		}
		for _, u := range c.Removed {
			t.b.overlay.pendPost(postKey{u.Round, u.User}, false, ev)
		}
	})
}

// dropReactions emits what the deletion of messages does to their reactions.
func (t *turn) dropReactions(guild, channel proto.ID, messages ...proto.ID) error {
	all, err := t.b.tallies(t.ctx, channel, messages...)
	if err != nil {
		return err
	}
	for _, id := range messages {
		if len(all[id]) > 0 {
			t.emitTally(guild, core.ReactionChange{ChannelID: channel, MessageID: id, Ended: rounds(all[id])})
		}
	}
	return nil
}

func rounds(tallies []core.Tally) []proto.ID {
	var ids []proto.ID
	for _, y := range tallies {
		ids = append(ids, y.Round)
	}
	return ids
}

// tallies gives those of messages that have any, as the last command left them.
func (b *bucket) tallies(ctx context.Context, channel proto.ID, messages ...proto.ID) (map[proto.ID][]core.Tally, error) {
	known := map[proto.ID][]core.Tally{}
	var ask []proto.ID
	for _, id := range messages {
		if v, ok := b.overlay.post(postKey{id: id}); ok {
			known[id] = v.([]core.Tally)
		} else {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return known, nil
	}
	if err := b.caughtUp(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stored, err := b.state.history.Reactions(ctx, channel, ask)
	if err != nil {
		return nil, err
	}
	for id, tallies := range stored {
		known[id] = tallies
	}
	return known, nil
}

// reacted tells whether a user is in a round.
func (b *bucket) reacted(ctx context.Context, channel, round, user proto.ID) (bool, error) {
	if v, ok := b.overlay.post(postKey{round, user}); ok {
		return v.(bool), nil
	}
	if err := b.caughtUp(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	in, err := b.state.history.Reacted(ctx, channel, []proto.ID{round}, user)
	return in[round], err
}

// caughtUp is nil once the history has all that was replayed at take-over: until then it may tell counts that are no longer true.
func (b *bucket) caughtUp() error {
	if b.hist.backlog() > 0 && b.hist.done() < b.replayed {
		return proto.ErrUnavailable
	}
	return nil
}
