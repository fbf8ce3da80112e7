package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrConflict says that somebody else changed a record first.
var ErrConflict = errors.New("the record has changed")

// Records is a small table kept by the hubs, without expiry, whose records change by compare-and-set alone. What Watch tells may be late;
// only Put decides. Any goroutine may call it.
type Records struct {
	kv jetstream.KeyValue
}

// A Record as of a revision; an absent one is the zero Record.
type Record struct {
	Key      string
	Value    []byte
	Revision uint64
}

// OpenRecords makes the region's table of a name (capital letters) or opens it. While the hubs have no majority it keeps trying until ctx ends.
func OpenRecords(ctx context.Context, bus *Bus, name string) (*Records, error) {
	js, err := bus.nc.JetStream("")
	if err != nil {
		return nil, fmt.Errorf("records %s: %w", name, err)
	}
	cfg := jetstream.KeyValueConfig{Bucket: name + "_" + bus.region, History: 1, Storage: jetstream.FileStorage, Replicas: bus.replicas()}
	for {
		attempt, cancel := context.WithTimeout(ctx, openWait)
		kv, err := js.KeyValue(attempt, cfg.Bucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			kv, err = js.CreateKeyValue(attempt, cfg)
		}
		cancel()
		if err == nil {
			return &Records{kv: kv}, nil
		}
		if !passing(err) && !errors.Is(err, jetstream.ErrBucketExists) {
			return nil, fmt.Errorf("records %s: %w", cfg.Bucket, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("records %s: %w: %w", cfg.Bucket, ctx.Err(), err)
		case <-time.After(openPause):
		}
	}
}

// Put writes a value over the revision that the caller knows, 0 for a record that is not there, and returns the new one. ErrConflict:
// somebody was first. Any other error leaves open whether it was written: watch.
func (r *Records) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	for try := 0; ; try++ {
		at, err := r.kv.Update(ctx, key, value, revision)
		if err == nil {
			return at, nil
		}
		var api *jetstream.APIError
		switch errors.As(err, &api); {
		case api != nil && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
			return 0, fmt.Errorf("record %s: %w", key, ErrConflict)
		case api != nil && api.ErrorCode == codeSequenceRace && pause(ctx, try) == nil: // not written; who is under way may not be either
			continue
		}
		return 0, fmt.Errorf("record %s: %w", key, err)
	}
}

// Watch calls f with every record there is, then once with an empty one, then with every change, until ctx ends.
func (r *Records) Watch(ctx context.Context, f func(Record)) error {
	w, err := r.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("records %s: watch: %w", r.kv.Bucket(), err)
	}
	defer func() {
		_ = w.Stop()
		go func() { // what waits for room in the channel would wait for ever; it is closed after that
			for range w.Updates() {
			}
		}()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-w.Updates():
			switch {
			case !open:
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("records %s: watch: %w", r.kv.Bucket(), ErrLost)
			case e == nil:
				f(Record{})
			default:
				f(Record{Key: e.Key(), Value: e.Value(), Revision: e.Revision()})
			}
		}
	}
}
