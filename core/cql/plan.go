package cql

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A plan is what one Apply writes: of several writes to one row the newest alone.
type plan struct {
	rows    map[rowKey]row
	windows map[partition]reach // that hold a message which was sent or edited, deleted since or not
	deleted map[proto.ID]sweep  // channels
	posts   posts
	reached core.Checkpoint
}

type rowKey struct {
	partition
	id proto.ID
}

// A row is a message, or its tombstone where body is nil.
type row struct {
	stamp int64
	body  []byte
}

// A reach is the newest stamp and id of what was written to a window.
type reach struct {
	stamp int64
	id    proto.ID
}

// A sweep deletes a channel: windows from that of its birth to last.
type sweep struct {
	stamp       int64
	first, last int
}

// newPlan reads the entries; it fails before anything is written.
func newPlan(entries []core.Applied) (*plan, error) {
	p := &plan{rows: map[rowKey]row{}, windows: map[partition]reach{}, deleted: map[proto.ID]sweep{}, posts: newPosts()}
	bucket := entries[0].Bucket
	p.reached.Bucket = bucket
	for _, a := range entries {
		if a.Bucket != bucket {
			return nil, fmt.Errorf("bucket %d: entry of bucket %d in one Apply", bucket, a.Bucket)
		}
		at, err := stamp(a.Entry)
		if err != nil {
			return nil, fmt.Errorf("bucket %d, sequence %d: %w", bucket, a.Sequence, err)
		}
		for _, e := range a.Entry.GetEvents() {
			if err := p.add(e, at, proto.ID(a.Entry.LastId)); err != nil {
				return nil, fmt.Errorf("bucket %d, sequence %d, %s: %w", bucket, a.Sequence, e.Type, err)
			}
		}
		p.reached = p.reached.Reach(a)
	}
	return p, nil
}

func (p *plan) add(e *pb.Event, at int64, lastID proto.ID) error {
	switch e.Type {
	case proto.EventMessageCreate, proto.EventMessageUpdate:
		var m proto.Message
		if err := json.Unmarshal(e.Body, &m); err != nil {
			return err
		}
		if m.ID == 0 || m.ChannelID == 0 {
			return errors.New("body names no message")
		}
		body, err := encodeMessage(m)
		if err != nil {
			return err
		}
		p.put(m.ChannelID, m.ID, row{at, body})
		home := partition{m.ChannelID, windowOf(m.ID)}
		was := p.windows[home]
		p.windows[home] = reach{max(was.stamp, at), max(was.id, m.ID)}
	case proto.EventMessageDelete:
		var d proto.MessageDelete
		if err := json.Unmarshal(e.Body, &d); err != nil {
			return err
		}
		if d.ID == 0 || d.ChannelID == 0 {
			return errors.New("body names no message")
		}
		p.put(d.ChannelID, d.ID, row{at, nil})
	case proto.EventMessageDeleteBulk:
		var d struct {
			IDs       []proto.ID `json:"ids"`
			ChannelID proto.ID   `json:"channel_id"`
		}
		if err := json.Unmarshal(e.Body, &d); err != nil {
			return err
		}
		if d.ChannelID == 0 {
			return errors.New("body names no channel")
		}
		for _, id := range d.IDs {
			p.put(d.ChannelID, id, row{at, nil})
		}
	case proto.EventInternalReactions:
		return p.posts.addReactions(e.Body, at)
	case proto.EventInternalPins:
		return p.posts.addPins(e.Body, at)
	case proto.EventChannelDelete:
		var c struct {
			ID            proto.ID  `json:"id"`
			LastMessageID *proto.ID `json:"last_message_id"`
		}
		if err := json.Unmarshal(e.Body, &c); err != nil {
			return err
		}
		if c.ID == 0 {
			return errors.New("body names no channel")
		}
		last := max(lastID, c.ID)
		if c.LastMessageID != nil {
			last = max(last, *c.LastMessageID)
		}
		if was := p.deleted[c.ID]; at >= was.stamp {
			p.deleted[c.ID] = sweep{at, windowOf(c.ID), windowOf(last)}
		}
	}
	return nil
}

// put keeps the newest write to a row. At the same stamp the one that comes later in the entry is newer.
func (p *plan) put(channel, id proto.ID, r row) {
	key := rowKey{partition{channel, windowOf(id)}, id}
	if was, ok := p.rows[key]; !ok || r.stamp >= was.stamp {
		p.rows[key] = r
	}
}
