package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Errors of requests that callers test for.
var (
	ErrNobody = errors.New("nobody serves this subject")             // certainly not executed
	ErrBusy   = errors.New("the server has more requests than room") // certainly not executed
	ErrLost   = errors.New("connection lost before the answer")      // executed or not
)

// errClosed says that Close was called.
var errClosed = nats.ErrConnectionClosed

const (
	reconnectWait = 100 * time.Millisecond // between tries; there are a handful of servers, not thousands
	busyHeader    = "Starling-Busy"
)

// Config says which hub or leaf to connect to.
type Config struct {
	URL    string // several separated by commas: any of them will do
	Edge   bool   // connects to a leaf, as an edge; else to a hub, as a core
	TLS    TLSFiles
	Secret string // in plain text
	Name   string // of the edge or core
	Region string
	Log    *slog.Logger
}

// A Bus is one connection to a hub or leaf. It reconnects for ever; whoever reads a stream of messages learns of every moment in which some
// may have been lost. Any goroutine may use it.
type Bus struct {
	region string
	nc     Wire
	log    *slog.Logger

	answers answers

	mu       sync.Mutex
	link     context.Context // ends when the connection is lost
	cut      context.CancelFunc
	back     chan struct{} // closed while connected
	watchers map[int]func(gapReason, string)
	nextID   int
	closed   bool
}

// gapReason says why messages may have been lost; it labels a metric.
type gapReason string

// Connect keeps trying until it is connected or ctx ends.
func Connect(ctx context.Context, cfg Config) (*Bus, error) {
	if !checkRegion(cfg.Region) {
		return nil, fmt.Errorf("bus %s: region %q: want lower-case letters, digits, hyphens", cfg.Name, cfg.Region)
	}
	role, peer, inbox := roleCore, roleHub, "_INBOX"
	if cfg.Edge {
		if err := checkName(cfg.Name); err != nil {
			return nil, fmt.Errorf("bus: %w", err)
		}
		role, peer, inbox = roleEdge, roleLeaf, edgeInbox+"."+cfg.Name
	}
	var urls []string
	for raw := range strings.SplitSeq(cfg.URL, ",") {
		u, err := withUser(strings.TrimSpace(raw), role, cfg.Secret)
		if err != nil {
			return nil, fmt.Errorf("bus %s: %w", cfg.Name, err)
		}
		urls = append(urls, u.String())
	}
	b := newBus(cfg.Region, logger(cfg.Log).With("bus", cfg.Name))
	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.CustomInboxPrefix(inbox),
		nats.Timeout(2 * time.Second),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.ReconnectBufSize(-1), // what is said into the void should fail at once: callers know what to do
		nats.IgnoreAuthErrorAbort(),
		nats.IgnoreDiscoveredServers(),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(writeExpiry), // a write to a peer that takes nothing holds up everybody, pings too
		nats.ReconnectOnFlusherError(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.onDisconnect(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { b.onReconnect() }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { b.onError(subjectOf(sub), err) }),
	}
	if cfg.TLS.on() {
		c, err := openCredentials(cfg.TLS, role, cfg.Name, b.log)
		if err != nil {
			return nil, fmt.Errorf("bus %s: %w", cfg.Name, err)
		}
		opts = append(opts, nats.Secure(c.config(peer)), nats.TLSHandshakeFirst())
	}
	for told := false; ; {
		nc, err := nats.Connect(strings.Join(urls, ","), opts...)
		if err == nil {
			b.nc = natsWire{nc}
			return b, nil
		}
		if !told {
			told = true
			b.log.Info("waiting for the server", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("bus %s: %w: %w", cfg.Name, ctx.Err(), err)
		case <-time.After(reconnectWait):
		}
	}
}

func newBus(region string, log *slog.Logger) *Bus {
	b := &Bus{region: region, log: log, back: make(chan struct{}), watchers: map[int]func(gapReason, string){}}
	b.link, b.cut = context.WithCancel(context.Background())
	close(b.back)
	return b
}

// Region the bus belongs to.
func (b *Bus) Region() string { return b.region }

// Connected tells whether the connection stands.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// Peer names the hub or leaf that the bus is connected to; "" while it is to none.
func (b *Bus) Peer() string { return b.nc.ConnectedServerName() }

// replicas is how many hubs are to keep a stream: it is for buses that are connected to a hub.
func (b *Bus) replicas() int {
	if b.nc.ConnectedClusterName() == "" {
		return 1
	}
	return maxReplicas
}

// Close ends the connection and all subscriptions on it.
func (b *Bus) Close() {
	b.mu.Lock()
	b.closed = true
	b.cut()
	b.mu.Unlock()
	b.nc.Close()
}

// Request sends body and waits for one answer. While the bus is disconnected it waits for the connection; once sent, a lost
// connection ends it with ErrLost. ErrNobody comes at once, but a request that crosses the leaf's link as the last server leaves, or as the
// link breaks, gets no answer at all: give ctx a deadline.
func (b *Bus) Request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	m, err := b.request(ctx, &nats.Msg{Subject: subject, Data: body})
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", subject, err)
	}
	if m.Header.Get(busyHeader) != "" {
		return nil, fmt.Errorf("request %s: %w", subject, ErrBusy)
	}
	return m.Data, nil
}

