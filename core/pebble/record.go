package pebble

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Keys, all integers big endian so that they sort by number:
//
//	'c' bucket:2             checkpoint: sequence:8 counter:8 epoch:8 last id:8 incarnation:8 (of older ones, without the last)
//	'd' channel:8            version of the channel's deletion
//	'l' channel:8            id of the newest message ever sent
//	'm' channel:8 message:8  version, flags:1, JSON of proto.Message (nothing if deleted)
//	'p' channel:8            version, flags:1, JSON of a list of core.Pin
//	'r' channel:8 message:8  version, flags:1, JSON of a list of core.Tally
//	'u' channel:8 round:8 user:8  version, flags:1: the user reacted, unless deleted
const (
	prefixCheckpoint = 'c'
	prefixDeleted    = 'd'
	prefixLast       = 'l'
	prefixMessage    = 'm'
	prefixPins       = 'p'
	prefixTally      = 'r'
	prefixReactor    = 'u'
)

const (
	versionSize = 8 + 8 + 4 // epoch, counter, index in the entry
	headerSize  = versionSize + 1

	checkpointSize = 5 * 8

	flagDeleted = 1 // a tombstone: keeps its version, so that a replayed create stays without effect
)

var errCorrupt = errors.New("corrupt record")

// A version orders writes to one key.
type version struct {
	epoch, counter uint64
	index          uint32
}

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.epoch, w.epoch), cmp.Compare(v.counter, w.counter), cmp.Compare(v.index, w.index))
}

func (v version) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, v.epoch)
	b = binary.BigEndian.AppendUint64(b, v.counter)
	return binary.BigEndian.AppendUint32(b, v.index)
}

func decodeVersion(b []byte) (version, error) {
	if len(b) < versionSize {
		return version{}, fmt.Errorf("version of %d bytes: %w", len(b), errCorrupt)
	}
	return version{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])}, nil
}

func messageKey(channel, id proto.ID) []byte {
	return binary.BigEndian.AppendUint64(channelKey(prefixMessage, channel), uint64(id))
}

func deletedKey(channel proto.ID) []byte { return channelKey(prefixDeleted, channel) }
func lastKey(channel proto.ID) []byte    { return channelKey(prefixLast, channel) }

func channelKey(prefix byte, channel proto.ID) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 17), prefix), uint64(channel))
}

func checkpointKey(bucket int) []byte {
	return binary.BigEndian.AppendUint16([]byte{prefixCheckpoint}, uint16(bucket))
}

func decodeBucket(key []byte) (int, error) {
	if len(key) != 3 {
		return 0, fmt.Errorf("checkpoint key of %d bytes: %w", len(key), errCorrupt)
	}
	return int(binary.BigEndian.Uint16(key[1:])), nil
}

func encodeID(id proto.ID) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

func decodeID(v []byte) (proto.ID, error) {
	if len(v) != 8 {
		return 0, fmt.Errorf("id of %d bytes: %w", len(v), errCorrupt)
	}
	return proto.ID(binary.BigEndian.Uint64(v)), nil
}

func encodeCheckpoint(c core.Checkpoint) []byte {
	b := make([]byte, 0, checkpointSize)
	for _, v := range []uint64{c.Sequence, c.Counter, c.Epoch, uint64(c.LastID), c.Incarnation} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func decodeCheckpoint(bucket int, v []byte) (core.Checkpoint, error) {
	if len(v) == checkpointSize-8 { // of a version that knew no incarnations
		v = append(v[:len(v):len(v)], make([]byte, 8)...)
	}
	if len(v) != checkpointSize {
		return core.Checkpoint{}, fmt.Errorf("checkpoint of bucket %d: %d bytes: %w", bucket, len(v), errCorrupt)
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return core.Checkpoint{Bucket: bucket, Sequence: at(0), Counter: at(1), Epoch: at(2), LastID: proto.ID(at(3)), Incarnation: at(4)}, nil
}

// messageRecord is the record of a message in the form that is stored; a nil body makes a tombstone.
func messageRecord(v version, body []byte) []byte {
	b := v.append(make([]byte, 0, headerSize+len(body)))
	if body == nil {
		return append(b, flagDeleted)
	}
	return append(append(b, 0), body...)
}

// encodeMessage gives the JSON of a message in the form that is stored.
func encodeMessage(m *proto.Message) ([]byte, error) {
	rest := m.Stored()
	notNil(&rest.Mentions)
	notNil(&rest.MentionRoles)
	notNil(&rest.Attachments)
	notNil(&rest.Embeds)
	notNil(&rest.Components)
	return json.Marshal(rest)
}

// notNil makes a list that JSON writes as [], not null.
func notNil[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

// deleted tells whether a record is a tombstone.
func deleted(v []byte) (bool, error) {
	if len(v) < headerSize {
		return false, fmt.Errorf("message record of %d bytes: %w", len(v), errCorrupt)
	}
	return v[versionSize]&flagDeleted != 0, nil
}

func decodeMessage(v []byte) (proto.Message, error) {
	var m proto.Message
	if err := json.Unmarshal(v[headerSize:], &m); err != nil {
		return m, fmt.Errorf("message record: %w", err)
	}
	return m, nil
}
