package relay

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Wire is the connection under a Bus, as much of a *nats.Conn as is used of it. The other implementation is relaytest/sim, on which the log's
// code runs without a network.
type Wire interface {
	Publish(subject string, body []byte) error
	PublishMsg(m *nats.Msg) error
	PublishRequest(subject, reply string, body []byte) error
	RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error)
	NewRespInbox() string
	Subscribe(subject string, h nats.MsgHandler) (Subscription, error)
	QueueSubscribe(subject, queue string, h nats.MsgHandler) (Subscription, error)
	ChanSubscribe(subject string, in chan *nats.Msg) (Subscription, error)
	JetStream(prefix string) (jetstream.JetStream, error) // "" is the default prefix
	Flush() error
	FlushWithContext(ctx context.Context) error
	IsConnected() bool
	IsReconnecting() bool
	ConnectedServerName() string
	ConnectedClusterName() string
	Close()
}

// A Subscription of a Wire, as much of a *nats.Subscription as is used of it.
type Subscription interface {
	Unsubscribe() error
	Drain() error
	StatusChanged(...nats.SubStatus) <-chan nats.SubStatus
}

// WireEvents are how a Wire tells its Bus what befalls it.
type WireEvents struct {
	Lost   func(error)
	Back   func()
	Failed func(subject string, err error)
}

// Over makes a Bus over a Wire of the caller's, which is connected.
func Over(region string, w Wire, log *slog.Logger) (*Bus, WireEvents) {
	b := newBus(region, logger(log))
	b.nc = w
	return b, WireEvents{Lost: b.onDisconnect, Back: b.onReconnect, Failed: b.onError}
}

// A natsWire is a connection to a real server.
type natsWire struct{ *nats.Conn }

func (w natsWire) Subscribe(subject string, h nats.MsgHandler) (Subscription, error) {
	return subscribed(w.Conn.Subscribe(subject, h))
}

func (w natsWire) QueueSubscribe(subject, queue string, h nats.MsgHandler) (Subscription, error) {
	return subscribed(w.Conn.QueueSubscribe(subject, queue, h))
}

func (w natsWire) ChanSubscribe(subject string, in chan *nats.Msg) (Subscription, error) {
	return subscribed(w.Conn.ChanSubscribe(subject, in))
}

func (w natsWire) JetStream(prefix string) (jetstream.JetStream, error) {
	if prefix == "" {
		return jetstream.New(w.Conn)
	}
	return jetstream.NewWithAPIPrefix(w.Conn, prefix)
}

// subscribed keeps a nil pointer from becoming an interface that is not nil.
func subscribed(s *nats.Subscription, err error) (Subscription, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
