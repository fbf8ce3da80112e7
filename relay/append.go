package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/starling-chat/starling/proto/pb"
)

const (
	expectHeader = "Nats-Expected-Last-Subject-Sequence"

	// JetStream's error codes that mean something here.
	codeWrongSequence = 10071 // names the last sequence of the subject
	codeSequenceRace  = 10164 // another append is under way: nothing known
	codeTooLarge      = 10054
	codeNoMessage     = 10037

	appendWait = time.Second          // for an answer before the same bytes are sent again
	repeatWait = 5 * time.Millisecond // grows to repeatMax
	repeatMax  = 250 * time.Millisecond
)

// A conflict is an entry of somebody else where ours was to go.
type conflict struct {
	sequence uint64
	entry    *pb.Entry
}

func (c *conflict) Error() string {
	return fmt.Sprintf("entry %d of epoch %d is in its place", c.sequence, c.entry.Epoch)
}

// precedes tells whether the entry may stand before e in one owner's log.
func (c *conflict) precedes(e *pb.Entry) bool {
	return c.entry.Epoch < e.Epoch || c.entry.Epoch == e.Epoch && c.entry.Counter < e.Counter
}

// store appends body, which encodes e, behind the entry at expected, and returns when the outcome is certain: its sequence, or a *conflict.
// While it is not, the very same bytes go out again with the same expectation, so that at most one of them is ever stored.
// Any other error leaves the outcome unknown, except ErrTooLarge.
//
// Sequences of a log made anew are above all of the one before, so an append that names one fits no other log. One that expects an empty bucket
// fits any: it may have waited while the log was lost, and be the first entry of the next one. So may a take-over that read its tail in there.
// Nobody is told that these succeeded, or that another was first, before it is certain that the log is still the one that was opened.
func (l *Log) store(ctx context.Context, bucket int, expected uint64, e *pb.Entry, body []byte) (uint64, error) {
	subject := LogSubject(l.bus.region, bucket)
	for try := 0; ; try++ {
		if try > 0 {
			repeats.Inc()
			if err := l.pause(ctx, try-1); err != nil {
				return 0, fmt.Errorf("outcome unknown: %w", err)
			}
		}
		ack, err := l.publish(ctx, subject, expected, body)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return 0, fmt.Errorf("outcome unknown: %w", ctx.Err())
		case errors.Is(err, errClosed):
			return 0, fmt.Errorf("outcome unknown: %w", err)
		default:
			continue
		}
		switch {
		case ack.Error == nil && ack.Sequence > 0:
			return l.settle(ctx, bucket, expected, ack.Sequence, e)
		case ack.Error == nil:
			continue // not an answer of a stream
		case ack.Error.Code == codeTooLarge:
			return 0, ErrTooLarge
		case ack.Error.Code != codeWrongSequence:
			if try == 0 && ack.Error.Code != codeSequenceRace {
				l.bus.log.Warn("the log refuses an append", "bucket", bucket, "code", ack.Error.Code, "err", ack.Error.Description)
			}
			continue
		}
		last, err := ack.Error.lastSequence()
		if err != nil {
			continue
		}
		if last < expected {
			// Retention took the entry that we expected, or the stream is another one.
			if err := l.confirm(ctx, bucket); err != nil {
				return 0, err
			}
			expected = last
			continue
		}
		if last == expected {
			continue // true at that moment only; ask again
		}
		found, err := l.findAppend(ctx, bucket, expected+1, last, e)
		var c *conflict
		switch {
		case err == nil && found > 0:
			return l.settle(ctx, bucket, expected, found, e)
		case errors.As(err, &c):
			if lost := l.confirm(ctx, bucket); lost != nil {
				return 0, lost // ours may be in the log that is gone
			}
			if e.TakeOver || !c.precedes(e) {
				return 0, err
			}
			// It is our own, or of somebody before us: a hub that led no more told less than there is, the first time or now.
			expected = c.sequence
		}
		// Not readable now, or aged out meanwhile: the next answer names a sequence again.
	}
}

// settle makes certain that an entry which went in at a sequence is in this log.
func (l *Log) settle(ctx context.Context, bucket int, expected, seq uint64, e *pb.Entry) (uint64, error) {
	if expected == 0 || e.TakeOver {
		if err := l.confirm(ctx, bucket); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

// findAppend reads a bucket's log from first to last and returns the sequence of e, or a *conflict with the last entry if e is not there.
func (l *Log) findAppend(ctx context.Context, bucket int, first, last uint64, e *pb.Entry) (uint64, error) {
	var found uint64
	var other *conflict
	err := l.read(ctx, bucket, first, last, readTries, func(seq uint64, entry *pb.Entry) error {
		if entry.AppendId == e.AppendId && entry.Epoch == e.Epoch && entry.Counter == e.Counter {
			found = seq
		}
		other = &conflict{seq, entry}
		return nil
	})
	switch {
	case found > 0:
		return found, nil
	case err != nil:
		return 0, err
	case other == nil:
		return 0, errNone
	}
	return 0, other
}

// A pubAck is the stream's answer to an append.
type pubAck struct {
	Sequence uint64    `json:"seq"`
	Error    *apiError `json:"error"`
}

type apiError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

// lastSequence reads the number at the end of "wrong last sequence: 12".
func (e *apiError) lastSequence() (uint64, error) {
	_, digits, ok := strings.Cut(e.Description, ": ")
	if !ok {
		return 0, fmt.Errorf("no sequence in %.80q", e.Description)
	}
	return strconv.ParseUint(digits, 10, 64)
}

// publish sends an append once. An error means that its outcome is unknown.
func (l *Log) publish(ctx context.Context, subject string, expected uint64, body []byte) (pubAck, error) {
	m := nats.NewMsg(subject)
	m.Data = body
	m.Header[expectHeader] = []string{strconv.FormatUint(expected, 10)}
	ctx, cancel := context.WithTimeout(ctx, appendWait)
	defer cancel()
	answer, err := l.bus.request(ctx, m)
	if err != nil {
		return pubAck{}, err
	}
	var ack pubAck
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return pubAck{}, fmt.Errorf("answer of the log: %w", err)
	}
	return ack, nil
}

// pause waits before repeat n, the longer the more there were.
func pause(ctx context.Context, n int) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(repeatWait<<min(n, 10), repeatMax)):
		return nil
	}
}

// pause waits before repeat n, and gives up once anybody knows that the log was made anew.
func (l *Log) pause(ctx context.Context, n int) error {
	select {
	case <-l.remade:
		return ErrRemade
	default:
		return pause(ctx, n)
	}
}
