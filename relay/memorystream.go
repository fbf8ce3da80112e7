package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Retention is how long edges' journals and tombs are kept: what a session needs that was away for five minutes, as resume.md adds it up.
const Retention = 8 * time.Minute

const (
	remakeEvery      = 5 * time.Second // between looks whether a stream is still there
	leaderGetTimeout = 2 * time.Second
)

// A memoryStream is one in the memory of the hubs. A single hub that ends takes it along: keep makes it again, empty.
type memoryStream struct {
	bus *Bus
	js  jetstream.JetStream
	cfg jetstream.StreamConfig
}

// openMemoryStream makes the stream unless it is there. While the hubs have no majority it keeps trying until ctx ends.
func openMemoryStream(ctx context.Context, bus *Bus, cfg jetstream.StreamConfig) (*memoryStream, error) {
	js, err := bus.nc.JetStream(apiPrefix(bus.region))
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", cfg.Name, err)
	}
	cfg.Retention, cfg.Storage, cfg.Discard, cfg.MaxAge = jetstream.LimitsPolicy, jetstream.MemoryStorage, jetstream.DiscardOld, Retention
	m := &memoryStream{bus: bus, js: js, cfg: cfg}
	for {
		err := m.ensure(ctx)
		switch {
		case err == nil:
			return m, nil
		case !passing(err):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(openPause):
		}
	}
}

// ensure makes the stream unless it is there. Sequences begin at the time in microseconds, so that those of one made again are above what
// readers remember.
func (m *memoryStream) ensure(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	_, err := m.js.Stream(look, m.cfg.Name)
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s: %w", m.cfg.Name, err)
	}
	cfg := m.cfg
	cfg.Replicas, cfg.FirstSeq = m.bus.replicas(), uint64(time.Now().UnixMicro())
	attempt, cancel := context.WithTimeout(ctx, makeWait)
	defer cancel()
	_, err = m.js.CreateStream(attempt, cfg)
	var api *jetstream.APIError
	if err != nil && !(errors.As(err, &api) && api.ErrorCode == codeNameInUse) { // somebody else made it a moment ago
		return fmt.Errorf("make stream %s: %w", cfg.Name, err)
	}
	return nil
}

// keep makes the stream again where the hubs have lost it, until ctx ends.
func (m *memoryStream) keep(ctx context.Context) error {
	back := make(chan struct{}, 1)
	defer m.bus.watch(func(reason gapReason, _ string) {
		if reason == gapReconnect {
			select {
			case back <- struct{}{}:
			default:
			}
		}
	})()
	tick := time.NewTicker(remakeEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := m.ensure(ctx)
		if err != nil && ctx.Err() == nil {
			m.bus.log.Warn("a stream of sessions is not there", "err", err)
		}
		wait := tick.C
		if err != nil {
			wait = time.After(openPause)
		}
		select {
		case <-ctx.Done():
		case <-back:
		case <-wait:
		}
	}
	return nil
}

// last asks the stream's leader for the last message of a subject, so that the answer is not stale; errNone.
func (m *memoryStream) last(ctx context.Context, subject string) (stored, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderGetTimeout)
	defer cancel()
	body, err := json.Marshal(getRequest{LastFor: subject})
	if err != nil {
		return stored{}, err
	}
	answer, err := m.bus.request(ctx, &nats.Msg{Subject: apiPrefix(m.bus.region) + ".STREAM.MSG.GET." + m.cfg.Name, Data: body})
	if err != nil {
		return stored{}, err
	}
	var got struct {
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Time     time.Time `json:"time"`
			Data     []byte    `json:"data"`
		} `json:"message"`
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return stored{}, fmt.Errorf("stream %s: %w", m.cfg.Name, err)
	}
	switch {
	case got.Error != nil && got.Error.Code == codeNoMessage:
		return stored{}, errNone
	case got.Error != nil:
		return stored{}, fmt.Errorf("stream %s: %d %.80s", m.cfg.Name, got.Error.Code, got.Error.Description)
	case got.Message == nil:
		return stored{}, fmt.Errorf("stream %s: an answer without a message", m.cfg.Name)
	}
	return stored{got.Message.Subject, got.Message.Sequence, got.Message.Time, got.Message.Data}, nil
}
