package bucket

import (
	"context"
	"encoding/json"
	"slices"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// maxSince bounds the messages of one snapshot of a direct channel: they are what came since it was opened a moment ago.
const maxSince = 1000

// directSnapshot tells one of a direct channel's users what an edge needs to go on with the log from there: the channel, and what was said
// since it came into the user's list.
func (b *bucket) directSnapshot(ctx context.Context, cmd *pb.Command) (protobuf.Message, error) {
	id, user := proto.ID(cmd.Channel), proto.ID(cmd.Target)
	if id == 0 || id.Bucket() != b.n {
		return nil, proto.ErrUnknownChannel
	}
	var ask core.SnapshotDirect
	if len(cmd.Body) > 0 {
		if err := json.Unmarshal(cmd.Body, &ask); err != nil {
			return nil, proto.ErrInvalidJSON
		}
	}
	d, err := b.state.direct(ctx, id, b.o.cfg.Now())
	if err != nil {
		return nil, err
	}
	i := d.place(user)
	if i < 0 {
		return nil, proto.ErrUnknownChannel
	}
	s := &pb.DirectSnapshot{Channel: cmd.Channel, Sequence: b.writer.Position().Sequence, Incarnation: b.o.cfg.Log.Incarnation(),
		LastId: uint64(b.issuer.Last())}
	if !d.open[i] {
		return s, nil
	}
	if ask.Since != 0 {
		if s.Messages, err = b.messagesSince(ctx, id, ask.Since); err != nil {
			return nil, err
		}
	}
	s.Body = encode(b.seenBy(ctx, d, user))
	return s, nil
}

// messagesSince are a channel's messages above an id, oldest first: those of the history, and over them what it has not applied yet.
func (b *bucket) messagesSince(ctx context.Context, channel, since proto.ID) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	old, err := b.state.history.After(ctx, channel, since, maxSince)
	if err != nil {
		return nil, err
	}
	bodies := map[proto.ID][]byte{}
	for _, m := range old {
		bodies[m.ID] = encode(m)
	}
	for id, c := range b.overlay.messages {
		switch {
		case c.event == nil:
			delete(bodies, id)
		case proto.ID(c.event.Channel) == channel && id > since:
			bodies[id] = c.event.Body
		}
	}
	ids := make([]proto.ID, 0, len(bodies))
	for id := range bodies {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var out [][]byte
	for _, id := range ids {
		out = append(out, bodies[id])
	}
	return out, nil
}
