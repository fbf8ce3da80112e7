package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	chat "github.com/starling-chat/starling/proto"
)

const (
	logAge = 24 * time.Hour

	metaIncarnation = "starling-incarnation"
	metaStreams     = "starling-streams"
	metaWhole       = "starling-whole" // of stream 0: all others are there

	codeNameInUse = 10058

	openWait  = time.Second            // for one answer about streams
	makeWait  = 5 * time.Second        // to make one, which takes an election
	openPause = 200 * time.Millisecond // between tries
)

// A streamMeta is what a stream says about the log it belongs to.
type streamMeta struct {
	incarnation uint64
	streams     int
	whole       bool
	at          time.Time // by the clock of the hub that told
}

// errRaced says that somebody else made or changed the log meanwhile: look again.
var errRaced = errors.New("somebody else makes the log too")

// OpenLog makes the region's streams or checks those that are there. Their number is fixed when they are made. While the hubs have no
// majority it keeps trying until ctx ends. Any number of cores may open the log at once, also for the first time.
func OpenLog(ctx context.Context, bus *Bus, streams int) (*Log, error) {
	if streams < 1 || streams > MaxStreams {
		return nil, fmt.Errorf("log: %d streams: want 1 to %d", streams, MaxStreams)
	}
	js, err := bus.nc.JetStream(apiPrefix(bus.region))
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l := &Log{bus: bus, js: js, streams: streams, remade: make(chan struct{})}
	if err := l.patiently(ctx, l.open); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return l, nil
}

// patiently does something again while it fails for reasons that pass, and says so from time to time.
func (l *Log) patiently(ctx context.Context, f func(context.Context) error) error {
	told := time.Now()
	for {
		err := f(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errRaced) && ctx.Err() == nil:
			continue
		case !passing(err):
			return err
		case time.Since(told) >= progressEvery:
			told = time.Now()
			l.bus.log.Warn("waiting for the log", "err", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(openPause):
		}
	}
}

// passing tells an error that time heals: hubs that are away, without a majority, or at an election.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503 || api.Code == 408 || api.ErrorCode == codeNoPeers
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// codeNoPeers refuses a stream while fewer hubs are there than are to keep it.
const codeNoPeers = 10005

// Limit bounds what each hub keeps of the log, 0 for no bound: beyond, the oldest entries go before their day is over. A day of entries should
// fit; hubs warn before the limit is reached.
func (l *Log) Limit(ctx context.Context, bytes int64) error {
	each := int64(-1)
	if bytes > 0 {
		each = max(bytes/int64(l.streams), 1)
	}
	err := l.patiently(ctx, func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for k := range l.streams {
			g.Go(func() error { return l.limit(ctx, k, each) })
		}
		return g.Wait()
	})
	if err != nil {
		return fmt.Errorf("log: limit: %w", err)
	}
	return nil
}

func (l *Log) limit(ctx context.Context, k int, bytes int64) error {
	ctx, cancel := context.WithTimeout(ctx, makeWait)
	defer cancel()
	s, err := l.js.Stream(ctx, streamName(l.bus.region, k))
	if err != nil {
		return fmt.Errorf("stream %d: %w", k, err)
	}
	c := s.CachedInfo().Config
	if c.MaxBytes == bytes {
		return nil
	}
	c.MaxBytes = bytes
	if _, err := l.js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("stream %d: %w", k, err)
	}
	return nil
}

