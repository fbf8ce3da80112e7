package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	chat "github.com/starling-chat/starling/proto"
)

// Direct gets read a stream without a consumer, from any replica: an answer may be stale, so nobody here takes "no more" for the end of
// the log. orbit.go's GetBatch would do, but ends silently when an answer is cut short; we want to know.

const (
	batchMessages = 256
	batchBytes    = 1 << 20
	getWait       = 5 * time.Second // for the next message of an answer
)

// errNone says that the stream has, or a stale replica shows, nothing that fits.
var errNone = errors.New("no such entry")

// errHole says that the network lost a message of an answer. What came before it is good.
var errHole = errors.New("the answer has a hole")

// A getRequest is a subset of JSApiMsgGetRequest.
type getRequest struct {
	Seq       uint64     `json:"seq,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	MultiLast []string   `json:"multi_last,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
	UpToSeq   uint64     `json:"up_to_seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
}

// A stored message as a direct get returns it.
type stored struct {
	subject  string
	sequence uint64
	at       time.Time
	data     []byte
}

// getLast reads the last message of a subject; errNone.
func (b *Bus) getLast(ctx context.Context, stream, subject string) (stored, error) {
	ctx, cancel := context.WithTimeout(ctx, getWait)
	defer cancel()
	req, err := json.Marshal(getRequest{LastFor: subject})
	if err != nil {
		return stored{}, err
	}
	m, err := b.request(ctx, &nats.Msg{Subject: apiPrefix(b.region) + ".DIRECT.GET." + stream, Data: req})
	if err != nil {
		return stored{}, err
	}
	s, _, err := parseStored(m)
	return s, err
}

// getBatch hands the messages that fit to f, in order, and tells how many more there were; errNone if none fits. An error after some
// messages means that the answer was cut short.
func (b *Bus) getBatch(ctx context.Context, stream string, r getRequest, f func(stored) error) (pending, upTo uint64, err error) {
	link, err := b.awaitConnection(ctx)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(link, func() { cancel(ErrLost) })()
	body, err := json.Marshal(r)
	if err != nil {
		return 0, 0, err
	}
	room := r.Batch
	if r.MultiLast != nil {
		room = chat.Buckets
	}
	inbox, in, done, err := b.answers.expect(b.nc, room+1)
	if err != nil {
		return 0, 0, err
	}
	defer done()
	if err := b.nc.PublishRequest(apiPrefix(b.region)+".DIRECT.GET."+stream, inbox, body); err != nil {
		return 0, 0, err
	}
	for before := uint64(0); ; { // each message names the one before it in the answer, and so does the mark behind the last
		m, err := nextMessage(ctx, in)
		if err != nil {
			return 0, 0, err
		}
		s, end, err := parseStored(m)
		if err != nil {
			return 0, 0, err
		}
		named, err := headerNumber(m.Header, "Nats-Last-Sequence")
		if err != nil {
			return 0, 0, fmt.Errorf("direct get: %w", err)
		}
		if named != before && !believeHoles {
			return 0, 0, fmt.Errorf("direct get: %d after %d: %w", named, before, errHole)
		}
		before = s.sequence
		if end {
			pending, err = headerNumber(m.Header, "Nats-Num-Pending")
			if r.MultiLast != nil && err == nil {
				upTo, err = headerNumber(m.Header, "Nats-UpTo-Sequence")
			}
			return pending, upTo, err
		}
		if err := f(s); err != nil {
			return 0, 0, err
		}
	}
}

func nextMessage(ctx context.Context, in <-chan *nats.Msg) (*nats.Msg, error) {
	late := time.NewTimer(getWait)
	defer late.Stop()
	select {
	case m := <-in:
		return m, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-late.C:
		return nil, nats.ErrTimeout
	}
}

// parseStored reads one message of an answer; end is true for the mark behind the last.
func parseStored(m *nats.Msg) (s stored, end bool, err error) {
	switch status := m.Header.Get("Status"); status {
	case "":
	case "204":
		return s, true, nil
	case "404":
		return s, false, errNone
	case "503":
		return s, false, ErrNobody
	default:
		return s, false, fmt.Errorf("direct get: %s %.80s", status, m.Header.Get("Description"))
	}
	s.subject, s.data = m.Header.Get("Nats-Subject"), m.Data
	if s.sequence, err = headerNumber(m.Header, "Nats-Sequence"); err != nil {
		return s, false, fmt.Errorf("direct get: %w", err)
	}
	if s.at, err = time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp")); err != nil {
		return s, false, fmt.Errorf("direct get: %w", err)
	}
	return s, false, nil
}
