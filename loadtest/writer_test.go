package loadtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A writer sends one message after the other to a channel, each until it is answered: by its nonce it is one message however often it was sent.
type writer struct {
	rest    *client.REST
	channel proto.ID
	every   time.Duration // between two
	stop    context.CancelFunc
	done    sync.WaitGroup

	// Of the goroutine, until stop.
	sent    []proto.ID
	repeats int
}

// writes starts a writer; ended stops it.
func (w *town) writes(rest *client.REST, channel proto.ID, every time.Duration) *writer {
	ctx, stop := context.WithCancel(w.t.Context())
	x := &writer{rest: rest, channel: channel, every: every, stop: stop}
	x.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id, err := x.send(ctx, i)
			if err != nil {
				w.t.Errorf("message %d of the writer: %v", i, err)
				return
			}
			x.sent = append(x.sent, id)
			await(ctx, x.every)
		}
	})
	w.t.Cleanup(func() { stop(); x.done.Wait() })
	return x
}

// send outlives the end of the writer: what was begun is to be known.
func (x *writer) send(ctx context.Context, i int) (proto.ID, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*patience)
	defer stop()
	body := map[string]any{"content": fmt.Sprint("number ", i), "nonce": fmt.Sprint(x.channel%1e6, "-", i), "enforce_nonce": true}
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		m, err := x.rest.Post(try, x.channel, body)
		cancel()
		if err == nil {
			return m.ID, nil
		}
		if e, ok := apiError(err); ok && e.Status < 500 || ctx.Err() != nil {
			return 0, err
		}
		x.repeats++
		await(ctx, 20*time.Millisecond)
	}
}

// ended stops the writer and gives the messages that it was answered, in order.
func (x *writer) ended() []proto.ID {
	x.stop()
	x.done.Wait()
	return x.sent
}

// heard are the messages of a channel that a log holds, in the order in which they came.
func heard(l *client.Log, channel proto.ID) (ids []proto.ID) {
	for _, e := range l.Since(0) {
		var m proto.Message
		if e.T == "MESSAGE_CREATE" && e.Into(&m) == nil && m.ChannelID == channel {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// exactly wants each message once, and in order.
func exactly(t *testing.T, who string, got, want []proto.ID) {
	t.Helper()
	times, last := map[proto.ID]int{}, proto.ID(0)
	lost, doubled, late, foreign := 0, 0, 0, 0
	for _, id := range got {
		if times[id]++; times[id] > 1 {
			doubled++
		} else if id < last {
			late++
		}
		last = max(last, id)
	}
	for _, id := range want {
		if times[id] == 0 {
			lost++
		}
		delete(times, id)
	}
	foreign = len(times)
	if lost+doubled+late+foreign > 0 {
		t.Errorf("%s: of %d messages %d lost, %d doubled, %d out of order, %d that nobody sent", who, len(want), lost, doubled, late, foreign)
	}
}
