package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	maxPayload    = 8 << 20          // bytes of one message: a guild snapshot or a REST answer
	startWait     = 10 * time.Second // for a server to listen; it takes some 50 ms
	pingEvery     = 2 * time.Second  // with two lost pings a dead link is noticed in some 6 s
	handshakeWait = 5.0              // seconds for TLS
	writeExpiry   = 5 * time.Second  // a peer that takes nothing this long is cut off; it repairs after it reconnects
)

// baseOptions are what hub and leaf have in common.
func baseOptions(name, clientAddr string) (*server.Options, error) {
	if name == "" {
		return nil, errors.New("no server name")
	}
	host, port, err := splitAddr(clientAddr)
	if err != nil {
		return nil, err
	}
	return &server.Options{
		ServerName:             name,
		Host:                   host,
		Port:                   port,
		NoSigs:                 true,
		NoSystemAccount:        false,
		MaxPayload:             maxPayload,
		MaxPending:             128 << 20,
		PingInterval:           pingEvery,
		MaxPingsOut:            2,
		WriteDeadline:          writeExpiry,
		NoFastProducerStall:    true, // one slow edge must not slow the log; what it misses it repairs
		DisableJetStreamBanner: true,
		LeafNode:               server.LeafNodeOpts{ReconnectInterval: 250 * time.Millisecond, WriteDeadline: writeExpiry},
	}, nil
}

// splitAddr reads host:port; port 0 becomes the server's word for "any".
func splitAddr(addr string) (string, int, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %s: port: %w", addr, err)
	}
	if port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(port), nil
}

// startServer runs an embedded server until it listens.
func startServer(opts *server.Options, door *doorman, log *slog.Logger) (*server.Server, error) {
	opts.CustomClientAuthentication = door
	opts.TLSTimeout, opts.LeafNode.TLSTimeout, opts.Cluster.TLSTimeout = handshakeWait, handshakeWait, handshakeWait
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, err
	}
	door.server = s
	s.SetLoggerV2(serverLog{log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startWait) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("server %s does not listen after %s", opts.ServerName, startWait)
	}
	return s, nil
}

// connect makes the embedded server's own connection.
func (d *doorman) connect(name string) (*nats.Conn, error) {
	d.ownName = name
	return nats.Connect("", nats.InProcessServer(d.server), nats.Name(name), nats.UserInfo(userOwn, d.own))
}

// withUser puts a user and secret into a nats:// URL.
func withUser(raw, user, secret string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, fmt.Errorf("URL %q names no host", raw)
	}
	if u.User == nil {
		u.User = url.UserPassword(user, secret)
	}
	return u, nil
}

// serverLog passes the embedded server's words on; its notices are of no use to an operator of ours.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(format string, v ...any) { l.log.Debug(sentence(format, v)) }
func (l serverLog) Warnf(format string, v ...any) {
	text := sentence(format, v)
	switch {
	case strings.Contains(text, "chain and hostname"), strings.Contains(text, "TLS Handshake First"):
		return // credentials verify both, in their own way; all who connect are ours
	case strings.Contains(text, "Waiting for routing"), strings.Contains(text, "contact with a meta leader"), strings.Contains(text, "Metalayer"):
		l.log.Debug(text) // Hub.watch says what it waits for
		return
	}
	l.log.Warn(text)
}
func (l serverLog) Fatalf(format string, v ...any) { l.log.Error(sentence(format, v)) }
func (l serverLog) Errorf(format string, v ...any) {
	if strings.HasPrefix(format, "Error trying to connect to route") {
		l.Noticef(format, v...) // Hub.watch says which hubs are missed
		return
	}
	l.log.Error(sentence(format, v))
}
func (l serverLog) Debugf(string, ...any) {}
func (l serverLog) Tracef(string, ...any) {}

func sentence(format string, v []any) string {
	return "nats: " + strings.TrimSpace(fmt.Sprintf(format, v...))
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
