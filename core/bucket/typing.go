package bucket

import (
	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// typing tells on the ephemeral subject that somebody types. The log never sees it, and if it is lost it is lost.
func typing(t *turn) error {
	a, ch, p, err := t.accessTo()
	if err != nil {
		return err
	}
	if !ch.forMessages() {
		return proto.ErrNonTextChannel
	}
	if !p.Has(proto.PermSendMessages) {
		return proto.ErrMissingPermission
	}
	ev := &pb.Event{Type: proto.EventTypingStart, Guild: uint64(a.g.info.ID), Channel: uint64(ch.ID), Id: uint64(a.user()),
		Author: uint64(a.user()), Required: uint64(proto.PermViewChannel)}
	told := proto.TypingStart{ChannelID: ch.ID, GuildID: a.g.info.ID, UserID: a.user(), Timestamp: t.now.Unix(), Member: a.member}
	if t.direct != nil {
		told.Member, ev.Recipients, ev.Required = nil, t.direct.recipients(), 0
	}
	ev.Body = encode(told)
	b, err := protobuf.Marshal(ev)
	if err != nil {
		return err
	}
	cfg := &t.b.o.cfg
	if err := cfg.Bus.Publish(relay.EphemeralSubject(cfg.Region, t.b.n), b); err != nil {
		return err
	}
	return t.just(204, nil)
}
