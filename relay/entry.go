package relay

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	// EntryLimit is how many bytes an entry may have. An owner that gathers events for the next entry stops before the sum of their
	// Weight exceeds EventRoom.
	EntryLimit = 256 << 10
	// EventRoom is what EntryLimit leaves for events.
	EventRoom = EntryLimit - 128

	digestLimit = 64 << 10 // 1024 positions take at most some 30 kB
)

// ErrTooLarge refuses an entry beyond EntryLimit.
var ErrTooLarge = errors.New("entry too large")

// Weight is how many bytes an event adds to an entry.
func Weight(e *pb.Event) int {
	n := proto.Size(e)
	return 1 + protowire.SizeBytes(n)
}

// decodeEntry reads an entry as it comes from the network.
func decodeEntry(b []byte) (*pb.Entry, error) {
	if len(b) > EntryLimit {
		return nil, fmt.Errorf("entry of %d bytes: %w", len(b), ErrTooLarge)
	}
	e := new(pb.Entry)
	if err := proto.Unmarshal(b, e); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	if e.Incarnation == 0 || e.Counter == 0 || e.Epoch == 0 {
		return nil, errors.New("entry: no incarnation, epoch or counter")
	}
	return e, nil
}

// decodeEvent reads an event that is not logged.
func decodeEvent(b []byte) (*pb.Event, error) {
	if len(b) > EntryLimit {
		return nil, fmt.Errorf("event of %d bytes: %w", len(b), ErrTooLarge)
	}
	e := new(pb.Event)
	if err := proto.Unmarshal(b, e); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	return e, nil
}

// A digest is a pb.Digest that has been checked, by bucket.
type digest struct {
	incarnation uint64
	positions   map[int]place
	owned       [chat.Buckets / 8]byte
}

// A place is one entry's sequence and counter.
type place struct{ sequence, counter uint64 }

// has tells whether the digest speaks of the bucket, and where it is; a zero place is an owned bucket without entries.
func (d *digest) has(bucket int) (place, bool) {
	if p, ok := d.positions[bucket]; ok {
		return p, true
	}
	return place{}, d.owned[bucket/8]&(1<<(bucket%8)) != 0
}

func decodeDigest(b []byte) (*digest, error) {
	if len(b) > digestLimit {
		return nil, fmt.Errorf("digest of %d bytes", len(b))
	}
	var raw pb.Digest
	if err := proto.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	if raw.Incarnation == 0 || len(raw.Owned) > chat.Buckets/8 || len(raw.Positions) > chat.Buckets {
		return nil, errors.New("digest: no incarnation or too many buckets")
	}
	d := &digest{incarnation: raw.Incarnation, positions: make(map[int]place, len(raw.Positions))}
	copy(d.owned[:], raw.Owned)
	for _, p := range raw.Positions {
		if p.GetBucket() >= chat.Buckets {
			return nil, fmt.Errorf("digest: bucket %d", p.GetBucket())
		}
		d.positions[int(p.GetBucket())] = place{p.GetSequence(), p.GetCounter()}
	}
	return d, nil
}

// parseRepublished reads from the headers of a republished entry its sequence and that of its predecessor on the subject; 0 means that there
// was none, or that retention has taken it.
func parseRepublished(h nats.Header) (sequence, predecessor uint64, err error) {
	sequence, err = headerNumber(h, "Nats-Sequence")
	if err != nil {
		return 0, 0, err
	}
	predecessor, err = headerNumber(h, "Nats-Last-Sequence")
	if err != nil {
		return 0, 0, err
	}
	if sequence == 0 || predecessor >= sequence {
		return 0, 0, fmt.Errorf("sequence %d after %d", sequence, predecessor)
	}
	return sequence, predecessor, nil
}

func headerNumber(h nats.Header, name string) (uint64, error) {
	n, err := strconv.ParseUint(h.Get(name), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("header %s: %w", name, err)
	}
	return n, nil
}
