package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	breakAfter = 3                     // failures in a row, with no answer between them
	probeFirst = 50 * time.Millisecond // of a node that is away: it may only have been slow
	probeEvery = time.Second           // between later ones, each up to a quarter sooner: cores do not ask in step
)

// ErrAway is of a call that was not tried, since Redis has not answered lately.
var ErrAway = errors.New("redis is away")

// A breaker bounds the time of each call of one node. A node that does not answer is away: calls fail at once, and one probe at a time finds
// out when it is back.
type breaker struct {
	client  *goredis.Client
	timeout time.Duration
	log     *slog.Logger
	spawn   func(func(context.Context))

	failed atomic.Int32 // in a row
	open   atomic.Bool
}

// breakers of all nodes of a store.
type breakers struct {
	mu     sync.Mutex
	all    []*breaker
	closed bool
	wait   sync.WaitGroup
	ctx    context.Context
	stop   context.CancelFunc
}

func (bs *breakers) add(c *goredis.Client, address string, timeout time.Duration, log *slog.Logger) *breaker {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.ctx == nil {
		bs.ctx, bs.stop = context.WithCancel(context.Background())
	}
	b := &breaker{client: c, timeout: timeout, log: log.With("redis", address), spawn: bs.spawn}
	bs.all = append(bs.all, b)
	return b
}

// spawn runs f until close; not at all after it.
func (bs *breakers) spawn(f func(context.Context)) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.closed {
		return
	}
	bs.wait.Go(func() { f(bs.ctx) })
}

func (bs *breakers) openAll(err error) {
	bs.mu.Lock()
	all := bs.all
	bs.mu.Unlock()
	for _, b := range all {
		b.trip(err)
	}
}

func (bs *breakers) close() {
	bs.mu.Lock()
	bs.closed = true
	if bs.stop != nil {
		bs.stop()
	}
	bs.mu.Unlock()
	bs.wait.Wait()
}

// DialHook implements goredis.Hook.
func (b *breaker) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements goredis.Hook.
func (b *breaker) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := b.call(ctx, 1, func(ctx context.Context) error { return next(ctx, cmd) })
		if errors.Is(err, ErrAway) {
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook implements goredis.Hook.
func (b *breaker) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := b.call(ctx, len(cmds), func(ctx context.Context) error { return next(ctx, cmds) })
		if errors.Is(err, ErrAway) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// probing marks the context of a probe, and of what go-redis does on a new connection within a call.
type probing struct{}

func (b *breaker) call(ctx context.Context, commands int, next func(context.Context) error) error {
	if ctx.Value(probing{}) != nil {
		return next(ctx)
	}
	if b.open.Load() {
		return ErrAway
	}
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, probing{}, true), b.timeout+time.Duration(commands)*perCommand)
	defer cancel()
	err := next(bounded)
	switch {
	case answered(err):
		b.failed.Store(0)
	case ctx.Err() == nil: // else the caller gave up, which says nothing of Redis
		failures.Inc()
		if b.failed.Add(1) >= breakAfter {
			b.trip(err)
		}
	}
	return err
}

// answered tells whether Redis said anything, if only that something is wrong with a command.
func answered(err error) bool {
	if err == nil || errors.Is(err, goredis.Nil) {
		return true
	}
	var said goredis.Error
	return errors.As(err, &said) && !goredis.HasErrorPrefix(err, "LOADING")
}

// trip takes the node out until it answers a probe.
func (b *breaker) trip(err error) {
	if !b.open.CompareAndSwap(false, true) {
		return
	}
	away.Inc()
	b.log.Warn("redis does not answer: limits count per process, presence is offline, rights are asked of the directory", "err", err)
	b.spawn(func(ctx context.Context) {
		since := time.Now()
		for wait := probeFirst; ; wait = min(2*wait, probeEvery) {
			t := time.NewTimer(wait - rand.N(wait/4))
			select {
			case <-ctx.Done():
				t.Stop()
				away.Dec()
				return
			case <-t.C:
			}
			if b.probe(ctx) == nil {
				away.Dec()
				b.failed.Store(0)
				b.open.Store(false)
				b.log.Info("redis answers again", "after", time.Since(since).Round(time.Millisecond))
				return
			}
		}
	})
}

func (b *breaker) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, probing{}, true), b.timeout)
	defer cancel()
	if err := b.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: ping: %w", err)
	}
	return nil
}
