package cql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// A Store is a core.History on a cluster. Any goroutine may call it. Messages that it returns may be shared with other readers: what they
// point to must not be changed.
type Store struct {
	cfg   Config
	link  *link
	stop  context.CancelFunc
	reads flights
	noted noted
}

var _ core.History = (*Store)(nil)

// Open connects, makes what is missing of the schema, and returns once the cluster answers, Config.Patience has passed or ctx ends.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("cql: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Store{cfg: cfg, link: newLink(cfg), stop: stop}
	go s.link.run(running)
	var late <-chan time.Time
	if cfg.Patience > 0 {
		t := time.NewTimer(cfg.Patience)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-late:
		cfg.Log.Warn("starting without the cql cluster", "hosts", cfg.Hosts)
		return s, nil
	case <-s.link.ready:
		return s, nil
	case err := <-s.link.refused:
		_ = s.Close()
		return nil, fmt.Errorf("cql %v: %w", cfg.Hosts, err)
	case <-ctx.Done():
		_, err := s.link.get()
		_ = s.Close()
		return nil, fmt.Errorf("cql %v: %w: %w", cfg.Hosts, ctx.Err(), err)
	}
}

// Close ends the session. What is running fails.
func (s *Store) Close() error {
	s.stop()
	<-s.link.ended
	return nil
}

// query prepares a read. The caller's context is the driver's, too.
func (s *Store) query(ctx context.Context, statement string, args ...any) (*gocql.Query, error) {
	session, err := s.link.get()
	if err != nil {
		return nil, err
	}
	return session.Query(statement, args...).WithContext(ctx).SetSpeculativeExecutionPolicy(speculation{s.link}), nil
}

// queryAmong prepares a read of several windows of a channel, which any of their nodes can coordinate. It names the first one's, as the driver
// finds no partition in such a statement by itself, and would read the whole schema again before each to find one.
func (s *Store) queryAmong(ctx context.Context, statement string, channel proto.ID, windows []int, args ...any) (*gocql.Query, error) {
	q, err := s.query(ctx, statement, append([]any{int64(channel), windows}, args...)...)
	if err != nil {
		return nil, err
	}
	key := binary.BigEndian.AppendUint64([]byte{0, 8}, uint64(channel)) // of each column its length, itself and a zero
	key = binary.BigEndian.AppendUint32(append(key, 0, 0, 4), uint32(windows[0]))
	return q.RoutingKey(append(key, 0)), nil
}

// shared runs a read of which equal ones share one. The read has its own bound: it goes on for those who wait when one gives up.
func shared[T any](ctx context.Context, s *Store, key flightKey, read func(context.Context) (T, error)) (T, error) {
	v, err := s.reads.do(ctx, key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.cfg.Timeout)
		defer cancel()
		begun := time.Now()
		v, err := read(ctx)
		readSeconds.WithLabelValues(key.read).Observe(time.Since(begun).Seconds())
		return v, mark(err)
	})
	if err != nil {
		var none T
		return none, err
	}
	return v.(T), nil
}

// Message implements core.History.
func (s *Store) Message(ctx context.Context, channel, id proto.ID) (proto.Message, error) {
	key := flightKey{read: "message", channel: uint64(channel), id: uint64(id)}
	m, err := shared(ctx, s, key, func(ctx context.Context) (proto.Message, error) {
		q, err := s.query(ctx, oneMessage, int64(channel), windowOf(id), int64(id))
		if err != nil {
			return proto.Message{}, err
		}
		var body []byte
		if err := q.Scan(&body); errors.Is(err, gocql.ErrNotFound) {
			return proto.Message{}, core.ErrNotFound
		} else if err != nil {
			return proto.Message{}, err
		}
		return decodeMessage(channel, id, body)
	})
	if err != nil {
		return proto.Message{}, fmt.Errorf("channel %d: message %d: %w", channel, id, err)
	}
	return m, nil
}

// LastID implements core.History.
func (s *Store) LastID(ctx context.Context, channel proto.ID) (proto.ID, error) {
	id, err := shared(ctx, s, flightKey{read: "last", channel: uint64(channel)}, func(ctx context.Context) (proto.ID, error) {
		q, err := s.query(ctx, lastID, int64(channel))
		if err != nil {
			return 0, err
		}
		var id int64 // stays 0 where it is null
		if err := q.Scan(&id); err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return 0, err
		}
		return proto.ID(id), nil
	})
	if err != nil {
		return 0, fmt.Errorf("channel %d: last id: %w", channel, err)
	}
	return id, nil
}

// Checkpoint implements core.History.
func (s *Store) Checkpoint(ctx context.Context, bucket int) (core.Checkpoint, error) {
	c := core.Checkpoint{Bucket: bucket}
	q, err := s.query(ctx, oneCheckpoint, bucket)
	if err == nil {
		err = q.Scan((*bigint)(&c.Sequence), (*bigint)(&c.Counter), (*bigint)(&c.Epoch), (*bigint)(&c.LastID), (*bigint)(&c.Incarnation))
	}
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return core.Checkpoint{}, fmt.Errorf("bucket %d: checkpoint: %w", bucket, err)
	}
	return c, nil
}

// Checkpoints implements core.History.
func (s *Store) Checkpoints(ctx context.Context) ([]core.Checkpoint, error) {
	q, err := s.query(ctx, allCheckpoints)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var all []core.Checkpoint
	it := q.Iter()
	for {
		var c core.Checkpoint
		if !it.Scan(&c.Bucket, (*bigint)(&c.Sequence), (*bigint)(&c.Counter), (*bigint)(&c.Epoch), (*bigint)(&c.LastID), (*bigint)(&c.Incarnation)) {
			break
		}
		all = append(all, c)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	slices.SortFunc(all, func(a, b core.Checkpoint) int { return a.Bucket - b.Bucket })
	return all, nil
}

// A bigint is an unsigned number kept in a bigint of CQL, bit for bit: sequences and ids stay far below its sign.
type bigint uint64
