package pebble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Apply implements core.History: one batch with the messages and the checkpoint. It is not synced, see the package comment. The checkpoint
// only rises; whether a write counts is decided by versions alone, so entries may come again or late.
func (s *Store) Apply(ctx context.Context, entries []core.Applied) error {
	if len(entries) == 0 {
		return nil
	}
	bucket := entries[0].Bucket
	reached, err := s.Checkpoint(ctx, bucket)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	w := &writer{store: s, batch: b, versions: map[string]version{}, channels: map[proto.ID]*channelFacts{}}
	for _, a := range entries {
		if a.Bucket != bucket {
			return fmt.Errorf("bucket %d: entry of bucket %d in one Apply", bucket, a.Bucket)
		}
		for i, e := range a.Entry.GetEvents() {
			if err := w.apply(e, version{a.Entry.Epoch, a.Entry.Counter, uint32(i)}); err != nil {
				return fmt.Errorf("bucket %d, sequence %d, %s: %w", bucket, a.Sequence, e.Type, err)
			}
		}
		reached = reached.Reach(a)
	}
	if err := b.Set(checkpointKey(bucket), encodeCheckpoint(reached), nil); err != nil {
		return err
	}
	if err := b.Commit(engine.NoSync); err != nil {
		return fmt.Errorf("bucket %d: commit: %w", bucket, err)
	}
	for channel, f := range w.channels {
		s.channels.change(channel, func(known *channelFacts) {
			known.last = max(known.last, f.last)
			if f.gone && (!known.gone || f.deleted.compare(known.deleted) > 0) {
				known.gone, known.deleted = true, f.deleted
			}
		})
	}
	return nil
}

// A writer fills one batch. What it has put there it remembers, as the batch cannot be read.
type writer struct {
	store    *Store
	batch    *engine.Batch
	versions map[string]version         // by key
	channels map[proto.ID]*channelFacts // with what the batch changes
}

func (w *writer) apply(e *pb.Event, v version) error {
	switch e.Type {
	case proto.EventMessageCreate, proto.EventMessageUpdate:
		if body, ok := proto.StoredBody(e.Body); ok && e.Id != 0 && e.Channel != 0 {
			if err := w.put(proto.ID(e.Channel), proto.ID(e.Id), v, body); err != nil {
				return err
			}
			return w.reach(proto.ID(e.Channel), proto.ID(e.Id))
		}
		var m proto.Message
		if err := json.Unmarshal(e.Body, &m); err != nil {
			return err
		}
		if m.ID == 0 || m.ChannelID == 0 {
			return errors.New("body names no message")
		}
		body, err := encodeMessage(&m)
		if err != nil {
			return err
		}
		if err := w.put(m.ChannelID, m.ID, v, body); err != nil {
			return err
		}
		return w.reach(m.ChannelID, m.ID)
	case proto.EventMessageDelete:
		var d proto.MessageDelete
		if err := json.Unmarshal(e.Body, &d); err != nil {
			return err
		}
		if d.ID == 0 || d.ChannelID == 0 {
			return errors.New("body names no message")
		}
		return w.put(d.ChannelID, d.ID, v, nil)
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
			if err := w.put(d.ChannelID, id, v, nil); err != nil {
				return err
			}
		}
	case proto.EventInternalReactions:
		return w.reactions(e.Body, v)
	case proto.EventInternalPins:
		return w.pins(e.Body, v)
	case proto.EventChannelDelete:
		var c struct {
			ID proto.ID `json:"id"`
		}
		if err := json.Unmarshal(e.Body, &c); err != nil {
			return err
		}
		if c.ID == 0 {
			return errors.New("body names no channel")
		}
		return w.deleteChannel(c.ID, v)
	}
	return nil
}

// put writes the JSON of a message, or a tombstone for nil, unless something newer is there.
func (w *writer) put(channel, id proto.ID, v version, body []byte) error {
	if dropped, err := w.dropped(channel, v); err != nil || dropped {
		return err
	}
	key := messageKey(channel, id)
	if !w.store.channels.fresh(channel, id) {
		if newer, err := w.newer(key, v); err != nil || newer {
			return err
		}
	}
	w.versions[string(key)] = v
	return w.batch.Set(key, messageRecord(v, body), nil)
}

// facts are those of a channel as the batch leaves them.
func (w *writer) facts(channel proto.ID) (*channelFacts, error) {
	if f := w.channels[channel]; f != nil {
		return f, nil
	}
	f, err := w.store.facts(channel)
	if err != nil {
		return nil, err
	}
	w.channels[channel] = &f
	return &f, nil
}

// dropped tells that the channel was deleted by something newer than v.
func (w *writer) dropped(channel proto.ID, v version) (bool, error) {
	f, err := w.facts(channel)
	return err == nil && f.gone && f.deleted.compare(v) > 0, err
}

// deleteChannel drops all of a channel at once and leaves one version behind, against which anything that comes late loses.
func (w *writer) deleteChannel(channel proto.ID, v version) error {
	key := deletedKey(channel)
	if newer, err := w.newer(key, v); err != nil || newer {
		return err
	}
	w.versions[string(key)] = v
	f, err := w.facts(channel)
	if err != nil {
		return err
	}
	f.gone, f.deleted = true, v
	if err := w.batch.Set(key, v.append(nil), nil); err != nil {
		return err
	}
	for _, prefix := range []byte{prefixMessage, prefixPins, prefixTally, prefixReactor} {
		if err := w.batch.DeleteRange(channelKey(prefix, channel), channelKey(prefix, channel+1), nil); err != nil {
			return err
		}
	}
	return nil
}

// newer tells whether the key holds a version above v. The same version is not newer: it writes the same again.
func (w *writer) newer(key []byte, v version) (bool, error) {
	if have, ok := w.versions[string(key)]; ok {
		return have.compare(v) > 0, nil
	}
	b, closer, err := w.store.db.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer closer.Close()
	have, err := decodeVersion(b)
	if err != nil {
		return false, err
	}
	w.versions[string(key)] = have
	return have.compare(v) > 0, nil
}

// reach raises the id of a channel's newest message.
func (w *writer) reach(channel, id proto.ID) error {
	f, err := w.facts(channel)
	if err != nil || id <= f.last {
		return err
	}
	f.last = id
	return w.batch.Set(lastKey(channel), encodeID(id), nil)
}