func (b *Bus) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	for {
		link, err := b.awaitConnection(ctx)
		if err != nil {
			return nil, err
		}
		attempt, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(link, func() { cancel(ErrLost) })
		answer, err := b.nc.RequestMsgWithContext(attempt, m)
		stop()
		cause := context.Cause(attempt)
		cancel(nil)
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(err, nats.ErrNoResponders):
			return nil, ErrNobody
		case errors.Is(err, nats.ErrReconnectBufExceeded):
			// Refused before it was sent: the connection broke a moment ago.
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Millisecond):
			}
		case ctx.Err() == nil && errors.Is(cause, ErrLost):
			return nil, ErrLost
		default:
			return nil, err
		}
	}
}

// awaitConnection returns, once connected, a context that ends when the connection is lost.
func (b *Bus) awaitConnection(ctx context.Context) (context.Context, error) {
	for {
		b.mu.Lock()
		link, back, closed := b.link, b.back, b.closed
		b.mu.Unlock()
		if closed {
			return nil, errClosed
		}
		select {
		case <-back:
			return link, nil
		default:
		}
		select {
		case <-back:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second): // Close does not close back
		}
	}
}

// Publish sends body to whoever listens now. It fails while disconnected.
func (b *Bus) Publish(subject string, body []byte) error {
	if err := b.nc.Publish(subject, body); err != nil {
		return fmt.Errorf("publish %s: %w", subject, err)
	}
	return nil
}

// Subscribe calls h with each message, one at a time. Messages may be lost, at a reconnect or when h is too slow; for those that must not
// be there is the Reader.
func (b *Bus) Subscribe(subject string, h func(subject string, body []byte)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) { h(m.Subject, m.Data) })
	if err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", subject, err)
	}
	if err := b.nc.Flush(); err != nil && !b.nc.IsReconnecting() {
		_ = sub.Unsubscribe()
		return nil, fmt.Errorf("subscribe %s: %w", subject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// watch calls f, which must not block, at every moment in which messages may have been lost; of any subject if it is "".
func (b *Bus) watch(f func(reason gapReason, subject string)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.nextID
	b.nextID++
	b.watchers[id] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, id)
	}
}

func (b *Bus) gap(reason gapReason, subject string) {
	b.mu.Lock()
	fs := make([]func(gapReason, string), 0, len(b.watchers))
	for _, f := range b.watchers {
		fs = append(fs, f)
	}
	b.mu.Unlock()
	for _, f := range fs {
		f(reason, subject)
	}
}

func (b *Bus) onDisconnect(err error) {
	b.mu.Lock()
	closed := b.closed
	if b.link.Err() == nil {
		b.cut()
		b.back = make(chan struct{})
	}
	b.mu.Unlock()
	if !closed {
		b.log.Warn("disconnected", "err", err)
	}
}

func (b *Bus) onReconnect() {
	b.mu.Lock()
	if b.link.Err() != nil && !b.closed {
		b.link, b.cut = context.WithCancel(context.Background())
		close(b.back)
	}
	b.mu.Unlock()
	b.log.Info("reconnected")
	b.gap(gapReconnect, "")
}

func (b *Bus) onError(subject string, err error) {
	reason := gapError
	if errors.Is(err, nats.ErrSlowConsumer) {
		reason = gapSlow
	} else {
		b.log.Warn("bus error", "err", err)
	}
	b.gap(reason, subject)
}

// subjectOf is "" where an error is of no subscription.
func subjectOf(sub *nats.Subscription) string {
	if sub == nil {
		return ""
	}
	return sub.Subject
}
