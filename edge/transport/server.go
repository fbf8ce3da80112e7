package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Config says where to listen and whom to call. Zero values take the defaults named.
type Config struct {
	Addr    string // plain text, host:port; the host must be a loopback address; "" = none
	TLSAddr string // TLS 1.3, host:port; "" = none
	Cert    *tls.Certificate
	// Accept is called once per connection before its first frame, and may Queue. It runs on the
	// connection's own goroutine: while it waits nobody else does.
	Accept func(Conn, Request) Handler
	// REST answers everything but upgrades at /gateway.
	REST       http.Handler
	Origins    []string      // origins that browsers may come from; empty or "*" = any; requests without Origin always may
	QueueBytes int           // that may wait per connection before CloseSlow; default 16 MiB
	MaxConns   int           // gateway connections at once; default 100,000; beyond: HTTP 503
	Connects   int           // new connections per second on each port, REST among them; more wait their turn; default 250 per processor
	Handshake  time.Duration // for the first byte, then for TLS, then for the request's header; default 5 s
	Log        *slog.Logger
}

const maxHeaderBytes = 16 << 10 // of a request; net/http adds 4 KiB

// A Server listens for gateway connections and REST requests.
type Server struct {
	cfg   Config
	http  *http.Server
	plain net.Listener
	tls   net.Listener
	open  atomic.Int64
	// guests have connections, on whichever port.
	guests *guests

	mu    sync.Mutex
	conns map[*webSocket]struct{}
	ended bool           // no new connections
	wg    sync.WaitGroup // one per connection in conns, and per close of the end
}

// Listen binds the ports; Serve answers on them.
func Listen(cfg Config) (*Server, error) {
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = 16 << 20
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 100_000
	}
	if cfg.Connects == 0 {
		cfg.Connects = 250 * runtime.GOMAXPROCS(0)
	}
	if cfg.Handshake == 0 {
		cfg.Handshake = 5 * time.Second
	}
	if cfg.Addr == "" && cfg.TLSAddr == "" {
		return nil, errors.New("transport: no address to listen on")
	}
	if cfg.TLSAddr != "" && cfg.Cert == nil {
		return nil, fmt.Errorf("transport: TLS address %s: no certificate", cfg.TLSAddr)
	}
	s := &Server{cfg: cfg, guests: newGuests(), conns: map[*webSocket]struct{}{}}
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout:            cfg.Handshake,
		IdleTimeout:                  75 * time.Second,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		TLSNextProto:                 map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only: upgrades need it
		ErrorLog:                     slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	if err := s.listen(); err != nil {
		s.closeListeners()
		return nil, fmt.Errorf("transport: %w", err)
	}
	return s, nil
}

func (s *Server) listen() (err error) {
	if a := s.cfg.Addr; a != "" {
		if err := loopbackOnly(a); err != nil {
			return err
		}
		if s.plain, err = s.door(a); err != nil {
			return err
		}
	}
	if a := s.cfg.TLSAddr; a != "" {
		if s.tls, err = s.door(a); err != nil {
			return err
		}
		s.tls = tls.NewListener(s.tls, &tls.Config{Certificates: []tls.Certificate{*s.cfg.Cert}, MinVersion: tls.VersionTLS13,
			NextProtos: []string{"http/1.1"}})
	}
	return nil
}

func (s *Server) door(addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return newDoor(l, s.cfg.Handshake, min(mostWaiting, max(files()/4, 64)), s.cfg.Connects, s.guests), nil
}

// loopbackOnly refuses addresses that others could reach: tokens must not cross a network in plain text.
func loopbackOnly(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("plain text on %s: only loopback addresses are allowed without TLS; use the TLS address for others", addr)
	}
	return nil
}

// Addr is where plain text is served; nil if nowhere.
func (s *Server) Addr() net.Addr { return addrOf(s.plain) }

// TLSAddr is where TLS is served; nil if nowhere.
func (s *Server) TLSAddr() net.Addr { return addrOf(s.tls) }

func addrOf(l net.Listener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

// Serve answers until ctx ends, then closes the listeners and what is still connected, and returns when all of it has stopped.
func (s *Server) Serve(ctx context.Context) error {
	errs := make(chan error, 2)
	running := 0
	for _, l := range []net.Listener{s.plain, s.tls} {
		if l == nil {
			continue
		}
		running++
		go func() {
			err := s.http.Serve(l)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			errs <- err
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-errs:
		running--
	}
	s.shutdown()
	for range running {
		err = errors.Join(err, <-errs)
	}
	return err
}

// restGrace is how long requests under way may still take: an answer that is lost makes clients repeat.
const restGrace = 3 * time.Second

// shutdown gives REST requests under way a moment, and connections none: whoever drains closes them before.
func (s *Server) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), restGrace)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	s.mu.Lock()
	s.ended = true
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		s.wg.Go(func() { c.nc.Close() }) // TLS may take five seconds for each
	}
	s.wg.Wait()
}

// Close gives the ports up where Serve never ran.
func (s *Server) Close() { s.closeListeners() }

func (s *Server) closeListeners() {
	for _, l := range []net.Listener{s.plain, s.tls} {
		if l != nil {
			l.Close()
		}
	}
}

// add registers a connection, unless the server has ended.
func (s *Server) add(c *webSocket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) remove(c *webSocket) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}
