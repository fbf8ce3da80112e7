package relay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const digestEvery = time.Second

// ErrRemade says that the log was made anew since it was opened: positions in the old one mean nothing any more.
var ErrRemade = errors.New("the log was made anew")

// A Position is how far a bucket is, in its log or in a store.
type Position struct {
	Sequence, Counter, Epoch uint64
	LastID                   chat.ID
}

// A Log is a region's event log, seen from the cores. Any goroutine may call it.
type Log struct {
	bus         *Bus
	js          jetstream.JetStream
	streams     int
	incarnation uint64
	opened      time.Time // here, with a monotonic reading
	openedAt    time.Time // by the hub's clock

	lose   sync.Once
	remade chan struct{} // closed once it is known that the log is another one
}

// Time is the log's own: that of the hub when the log was opened, carried on by what has passed here since. Of a log that was never opened it
// is the time here.
func (l *Log) Time() time.Time {
	if l.opened.IsZero() {
		return time.Now()
	}
	return l.openedAt.Add(time.Since(l.opened))
}

// Incarnation tells this log from any that was in its place before.
func (l *Log) Incarnation() uint64 { return l.incarnation }

func (l *Log) stream(bucket int) string { return streamName(l.bus.region, bucket%l.streams) }

// Tails tells the last sequence of every bucket that has entries.
func (l *Log) Tails(ctx context.Context) (map[int]uint64, error) {
	tails := map[int]uint64{}
	for k := range l.streams {
		req := getRequest{MultiLast: []string{"ev." + l.bus.region + ".*"}, MaxBytes: 8 << 20}
		for {
			pending, upTo, err := l.bus.getBatch(ctx, streamName(l.bus.region, k), req, func(s stored) error {
				_, bucket, ok := parseBucketSubject(s.subject)
				if !ok {
					return fmt.Errorf("subject %.80q in the log", s.subject)
				}
				tails[bucket] = max(tails[bucket], s.sequence)
				req.Seq = s.sequence + 1
				return nil
			})
			if errors.Is(err, errNone) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("log: tails of stream %d: %w", k, err)
			}
			if pending == 0 {
				break
			}
			req.UpToSeq = upTo
		}
	}
	return tails, nil
}

// RunDigest publishes each second what digest returns, the positions of all buckets of the owner, until ctx ends. It returns ErrRemade
// when it, or anybody else who uses the log, finds that it is another one than was opened: then nothing can be appended by it any more.
func (l *Log) RunDigest(ctx context.Context, owner string, digest func() *pb.Digest) error {
	changed := make(chan struct{}, 1)
	defer l.bus.watch(func(reason gapReason, _ string) {
		if reason == gapReconnect {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})()
	tick := time.NewTicker(digestEvery)
	defer tick.Stop()
	for doubt := true; ; { // at first, since nobody watched from when the log was opened until now
		d := digest()
		d.Owner, d.Incarnation = owner, l.incarnation
		body, err := proto.Marshal(d)
		if err != nil {
			return fmt.Errorf("digest: %w", err)
		}
		_ = l.bus.Publish(DigestSubject(l.bus.region), body) // the next one says the same and more
		select {
		case <-ctx.Done():
			return nil
		case <-l.remade:
			return ErrRemade
		case <-tick.C:
		case <-changed:
			doubt = true
		}
		select { // both at once are one
		case <-tick.C:
		case <-changed:
			doubt = true
		default:
		}
		if doubt { // until the hub has told, which just after a reconnect it may not be able to
			err := l.checkIncarnation(ctx)
			if errors.Is(err, ErrRemade) {
				return err
			}
			doubt = err != nil
		}
	}
}

// checkIncarnation reports ErrRemade, or that it cannot tell.
func (l *Log) checkIncarnation(ctx context.Context) error {
	for k := range l.streams {
		if err := l.checkStream(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// checkStream reports ErrRemade if the k-th stream is of another log by now, or that it cannot tell. An incarnation does not come back: if
// the stream is of this log now, it was whenever somebody was answered by it before.
func (l *Log) checkStream(ctx context.Context, k int) error {
	meta, err := l.inspect(ctx, k)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && meta.incarnation != l.incarnation:
		l.lose.Do(func() { close(l.remade) })
		return fmt.Errorf("stream %d: %w", k, ErrRemade)
	case err != nil:
		return fmt.Errorf("stream %d: %w", k, err)
	}
	return nil
}

// confirm returns when it is certain whether what a bucket's stream told until now came from this log: nil, or ErrRemade.
func (l *Log) confirm(ctx context.Context, bucket int) error {
	if anyLog {
		return nil
	}
	for try := 0; ; try++ {
		err := l.checkStream(ctx, bucket%l.streams)
		if err == nil || errors.Is(err, ErrRemade) || errors.Is(err, errClosed) {
			return err
		}
		if perr := l.pause(ctx, try); perr != nil {
			return fmt.Errorf("%w: %w", perr, err)
		}
	}
}

func randomNumber() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}
