package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A deafWire is connected to a hub whose answers are lost, but for what it says of its streams.
type deafWire struct{ Wire }

func (deafWire) RequestMsgWithContext(ctx context.Context, _ *nats.Msg) (*nats.Msg, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

type deafStreams struct{ jetstream.JetStream }

func (deafStreams) Stream(context.Context, string) (jetstream.Stream, error) {
	return deafStream{}, nil
}

type deafStream struct{ jetstream.Stream }

func (deafStream) CachedInfo() *jetstream.StreamInfo {
	return &jetstream.StreamInfo{Config: jetstream.StreamConfig{Metadata: map[string]string{metaIncarnation: "7", metaStreams: "1"}}}
}

// The leader's answer is lost: the slot that the question holds is free again before long.
func TestAskLeaderWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, _ := Over("local", deafWire{}, nil)
		r := NewReader(bus, ReaderConfig{})
		defer r.cancel()
		r.js = deafStreams{}
		begun := time.Now()
		_, err := newFollow(r, 5).askLeader()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > getWait {
			t.Errorf("got %v after %s", err, time.Since(begun))
		}
		if len(r.slots) != 0 {
			t.Error("it still holds its slot")
		}
	})
}