// open looks at the log once. Stream 0 says which log it is, and whether the rest of it was made.
func (l *Log) open(ctx context.Context) error {
	first, err := l.inspect(ctx, 0)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return l.create(ctx, 0, randomNumber())
	case err != nil:
		return fmt.Errorf("stream 0: %w", err)
	case first.streams != l.streams:
		return fmt.Errorf("made with %d streams, asked for %d", first.streams, l.streams)
	}
	inc := first.incarnation
	l.opened, l.openedAt = time.Now(), first.at
	g, gctx := errgroup.WithContext(ctx) // each takes an election of its own
	for k := 1; k < l.streams; k++ {
		g.Go(func() error {
			if err := l.openRest(gctx, k, first); first.whole || !errors.Is(err, errRaced) {
				return err
			}
			return nil // made; whoever raced us gave it the same name
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if !first.whole {
		if err := l.mark(ctx, 0, inc, inc, true); !errors.Is(err, errRaced) {
			return err
		}
		l.tellMade()
	}
	l.incarnation = inc
	return nil
}

// openRest has the k-th stream belong to the log that the first one names.
func (l *Log) openRest(ctx context.Context, k int, first streamMeta) error {
	m, err := l.inspect(ctx, k)
	switch {
	case err == nil && m.streams != l.streams:
		return fmt.Errorf("stream %d: made with %d streams, asked for %d", k, m.streams, l.streams)
	case err == nil && m.incarnation == first.incarnation:
		return nil
	case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("stream %d: %w", k, err)
	case first.whole:
		// A part of the log is lost, so it is another one. All who see this give it the same name.
		return l.mark(ctx, 0, first.incarnation, first.incarnation+1, false)
	case err == nil:
		return l.mark(ctx, k, m.incarnation, first.incarnation, false)
	}
	return l.create(ctx, k, first.incarnation)
}

// create makes the k-th stream unless it is there; it returns errRaced, since what is there now must be looked at.
func (l *Log) create(ctx context.Context, k int, inc uint64) error {
	ctx, cancel := context.WithTimeout(ctx, makeWait)
	defer cancel()
	_, err := l.js.CreateStream(ctx, l.config(k, inc))
	var api *jetstream.APIError
	if err != nil && !(errors.As(err, &api) && api.ErrorCode == codeNameInUse) {
		return fmt.Errorf("make stream %d: %w", k, err)
	}
	if err == nil && l.streams == 1 {
		l.tellMade()
	}
	return errRaced
}

func (l *Log) tellMade() {
	l.bus.log.Info("made the event log", "streams", l.streams, "replicas", l.bus.replicas())
}

// mark has the k-th stream, which was found to belong to one log, belong to another; errRaced if it did, and if the stream is gone or not the
// one that was found: to give a stream made anew the name of the one before would have two logs under one name.
func (l *Log) mark(ctx context.Context, k int, was, inc uint64, whole bool) error {
	ctx, cancel := context.WithTimeout(ctx, makeWait)
	defer cancel()
	s, err := l.js.Stream(ctx, streamName(l.bus.region, k))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return errRaced
	}
	if err != nil {
		return fmt.Errorf("stream %d: %w", k, err)
	}
	c := s.CachedInfo().Config
	if c.Metadata[metaIncarnation] != incarnationText(was) {
		return errRaced
	}
	c.Metadata = l.metadata(inc, whole)
	if _, err = l.js.UpdateStream(ctx, c); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("mark stream %d: %w", k, err)
	}
	return errRaced
}

func (l *Log) metadata(inc uint64, whole bool) map[string]string {
	m := map[string]string{metaIncarnation: incarnationText(inc), metaStreams: strconv.Itoa(l.streams)}
	if whole {
		m[metaWhole] = "yes"
	}
	return m
}

func incarnationText(inc uint64) string { return strconv.FormatUint(inc, 16) }

// config of the k-th stream. Sequences begin at the time in microseconds, so that those of a log made anew are above those of the
// one before, which stores and edges remember.
func (l *Log) config(k int, inc uint64) jetstream.StreamConfig {
	region := l.bus.region
	c := jetstream.StreamConfig{
		Name:        streamName(region, k),
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardOld,
		MaxAge:      logAge,
		MaxMsgSize:  EntryLimit + 4<<10, // headers count
		AllowDirect: true,
		Replicas:    l.bus.replicas(),
		FirstSeq:    uint64(time.Now().UnixMicro()),
		RePublish: &jetstream.RePublish{
			Source:      "ev." + region + ".*",
			Destination: "live." + region + ".{{wildcard(1)}}",
		},
		Metadata: l.metadata(inc, l.streams == 1), // which is all there is to make
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

func (l *Log) inspect(ctx context.Context, k int) (streamMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
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
	if inc == 0 || streams < 1 || streams > MaxStreams {
		return streamMeta{}, fmt.Errorf("stream %s: metadata out of range", name)
	}
	return streamMeta{inc, streams, meta[metaWhole] != "", s.CachedInfo().TimeStamp}, nil
}
