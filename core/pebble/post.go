package pebble

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func tallyKey(channel, message proto.ID) []byte {
	return binary.BigEndian.AppendUint64(channelKey(prefixTally, channel), uint64(message))
}

func reactorKey(channel, round, user proto.ID) []byte {
	b := binary.BigEndian.AppendUint64(channelKey(prefixReactor, channel), uint64(round))
	return binary.BigEndian.AppendUint64(b, uint64(user))
}

func pinsKey(channel proto.ID) []byte { return channelKey(prefixPins, channel) }

// reactions writes what _REACTIONS tells. Rounds that ended are dropped without a version: an entry that comes late may put somebody into
// one again, but no tally names it any more.
func (w *writer) reactions(body []byte, v version) error {
	var c core.ReactionChange
	if err := json.Unmarshal(body, &c); err != nil {
		return err
	}
	if c.ChannelID == 0 || c.MessageID == 0 {
		return errors.New("body names no message")
	}
	if err := w.record(c.ChannelID, tallyKey(c.ChannelID, c.MessageID), v, len(c.Tallies) == 0, c.Tallies); err != nil {
		return err
	}
	for _, r := range c.Added {
		if err := w.record(c.ChannelID, reactorKey(c.ChannelID, r.Round, r.User), v, false, nil); err != nil {
			return err
		}
	}
	for _, r := range c.Removed {
		if err := w.record(c.ChannelID, reactorKey(c.ChannelID, r.Round, r.User), v, true, nil); err != nil {
			return err
		}
	}
	for _, round := range c.Ended {
		if err := w.batch.DeleteRange(reactorKey(c.ChannelID, round, 0), reactorKey(c.ChannelID, round+1, 0), nil); err != nil {
			return err
		}
	}
	return nil
}

// pins writes what _PINS tells.
func (w *writer) pins(body []byte, v version) error {
	var c core.PinChange
	if err := json.Unmarshal(body, &c); err != nil {
		return err
	}
	if c.ChannelID == 0 {
		return errors.New("body names no channel")
	}
	return w.record(c.ChannelID, pinsKey(c.ChannelID), v, len(c.Pins) == 0, c.Pins)
}

// record writes version, flags and the JSON of a value (none for nil) under a key, unless something newer is there or the channel is gone.
func (w *writer) record(channel proto.ID, key []byte, v version, gone bool, value any) error {
	if dropped, err := w.dropped(channel, v); err != nil || dropped {
		return err
	}
	if newer, err := w.newer(key, v); err != nil || newer {
		return err
	}
	b := v.append(make([]byte, 0, headerSize))
	switch {
	case gone:
		b = append(b, flagDeleted)
	default:
		b = append(b, 0)
		if value != nil {
			text, err := json.Marshal(value)
			if err != nil {
				return err
			}
			b = append(b, text...)
		}
	}
	w.versions[string(key)] = v
	return w.batch.Set(key, b, nil)
}

// live gives what a record holds after its header; false where there is none or a tombstone.
func (s *Store) live(key []byte) ([]byte, bool, error) {
	v, err := s.get(key)
	if err != nil || v == nil {
		return nil, false, err
	}
	gone, err := deleted(v)
	if err != nil || gone {
		return nil, false, err
	}
	return v[headerSize:], true, nil
}

// Reactions implements core.History.
func (s *Store) Reactions(_ context.Context, channel proto.ID, messages []proto.ID) (map[proto.ID][]core.Tally, error) {
	all := map[proto.ID][]core.Tally{}
	for _, id := range messages {
		v, there, err := s.live(tallyKey(channel, id))
		if err == nil && there {
			var tallies []core.Tally
			err = json.Unmarshal(v, &tallies)
			all[id] = tallies
		}
		if err != nil {
			return nil, fmt.Errorf("channel %d: message %d: reactions: %w", channel, id, err)
		}
	}
	return all, nil
}

// Reacted implements core.History.
func (s *Store) Reacted(_ context.Context, channel proto.ID, rounds []proto.ID, user proto.ID) (map[proto.ID]bool, error) {
	in := map[proto.ID]bool{}
	for _, round := range rounds {
		_, there, err := s.live(reactorKey(channel, round, user))
		if err != nil {
			return nil, fmt.Errorf("channel %d: round %d: %w", channel, round, err)
		}
		if there {
			in[round] = true
		}
	}
	return in, nil
}

// Reactors implements core.History.
func (s *Store) Reactors(ctx context.Context, channel, round, after proto.ID, n int) ([]proto.ID, error) {
	users := []proto.ID{}
	if n <= 0 {
		return users, nil
	}
	it, err := s.db.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: reactorKey(channel, round, after+1),
		UpperBound: reactorKey(channel, round+1, 0)})
	if err != nil {
		return nil, fmt.Errorf("channel %d: round %d: %w", channel, round, err)
	}
	defer it.Close()
	for ok := it.First(); ok && len(users) < n; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("channel %d: round %d: %w", channel, round, err)
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("channel %d: round %d: %w", channel, round, err)
		}
		gone, err := deleted(v)
		if err != nil {
			return nil, fmt.Errorf("channel %d: round %d: %w", channel, round, err)
		}
		if !gone {
			key := it.Key()
			users = append(users, proto.ID(binary.BigEndian.Uint64(key[len(key)-8:])))
		}
	}
	return users, it.Error()
}

// Pins implements core.History.
func (s *Store) Pins(_ context.Context, channel proto.ID) ([]core.Pin, error) {
	pins := []core.Pin{}
	v, there, err := s.live(pinsKey(channel))
	if err == nil && there {
		err = json.Unmarshal(v, &pins)
	}
	if err != nil {
		return nil, fmt.Errorf("channel %d: pins: %w", channel, err)
	}
	return pins, nil
}
