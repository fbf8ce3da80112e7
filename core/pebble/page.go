package pebble

import (
	"context"
	"fmt"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Message implements core.History.
func (s *Store) Message(_ context.Context, channel, id proto.ID) (proto.Message, error) {
	v, err := s.get(messageKey(channel, id))
	if err != nil {
		return proto.Message{}, fmt.Errorf("channel %d: message %d: %w", channel, id, err)
	}
	gone := v == nil
	if !gone {
		if gone, err = deleted(v); err != nil {
			return proto.Message{}, fmt.Errorf("channel %d: message %d: %w", channel, id, err)
		}
	}
	if gone {
		return proto.Message{}, fmt.Errorf("channel %d: message %d: %w", channel, id, core.ErrNotFound)
	}
	return decodeMessage(v)
}

// Before implements core.History.
func (s *Store) Before(ctx context.Context, channel, before proto.ID, n int) ([]proto.Message, error) {
	upper := channelKey(prefixMessage, channel+1)
	if before != 0 {
		upper = messageKey(channel, before)
	}
	bounds := &engine.IterOptions{LowerBound: channelKey(prefixMessage, channel), UpperBound: upper}
	return s.page(ctx, channel, bounds, n, (*engine.Iterator).Last, (*engine.Iterator).Prev)
}

// After implements core.History.
func (s *Store) After(ctx context.Context, channel, after proto.ID, n int) ([]proto.Message, error) {
	bounds := &engine.IterOptions{LowerBound: messageKey(channel, after+1), UpperBound: channelKey(prefixMessage, channel+1)}
	return s.page(ctx, channel, bounds, n, (*engine.Iterator).First, (*engine.Iterator).Next)
}

// page collects n messages and steps over tombstones, however many there are, until ctx ends: a short page means that there are no more.
func (s *Store) page(ctx context.Context, channel proto.ID, bounds *engine.IterOptions, n int,
	start, step func(*engine.Iterator) bool) ([]proto.Message, error) {
	page := make([]proto.Message, 0, max(0, min(n, 100)))
	if n <= 0 {
		return page, nil
	}
	it, err := s.db.NewIterWithContext(ctx, bounds)
	if err != nil {
		return nil, fmt.Errorf("channel %d: %w", channel, err)
	}
	defer it.Close()
	for ok := start(it); ok && len(page) < n; ok = step(it) {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("channel %d: %w", channel, err)
		}
		m, gone, err := current(it)
		if err != nil {
			return nil, fmt.Errorf("channel %d: %w", channel, err)
		}
		if !gone {
			page = append(page, m)
		}
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("channel %d: %w", channel, err)
	}
	return page, nil
}

// current decodes the message that an iterator stands on; gone = a tombstone.
func current(it *engine.Iterator) (m proto.Message, gone bool, err error) {
	v, err := it.ValueAndErr()
	if err != nil {
		return m, false, err
	}
	if gone, err = deleted(v); err != nil || gone {
		return m, gone, err
	}
	m, err = decodeMessage(v)
	return m, false, err
}
