package bucket

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// profileAge is how old the names and pictures of a direct channel's users may be.
const profileAge = 5 * time.Second

// A direct channel in memory. To the code of messages it is a channel of a guild without id, with two members.
type direct struct {
	g     *guild
	ch    *channel
	users [2]proto.ID // the lower first
	open  [2]bool
	read  time.Time // when the users' profiles were
}

func newDirect(d core.Direct, now time.Time) *direct {
	x := &direct{g: newGuild(proto.Guild{}), ch: &channel{Channel: proto.Channel{ID: d.ID, Type: proto.ChannelDM}}, open: d.Open, read: now}
	for i, u := range d.Users {
		x.users[i] = u.ID
		x.setUser(u)
	}
	x.g.used = now
	x.g.channels[d.ID] = x.ch
	return x
}

func (d *direct) setUser(u proto.User) {
	d.g.members.put(u.ID, &proto.Member{User: &u, Roles: []proto.ID{}})
}

// place tells which of the two a user is, -1 for neither.
func (d *direct) place(user proto.ID) int {
	for i, id := range d.users {
		if id == user {
			return i
		}
	}
	return -1
}

func (d *direct) recipients() []uint64 { return []uint64{uint64(d.users[0]), uint64(d.users[1])} }

// direct gives a channel, loading it if need be; ErrUnknownChannel.
func (s *state) direct(ctx context.Context, id proto.ID, now time.Time) (*direct, error) {
	if d := s.directs[id]; d != nil {
		d.g.used = now
		return d, nil
	}
	return s.loadDirect(ctx, now, func(ctx context.Context) (core.Direct, error) { return s.directory.Direct(ctx, id) })
}

// directOf gives the channel of two users; ErrUnknownChannel if they have none yet.
func (s *state) directOf(ctx context.Context, a, b proto.ID, now time.Time) (*direct, error) {
	for _, d := range s.directs {
		if d.place(a) >= 0 && d.place(b) >= 0 {
			d.g.used = now
			return d, nil
		}
	}
	return s.loadDirect(ctx, now, func(ctx context.Context) (core.Direct, error) { return s.directory.DirectOf(ctx, a, b) })
}

func (s *state) loadDirect(ctx context.Context, now time.Time, load func(context.Context) (core.Direct, error)) (*direct, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stored, err := load(ctx)
	if errors.Is(err, core.ErrNotFound) {
		return nil, proto.ErrUnknownChannel
	}
	if err != nil {
		return nil, err
	}
	d := newDirect(stored, now)
	s.directs[stored.ID] = d
	return d, nil
}

// directChannel gives the command's channel, if it is the actor's.
func (t *turn) directChannel() (*direct, error) {
	if t.channel() == 0 || t.channel().Bucket() != t.b.n {
		return nil, proto.ErrUnknownChannel
	}
	d, err := t.b.state.direct(t.ctx, t.channel(), t.now)
	if err != nil {
		return nil, err
	}
	if d.place(t.actor()) < 0 {
		return nil, proto.ErrMissingAccess
	}
	if t.now.Sub(d.read) > profileAge {
		for _, id := range d.users {
			if u, err := t.user(id); err == nil { // else the old one must do
				d.setUser(u)
			}
		}
		d.read = t.now
	}
	t.direct = d
	return d, nil
}

// accessToDirect is accessTo for a channel without guild: both users may do the same.
func (t *turn) accessToDirect() (*access, *channel, proto.Permissions, error) {
	d, err := t.directChannel()
	if err != nil {
		return nil, nil, 0, err
	}
	for _, of := range []string{"channel.", "overwrite.", "invite."} {
		if strings.HasPrefix(t.cmd.Kind, of) {
			return nil, nil, 0, proto.ErrDirectChannel
		}
	}
	m, _ := d.g.members.get(t.actor())
	return &access{g: d.g, member: m, base: proto.PermDirect}, d.ch, proto.PermDirect, nil
}

// directOpen puts the channel of two users into the actor's list; the first time, it is born.
func directOpen(t *turn) error {
	if t.target() == 0 || t.target() == t.actor() {
		return proto.ErrInvalidRecipient
	}
	if core.PairBucket(t.actor(), t.target()) != t.b.n {
		return errBirthplace
	}
	d, err := t.b.state.directOf(t.ctx, t.actor(), t.target(), t.now)
	if errors.Is(err, proto.ErrUnknownChannel) {
		d, err = t.bearDirect()
	}
	if err != nil {
		return err
	}
	t.direct = d
	if d.open[d.place(t.actor())] {
		return t.just(200, t.b.seenBy(t.ctx, d, t.actor()))
	}
	since, err := t.newID()
	if err != nil {
		return err
	}
	return t.answered(t.show(d, t.actor(), since), 200)
}

