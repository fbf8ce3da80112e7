// Package pebble keeps the history of messages in a Pebble database in a folder of this process: what `starling dev` runs on. It implements
// core.History and is the only package that knows Pebble. It is not a source of truth: the log is. Writes are not flushed to the disk
// before Apply returns; a crash loses a tail of them together with the checkpoints that speak of it, and the owner replays that tail.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Sizes that suit a laptop; history larger than them is read from disk.
const (
	cacheSize    = 32 << 20
	memTableSize = 16 << 20
)

// A Store is a core.History in one folder. Any goroutine may call it; Apply and reads of different buckets run side by side.
type Store struct {
	db       *engine.DB
	channels channels
}

var _ core.History = (*Store)(nil)

// Open opens or makes the history in dir, which no other process may have open.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { // Pebble would let everybody read it
		return nil, fmt.Errorf("history: %w", err)
	}
	cache := engine.NewCache(cacheSize)
	defer cache.Unref() // the database holds its own reference
	opts := &engine.Options{
		Cache:              cache,
		MemTableSize:       memTableSize,
		FormatMajorVersion: engine.FormatNewest,
		Logger:             logger{slog.Default().With("dir", dir)},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most new messages are looked up once, in vain
	}
	db, err := engine.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("history %s: %w", dir, err)
	}
	return &Store{db: db}, nil
}

// Close flushes and closes. Nothing may be running.
func (s *Store) Close() error { return s.db.Close() }

// Checkpoint implements core.History.
func (s *Store) Checkpoint(_ context.Context, bucket int) (core.Checkpoint, error) {
	v, err := s.get(checkpointKey(bucket))
	if err != nil || v == nil {
		return core.Checkpoint{Bucket: bucket}, err
	}
	return decodeCheckpoint(bucket, v)
}

// Checkpoints implements core.History.
func (s *Store) Checkpoints(ctx context.Context) ([]core.Checkpoint, error) {
	it, err := s.db.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: []byte{prefixCheckpoint}, UpperBound: []byte{prefixCheckpoint + 1}})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var all []core.Checkpoint
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		bucket, err := decodeBucket(it.Key())
		if err != nil {
			return nil, err
		}
		c, err := decodeCheckpoint(bucket, v)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, it.Error()
}

// LastID implements core.History.
func (s *Store) LastID(_ context.Context, channel proto.ID) (proto.ID, error) {
	v, err := s.get(lastKey(channel))
	if err != nil || v == nil {
		return 0, err
	}
	return decodeID(v)
}

// get copies a value; nil where the key is absent.
func (s *Store) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}

// A logger passes on what Pebble reports as wrong; what it tells of its daily work (flushes, compactions) is dropped.
type logger struct{ log *slog.Logger }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "err", fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble calls it when it cannot go on, for example when the disk refuses its log.
func (l logger) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	os.Exit(1)
}
