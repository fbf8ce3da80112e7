package edge

import (
	"context"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// gather finds out which buckets the session needs, and follows them.
func (v *move) gather(ctx context.Context, l *loop) error {
	home := v.session.bucket
	if err := v.follow(ctx, l, home); err != nil {
		return err
	}
	for id, w := range v.waiting {
		if w.Guild && w.Shown { // perhaps nothing but the guild's own bucket has told of it yet
			v.guilds = append(v.guilds, id)
		}
		if !w.Guild && id != looksPlace {
			v.directs = append(v.directs, id)
		}
	}
	for _, d := range v.user.Directs {
		v.listed[proto.ID(d.Channel)] = proto.ID(d.Since)
	}
	if p := v.at(home); p != nil && v.user.Sequence > 0 {
		if err := v.readHome(ctx, l, home, p); err != nil {
			return err
		}
	}
	for _, id := range v.user.Guilds {
		v.guilds = append(v.guilds, proto.ID(id))
	}
	v.directs = slices.AppendSeq(v.directs, maps.Keys(v.listed))
	v.guilds = slices.DeleteFunc(distinct(v.guilds), func(id proto.ID) bool { return !v.session.inShard(id) })
	v.directs = distinct(v.directs)
	if v.session.shard[0] != directShard {
		v.directs = nil
	}
	var buckets []int
	for _, id := range v.guilds {
		if b := id.Bucket(); b != home && !slices.Contains(buckets, b) {
			buckets = append(buckets, b)
		}
	}
	for _, id := range v.directs { // each seat is to have a follow of its own
		buckets = append(buckets, id.Bucket())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(followsAtOnce)
	var mu sync.Mutex
	for _, b := range buckets {
		g.Go(func() error {
			if err := l.interest.follow(ctx, b); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			v.follows = append(v.follows, b)
			return nil
		})
	}
	return g.Wait()
}

// readHome takes from the log of the user's bucket what is between the client's position and what the core knew of the user: the core may have been
// ahead, or behind, where its owner had not yet heard that the log has an entry.
func (v *move) readHome(ctx context.Context, l *loop, home int, p *pb.ResumePosition) error {
	known := v.user.Sequence
	if err := l.interest.reader.Range(ctx, home, below(p), known, func(seq uint64, e *pb.Entry) error {
		events := e.Events
		if seq == p.Sequence {
			events = events[min(int(p.Events), len(events)):]
		}
		v.learn(events)
		return nil
	}); err != nil {
		return err
	}
	var since []buffered
	if err := l.interest.reader.Range(ctx, home, known, applied(p), func(seq uint64, e *pb.Entry) error {
		for i, ev := range e.Events {
			if (seq < p.Sequence || i < int(p.Events)) && ofUser(ev) && addressee(ev) == v.session.user {
				since = append(since, buffered{seq, ev})
			}
		}
		return nil
	}); err != nil {
		return err
	}
	v.age(since)
	return nil
}

// age brings what the core knew of the user up to events that the client has.
func (v *move) age(since []buffered) {
	guilds := guildsAfter(v.user.Guilds, since)
	v.user.Guilds = v.user.Guilds[:0]
	for _, id := range guilds {
		v.user.Guilds = append(v.user.Guilds, uint64(id))
	}
	v.listed = directsAfter(v.listed, since)
	for _, b := range since {
		if b.event.Type == proto.EventInternalDirectClosed { // the channel's own bucket may have yet to tell the client
			v.directs = append(v.directs, proto.ID(b.event.Channel))
		}
	}
}

// directsAfter applies openings and closings to the list of a user's direct channels.
func directsAfter(list map[proto.ID]proto.ID, since []buffered) map[proto.ID]proto.ID {
	list = maps.Clone(list)
	for _, b := range since {
		switch id := proto.ID(b.event.Channel); b.event.Type {
		case proto.EventInternalDirectOpened:
			list[id] = openingOf(b.event)
		case proto.EventInternalDirectClosed:
			delete(list, id)
		}
	}
	return list
}

func (v *move) follow(ctx context.Context, l *loop, bucket int) error {
	if err := l.interest.follow(ctx, bucket); err != nil {
		return err
	}
	v.follows = append(v.follows, bucket)
	return nil
}

// learn takes from the user's bucket what the session had to do with and has no more.
func (v *move) learn(events []*pb.Event) {
	for _, e := range events {
		if proto.ID(e.User) != v.session.user {
			continue
		}
		switch e.Type {
		case proto.EventInternalGuildLeft, proto.EventInternalGuildJoined:
			v.guilds = append(v.guilds, proto.ID(e.Guild))
			if _, known := v.joined[proto.ID(e.Guild)]; !known {
				v.joined[proto.ID(e.Guild)] = e.Type == proto.EventInternalGuildJoined
			}
		case proto.EventInternalDirectOpened, proto.EventInternalDirectClosed:
			id, opens := proto.ID(e.Channel), e.Type == proto.EventInternalDirectOpened
			v.directs = append(v.directs, id)
			if _, known := v.turned[id]; !known {
				v.turned[id] = opens
			}
			if opens {
				v.opened[id] = append(v.opened[id], openingOf(e))
			} else {
				v.closings[id] = openingOf(e)
			}
		}
	}
}

// below is the sequence above which a client at p may lack something.
func below(p *pb.ResumePosition) uint64 { return max(p.Sequence, 1) - 1 }

// applied is the sequence of the last entry of which a client at p has anything.
func applied(p *pb.ResumePosition) uint64 {
	if p.Events > 0 || p.Frames > 0 {
		return p.Sequence
	}
	return below(p)
}

// distinct sorts a list, which is the caller's alone, and has each once.
func distinct(ids []proto.ID) []proto.ID {
	slices.Sort(ids)
	return slices.Compact(ids)
}
