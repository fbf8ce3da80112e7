package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// tombLimit bounds a tomb: six segments of a session in all buckets take some 200 kB.
const tombLimit = 512 << 10

// ErrNoTomb says that nothing is buried under a key.
var ErrNoTomb = errors.New("no tomb")

// Tombs keeps, for Retention, what was the first to be written under a key, in the hubs' memory. Any goroutine may call it.
type Tombs struct{ stream *memoryStream }

// OpenTombs makes the region's stream of tombs or finds it. While the hubs have no majority it keeps trying until ctx ends.
func OpenTombs(ctx context.Context, bus *Bus) (*Tombs, error) {
	m, err := openMemoryStream(ctx, bus, jetstream.StreamConfig{Name: tombStream(bus.region), Subjects: []string{tombSubject(bus.region, ">")},
		MaxMsgsPerSubject: 1, MaxMsgSize: tombLimit + 4<<10})
	if err != nil {
		return nil, fmt.Errorf("tombs: %w", err)
	}
	return &Tombs{m}, nil
}

// Run has the stream made again where the hubs have lost it, until ctx ends.
func (t *Tombs) Run(ctx context.Context) error { return t.stream.keep(ctx) }

func tombSubject(region, key string) string { return "tomb." + region + "." + key }

// Tomb is what is buried under a key, or ErrNoTomb. A key is tokens of letters, digits and hyphens with dots between.
func (t *Tombs) Tomb(ctx context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	s, err := t.stream.last(ctx, tombSubject(t.stream.bus.region, key))
	if errors.Is(err, errNone) {
		return nil, ErrNoTomb
	}
	if err != nil {
		return nil, fmt.Errorf("tomb %s: %w", key, err)
	}
	return s.data, nil
}

// Bury writes under a key where nothing is, or what is the same. ErrConflict: something else is there. Any other error leaves open whether it
// was written: the same bytes may be buried again.
func (t *Tombs) Bury(ctx context.Context, key string, body []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(body) > tombLimit {
		return fmt.Errorf("tomb %s: %d bytes: %w", key, len(body), ErrTooLarge)
	}
	m := nats.NewMsg(tombSubject(t.stream.bus.region, key))
	m.Data = body
	m.Header[expectHeader] = []string{strconv.Itoa(0)}
	for try := 0; ; try++ {
		ack, err := t.publish(ctx, m)
		switch {
		case err != nil:
		case ack.Error == nil && ack.Sequence > 0:
			return nil
		case ack.Error == nil:
			err = errors.New("not an answer of a stream")
		case ack.Error.Code == codeWrongSequence:
			there, err := t.Tomb(ctx, key)
			if err == nil && !bytes.Equal(there, body) {
				return fmt.Errorf("tomb %s: %w", key, ErrConflict)
			}
			return err
		case ack.Error.Code == codeSequenceRace: // not written; who is under way may not be either
			if pause(ctx, try) == nil {
				continue
			}
			err = ctx.Err()
		default:
			err = fmt.Errorf("%d %.80s", ack.Error.Code, ack.Error.Description)
		}
		return fmt.Errorf("tomb %s: %w", key, err)
	}
}

func (t *Tombs) publish(ctx context.Context, m *nats.Msg) (ack pubAck, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answer, err := t.stream.bus.request(ctx, m)
	if err == nil {
		err = json.Unmarshal(answer.Data, &ack)
	}
	return ack, err
}

// checkKey reports a key that would be several subjects, or none.
func checkKey(key string) error {
	if len(key) > 256 {
		return fmt.Errorf("key of %d bytes", len(key))
	}
	for token := range strings.SplitSeq(key, ".") {
		if err := checkName(token); err != nil {
			return fmt.Errorf("key %.80q: %w", key, err)
		}
	}
	return nil
}
