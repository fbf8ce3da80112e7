package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/relay"
)

// beatTimeout is how old the hub's last beat may be before the edge calls itself unhealthy: it may be cut off.
const beatTimeout = 5 * time.Second

var errNotServing = errors.New("edge: not serving")

// A Server is one edge node.
type Server struct {
	cfg     Config
	gateway string // URL that clients are told
	sockets *transport.Server
	begun   chan struct{} // closed once it serves
	ready   chan struct{} // closed once it has heard a hub, too
	since   time.Time
	serving atomic.Bool // ready and not draining
	drains  drains

	// Set by Run before anything else sees them.
	bus     *relay.Bus
	reader  *relay.Reader
	journal *relay.Journal
	loop    *loop
	rest    atomic.Pointer[rest]
}

// New checks cfg and binds the ports, so that their addresses are known; Run serves them.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	s := &Server{cfg: cfg, begun: make(chan struct{}), ready: make(chan struct{}), since: time.Now()}
	var err error
	s.sockets, err = transport.Listen(transport.Config{Addr: cfg.HTTPAddr, TLSAddr: cfg.TLSAddr, Cert: cfg.Cert, Accept: s.accept,
		REST: s, Origins: cfg.Origins, QueueBytes: cfg.QueueBytes, MaxConns: cfg.MaxConns, Connects: cfg.Connects, Log: cfg.Log})
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	public := cfg.PublicURL
	switch {
	case public != "":
	case s.HTTPAddr() != nil:
		public = "http://" + s.HTTPAddr().String()
	default:
		public = "https://" + s.TLSAddr().String()
	}
	s.gateway, err = gatewayURL(public)
	return s, err
}

// HTTPAddr is where plain text is served; nil if nowhere.
func (s *Server) HTTPAddr() net.Addr { return s.sockets.Addr() }

// TLSAddr is where TLS is served; nil if nowhere.
func (s *Server) TLSAddr() net.Addr { return s.sockets.TLSAddr() }

// GatewayURL is what clients are told to connect to.
func (s *Server) GatewayURL() string { return s.gateway }

// Ready is closed once the edge serves, is connected to its leaf and has heard a hub: it was healthy once.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Close gives the ports up where Run is never called.
func (s *Server) Close() { s.sockets.Close() }

// Run serves until ctx ends, then drains; nil means the drain completed.
func (s *Server) Run(ctx context.Context) error {
	defer s.sockets.Close()
	bus, err := relay.Connect(ctx, relay.Config{URL: s.cfg.LeafURL, Edge: true, TLS: s.cfg.MeshTLS, Secret: s.cfg.Secret, Name: s.cfg.Name,
		Region: s.cfg.Region, Log: s.cfg.Log})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("edge: %w", err)
	}
	defer bus.Close()
	s.bus = bus

	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx by the drain
	defer stop()
	g, serving := errgroup.WithContext(serving)
	s.journal = relay.OpenJournal(bus, s.cfg.Name)
	s.loop = newLoop(s, serving)
	s.loop.journal = relayJournal{s.journal}
	s.reader = relay.NewReader(bus, relay.ReaderConfig{OnStart: s.loop.onStart, OnEntry: s.loop.onEntry, OnEphemeral: s.loop.onEphemeral, OnReset: s.loop.onReset})
	s.loop.interest = newInterest(s.reader)
	s.loop.beat = s.reader.LastBeat
	s.rest.Store(newREST(s))

	release, err := bus.Serve(relay.EdgeSubject(s.cfg.Name), "", releasesAtOnce, s.loop.answerRelease)
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	defer release()
	g.Go(func() error { return ignoreEnd(serving, s.reader.Run(serving)) })
	g.Go(func() error { return ignoreEnd(serving, s.journal.Run(serving)) })
	g.Go(func() error { return s.loop.run(serving) })
	g.Go(func() error { return s.sockets.Serve(serving) })
	g.Go(func() error {
		defer stop() // listeners, loop and bus last
		s.serving.Store(true)
		close(s.begun)
		s.cfg.Log.Info("edge serves", "http", addrString(s.HTTPAddr()), "tls", addrString(s.TLSAddr()), "gateway", s.gateway)
		select {
		case <-s.reader.Heard():
			close(s.ready)
		case <-serving.Done():
		case <-ctx.Done():
		}
		select {
		case <-serving.Done():
			return nil // a part failed: nothing left to drain
		case <-ctx.Done():
		}
		s.drainLast(serving, s.cfg.DrainWindow)
		return nil
	})
	err = g.Wait()
	s.noDrain()
	s.loop.tasks.Wait()
	s.cfg.Log.Info("edge stopped")
	return err
}

// ignoreEnd tells a part that ended with its context from one that failed.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// Healthy tells why nobody should be sent here: not serving, draining, or cut off from the hub.
func (s *Server) Healthy() error {
	switch {
	case s.serving.Load():
		return s.Linked()
	case s.started():
		return errDrains
	}
	return errNotServing
}

// Linked tells why the edge is of no use whether it drains or not: it has not begun, or is cut off from the hub.
func (s *Server) Linked() error {
	if !s.started() {
		return errNotServing
	}
	if !s.bus.Connected() {
		return errors.New("edge: no connection to the leaf")
	}
	at := s.reader.LastBeat()
	if at.IsZero() {
		return errors.New("edge: no hub was heard yet")
	}
	if age := time.Since(at); age > beatTimeout {
		return fmt.Errorf("edge: last beat of the hub %v ago", age.Round(time.Second))
	}
	return nil
}

// Check compares the edge's tables with each other, and its positions with the digests of the owners.
func (s *Server) Check() error {
	if !s.started() {
		return errNotServing
	}
	return errors.Join(s.loop.checkTables(), s.reader.Check())
}
