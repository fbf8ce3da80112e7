package relay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// commandBacklog is how many commands may wait for the dispatcher, which only hands them on; beyond, they are dropped and their senders,
// who repeat until their deadline, send them again.
const commandBacklog = 1 << 16

// stopWait bounds how long a server takes to stop.
const stopWait = 5 * time.Second

// Serve answers requests with up to workers at once; queue "" means no queue group. As many as 16 for each worker may wait (at least 64);
// beyond, the one that waits longest is answered with what its sender sees as ErrBusy. nil is no answer, not an empty one. Stop waits until all that has come in is answered;
// h's context ends after stopWait of that.
func (b *Bus) Serve(subject, queue string, workers int, h func(ctx context.Context, body []byte) []byte) (stop func(), err error) {
	return b.ServeCalls(subject, queue, workers, func(ctx context.Context, body []byte, reply func([]byte)) { reply(h(ctx, body)) })
}

// ServeCalls is Serve for an h that may leave its answer to another call of h, which gives it before it returns. reply is for any goroutine.
func (b *Bus) ServeCalls(subject, queue string, workers int, h func(ctx context.Context, body []byte, reply func([]byte))) (stop func(), err error) {
	workers = max(workers, 1)
	waiting := newBacklog(workers, max(16*workers, 64))
	take := func(m *nats.Msg) {
		if m.Reply == "" {
			return
		}
		gone := waiting.put(m)
		if gone == nil {
			requestsWaiting.Inc()
			return
		}
		refused.Inc()
		busy := nats.NewMsg(gone.Reply)
		busy.Header.Set(busyHeader, "1")
		_ = b.nc.PublishMsg(busy) // the sender has its own time-out
	}
	var sub Subscription
	if queue == "" {
		sub, err = b.nc.Subscribe(subject, take)
	} else {
		sub, err = b.nc.QueueSubscribe(subject, queue, take)
	}
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", subject, err)
	}
	if err := b.nc.Flush(); err != nil && !b.nc.IsReconnecting() {
		_ = sub.Unsubscribe()
		return nil, fmt.Errorf("serve %s: %w", subject, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	quit := make(chan struct{})
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			waiting.serve(quit, func(m *nats.Msg) {
				requestsWaiting.Dec()
				h(ctx, m.Data, func(answer []byte) {
					if answer == nil {
						return
					}
					_ = b.nc.Publish(m.Reply, answer) // a lost answer is a time-out to the sender
				})
			})
		})
	}
	return func() {
		b.drain(sub)
		close(quit)
		defer time.AfterFunc(stopWait, cancel).Stop()
		done.Wait()
		cancel()
	}, nil
}

// work calls f with each of in until quit, and then with those that wait.
func work[T any](in <-chan T, quit <-chan struct{}, f func(T)) {
	for {
		select {
		case m := <-in:
			f(m)
		case <-quit:
			for {
				select {
				case m := <-in:
					f(m)
				default:
					return
				}
			}
		}
	}
}

// drain has the server send nothing more, and returns when all that it had sent has come in.
func (b *Bus) drain(subs ...Subscription) {
	var idle []<-chan nats.SubStatus
	for _, s := range subs {
		ended := s.StatusChanged(nats.SubscriptionClosed)
		if s.Drain() == nil {
			idle = append(idle, ended)
		}
	}
	late := time.NewTimer(stopWait)
	defer late.Stop()
	for _, ended := range idle {
		select {
		case <-ended:
		case <-late.C:
			return
		}
	}
}
