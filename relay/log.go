package relay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	chat "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	logAge      = 24 * time.Hour
	digestEvery = time.Second

	metaIncarnation = "starling-incarnation"
	metaStreams     = "starling-streams"
)

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
}

// OpenLog makes the region's streams or checks those that are there. Their number is fixed when they are made.
func OpenLog(ctx context.Context, bus *Bus, streams int) (*Log, error) {
	if streams < 1 || streams > chat.Buckets {
		return nil, fmt.Errorf("log: %d streams: want 1 to %d", streams, chat.Buckets)
	}
	js, err := jetstream.NewWithAPIPrefix(bus.nc, apiPrefix(bus.region))
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l := &Log{bus: bus, js: js, streams: streams}
	found, missing := uint64(0), false
	for k := range streams {
		meta, err := l.inspect(ctx, k)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			missing = true
			continue
		case err != nil:
			return nil, fmt.Errorf("log: stream %d: %w", k, err)
		case meta.streams != streams:
			return nil, fmt.Errorf("log: made with %d streams, asked for %d", meta.streams, streams)
		case found != 0 && found != meta.incarnation:
			missing = true // making the log anew was interrupted
		}
		found = meta.incarnation
	}
	if found != 0 && !missing {
		l.incarnation = found
		return l, nil
	}
	l.incarnation = randomNumber()
	for k := range streams {
		if err := l.make(ctx, k); err != nil {
			return nil, fmt.Errorf("log: stream %d: %w", k, err)
		}
	}
	bus.log.Info("made the event log", "streams", streams)
	return l, nil
}

// make makes the k-th stream, or has one that is there belong to this log.
func (l *Log) make(ctx context.Context, k int) error {
	c := l.config(k)
	s, err := l.js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = l.js.CreateStream(ctx, c)
		return err
	}
	if err != nil {
		return err
	}
	old := s.CachedInfo().Config
	old.Metadata = c.Metadata
	_, err = l.js.UpdateStream(ctx, old)
	return err
}

// config of the k-th stream. Sequences begin at the time in microseconds, so that those of a log made anew are above those of the
// one before, which stores and edges remember.
func (l *Log) config(k int) jetstream.StreamConfig {
	region := l.bus.region
	c := jetstream.StreamConfig{
		Name:        streamName(region, k),
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardOld,
		MaxAge:      logAge,
		MaxMsgSize:  EntryLimit + 4<<10, // headers count
		AllowDirect: true,
		Replicas:    1,
		FirstSeq:    uint64(time.Now().UnixMicro()),
		RePublish: &jetstream.RePublish{
			Source:      "ev." + region + ".*",
			Destination: "live." + region + ".{{wildcard(1)}}",
		},
		Metadata: map[string]string{
			metaIncarnation: strconv.FormatUint(l.incarnation, 16),
			metaStreams:     strconv.Itoa(l.streams),
		},
	}
	if l.streams == 1 {
		c.Subjects = []string{"ev." + region + ".*"}
		return c
	}
	for b := k; b < chat.Buckets; b += l.streams {
		c.Subjects = append(c.Subjects, LogSubject(region, b))
	}
	return c
}

// A streamMeta is what a stream says about the log it belongs to.
type streamMeta struct {
	incarnation uint64
	streams     int
}

func (l *Log) inspect(ctx context.Context, k int) (streamMeta, error) {
	return inspectStream(ctx, l.js, streamName(l.bus.region, k))
}

// inspectStream asks the stream's leader, so the answer is never stale.
func inspectStream(ctx context.Context, js jetstream.JetStream, name string) (streamMeta, error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return streamMeta{}, err
	}
	meta := s.CachedInfo().Config.Metadata
	inc, err := strconv.ParseUint(meta[metaIncarnation], 16, 64)
	if err != nil {
		return streamMeta{}, fmt.Errorf("stream %s: incarnation: %w", name, err)
	}
	streams, err := strconv.Atoi(meta[metaStreams])
	if err != nil {
		return streamMeta{}, fmt.Errorf("stream %s: number of streams: %w", name, err)
	}
	if inc == 0 || streams < 1 || streams > chat.Buckets {
		return streamMeta{}, fmt.Errorf("stream %s: metadata out of range", name)
	}
	return streamMeta{inc, streams}, nil
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
// when it finds that the log is another one than was opened.
func (l *Log) RunDigest(ctx context.Context, owner string, digest func() *pb.Digest) error {
	changed := make(chan struct{}, 1)
	defer l.bus.watch(func(reason gapReason, _ *nats.Subscription) {
		if reason == gapReconnect {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})()
	tick := time.NewTicker(digestEvery)
	defer tick.Stop()
	for {
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
		case <-tick.C:
		case <-changed:
			if err := l.checkIncarnation(ctx); errors.Is(err, ErrRemade) {
				return err
			}
		}
	}
}

// checkIncarnation reports ErrRemade, or that it cannot tell.
func (l *Log) checkIncarnation(ctx context.Context) error {
	for k := range l.streams {
		ctx, cancel := context.WithTimeout(ctx, getWait)
		meta, err := l.inspect(ctx, k)
		cancel()
		if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && meta.incarnation != l.incarnation {
			return fmt.Errorf("stream %d: %w", k, ErrRemade)
		}
		if err != nil {
			return fmt.Errorf("stream %d: %w", k, err)
		}
	}
	return nil
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