func (t *turn) bearDirect() (*direct, error) {
	stored := core.Direct{}
	for i, id := range []proto.ID{min(t.actor(), t.target()), max(t.actor(), t.target())} {
		u, err := t.user(id)
		if errors.Is(err, proto.ErrUnknownUser) {
			err = proto.ErrInvalidRecipient
		}
		if err != nil {
			return nil, err
		}
		stored.Users[i] = u
	}
	var err error
	if stored.ID, err = t.newID(); err != nil {
		return nil, err
	}
	d := newDirect(stored, t.now)
	d.ch.lastKnown, d.ch.pinKnown = true, true
	t.direct = d
	t.emit(&pb.Event{Type: proto.EventInternalDirectBorn, Channel: uint64(stored.ID), Id: uint64(stored.ID)},
		proto.DirectChannel{ID: stored.ID, Type: proto.ChannelDM, Recipients: stored.Users[:]}, func() { t.b.state.directs[stored.ID] = d })
	return d, nil
}

// directClose takes the channel out of the actor's list, until the next message.
func directClose(t *turn) error {
	d, err := t.directChannel()
	if err != nil {
		return err
	}
	i := d.place(t.actor())
	seen := t.b.seenBy(t.ctx, d, t.actor())
	if !d.open[i] {
		return t.just(200, seen)
	}
	id, err := t.newID() // openings and closings are in the order of their ids, also within one entry
	if err != nil {
		return err
	}
	ev := t.emit(&pb.Event{Type: proto.EventInternalDirectHidden, Channel: t.cmd.Channel, Id: uint64(id), User: t.cmd.Actor}, seen,
		func() { d.open[i] = false })
	return t.answered(ev, 200)
}

// show puts a channel into a user's list; what is said later has an id above since.
func (t *turn) show(d *direct, user, since proto.ID) *pb.Event {
	i := d.place(user)
	return t.emit(&pb.Event{Type: proto.EventInternalDirectShown, Channel: uint64(d.ch.ID), User: uint64(user), Id: uint64(since)},
		t.b.seenBy(t.ctx, d, user), func() { d.open[i] = true })
}

// showAll is called before a message has its id: it brings the channel back to whoever has closed it, or never saw it.
func (t *turn) showAll() error {
	if t.direct == nil || t.direct.open == [2]bool{true, true} {
		return nil
	}
	since, err := t.newID()
	if err != nil {
		return err
	}
	for i, open := range t.direct.open {
		if !open {
			t.show(t.direct, t.direct.users[i], since)
		}
	}
	return nil
}

// messageID is the id of a new message, which brings a direct channel back to whoever has closed it.
func (t *turn) messageID() (proto.ID, error) {
	if err := t.showAll(); err != nil {
		return 0, err
	}
	return t.newID()
}

// seenBy is the channel as one of its users sees it.
func (b *bucket) seenBy(ctx context.Context, d *direct, user proto.ID) proto.DirectChannel {
	other, _ := d.g.members.get(d.users[1-d.place(user)])
	ch := b.withLast(ctx, d.ch)
	return proto.DirectChannel{ID: ch.ID, Type: proto.ChannelDM, LastMessageID: ch.LastMessageID, LastPinTimestamp: ch.LastPinTimestamp,
		Recipients: []proto.User{*other.User}}
}

func directOpened(t *turn) error { return directLink(t, proto.EventInternalDirectOpened) }
func directClosed(t *turn) error { return directLink(t, proto.EventInternalDirectClosed) }

// directLink tells a user's home bucket what a channel's bucket has decided; only the mesh asks for it, from an outbox.
func directLink(t *turn, kind string) error {
	var body core.DirectLink
	if err := t.body(&body); err != nil {
		return err
	}
	if t.actor() != 0 {
		return proto.ErrMissingPermission
	}
	if err := t.home(proto.ErrUnknownUser); err != nil {
		return err
	}
	ev := t.emit(&pb.Event{Type: kind, Channel: t.cmd.Channel, Id: body.Sequence, User: t.cmd.Target, Author: t.cmd.Target}, body, nil)
	return t.answered(ev, 204)
}
