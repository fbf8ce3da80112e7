package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	snapshotMembers = 10_000 // most members in one snapshot, whatever is asked
	memberPage      = 1000
)

// snapshots are the kinds that are served between groups, where nothing is in flight: what they tell is exactly what the log holds up
// to the sequence that they name.
var snapshots = map[string]bool{core.KindSnapshotGuild: true, core.KindSnapshotUser: true, core.KindSnapshotDirect: true}

// snapshot serves one, or holds it while the directory lags.
func (b *bucket) snapshot(ctx context.Context, c *call) {
	if !b.synced() {
		b.hold(c)
		return
	}
	serve := b.guildSnapshot
	switch c.cmd.Kind {
	case core.KindSnapshotUser:
		serve = b.userSnapshot
	case core.KindSnapshotDirect:
		serve = b.directSnapshot
	}
	m, err := serve(ctx, c.cmd)
	if err != nil {
		var told *proto.Error
		if !errors.As(err, &told) {
			b.log.Warn("snapshot failed", "kind", c.cmd.Kind, "err", err)
		}
		c.fail(asError(err))
		return
	}
	body, err := protobuf.Marshal(m)
	if err != nil {
		c.fail(proto.ErrInternal)
		return
	}
	c.answer(&pb.Result{Status: 200, Body: body, Sequence: b.writer.Position().Sequence})
}

func (b *bucket) userSnapshot(ctx context.Context, cmd *pb.Command) (protobuf.Message, error) {
	id := proto.ID(cmd.Target)
	if id == 0 || id.Bucket() != b.n {
		return nil, proto.ErrUnknownUser
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	user, err := b.state.directory.User(ctx, id)
	if errors.Is(err, core.ErrNotFound) {
		return nil, proto.ErrUnknownUser
	}
	if err != nil {
		return nil, err
	}
	guilds, err := b.state.directory.GuildsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &pb.UserSnapshot{User: uint64(id), Bucket: uint32(b.n), Sequence: b.writer.Position().Sequence,
		Incarnation: b.o.cfg.Log.Incarnation(), Self: encode(user.Self())}
	for _, g := range guilds {
		s.Guilds = append(s.Guilds, uint64(g))
	}
	directs, err := b.state.directory.ListedDirects(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, d := range directs {
		s.Directs = append(s.Directs, &pb.ListedDirect{Channel: uint64(d.Channel), Since: uint64(d.Since)})
	}
	return s, nil
}

func (b *bucket) guildSnapshot(ctx context.Context, cmd *pb.Command) (protobuf.Message, error) {
	id := proto.ID(cmd.Guild)
	if id == 0 || id.Bucket() != b.n {
		return nil, proto.ErrUnknownGuild
	}
	var ask core.SnapshotGuild
	if len(cmd.Body) > 0 {
		if err := json.Unmarshal(cmd.Body, &ask); err != nil {
			return nil, proto.ErrInvalidJSON
		}
	}
	g, err := b.state.guild(ctx, id, b.o.cfg.Now())
	if err != nil {
		return nil, err
	}
	info := g.info
	info.Roles = g.sortedRoles()
	for _, ch := range g.sortedChannels() {
		info.Channels = append(info.Channels, b.withLast(ctx, ch))
	}
	all := info.MemberCount <= min(ask.AllMembersUpTo, snapshotMembers)
	if all {
		info.Members, err = b.allMembers(ctx, id)
	} else {
		info.Members, err = b.someMembers(ctx, g, ask.Members)
	}
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("guild %d: %w", id, err)
	}
	return &pb.GuildSnapshot{Guild: uint64(id), Bucket: uint32(b.n), Sequence: b.writer.Position().Sequence,
		Incarnation: b.o.cfg.Log.Incarnation(), Body: body, AllMembers: all}, nil
}

// withLast is a channel with its last message and pin; a history that does not answer leaves them null rather than the guild closed.
func (b *bucket) withLast(ctx context.Context, ch *channel) proto.Channel {
	if !(ch.lastKnown && ch.pinKnown) && ch.forMessages() && b.hist.backlog() == 0 && !b.o.away.lately() {
		if err := b.readLast(ctx, ch); err != nil {
			b.o.away.note()
		}
	}
	c := ch.Channel
	c.LastPinTimestamp = ch.pinned
	if ch.last != 0 {
		c.LastMessageID = new(ch.last)
	}
	return c
}

// readLast asks a history that has applied everything.
func (b *bucket) readLast(ctx context.Context, ch *channel) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if !ch.lastKnown {
		last, err := b.state.history.LastID(ctx, ch.ID)
		if err != nil {
			return err
		}
		ch.last, ch.lastKnown = last, true
	}
	if !ch.pinKnown {
		pins, err := b.state.history.Pins(ctx, ch.ID)
		if err != nil {
			return err
		}
		ch.pinned, ch.pinKnown = newestPin(pins), true
	}
	return nil
}

func (b *bucket) allMembers(ctx context.Context, g proto.ID) ([]proto.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var all []proto.Member
	for after := proto.ID(0); len(all) < snapshotMembers; {
		page, err := b.state.directory.Members(ctx, g, after, memberPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < memberPage {
			break
		}
		after = page[len(page)-1].User.ID
	}
	return all, nil
}

// someMembers are those of ids that are members.
func (b *bucket) someMembers(ctx context.Context, g *guild, ids []proto.ID) ([]proto.Member, error) {
	var some []proto.Member
	for _, id := range ids[:min(len(ids), snapshotMembers)] {
		m, err := b.state.member(ctx, g, id)
		if err != nil {
			return nil, err
		}
		if m != nil {
			some = append(some, *m)
		}
	}
	return some, nil
}
