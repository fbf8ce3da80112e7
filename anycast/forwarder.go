package anycast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	openConns = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_anycast_connections", Help: "Connections that the forwarder carries now."})
	refused = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_anycast_refused_total", Help: "Connections cut at once, by reason: full, or no live edge."}, []string{"reason"})
)

// An Edge is one place where a connection may go.
type Edge struct {
	Addr   string // host:port that takes clients
	Health string // URL that answers 200 while the edge wants new ones
}

// Config of a Forwarder.
type Config struct {
	Addr     string // host:port to listen on
	Edges    []Edge
	Every    time.Duration // between two looks at an edge's health, default 200 ms
	MaxConns int           // at once; more are cut, default 65536
	Log      *slog.Logger
}

const dialTimeout = time.Second // edges are near: one that takes longer is as good as gone

// A Forwarder carries TCP connections from one address to live edges.
type Forwarder struct {
	cfg    Config
	ln     net.Listener
	health *http.Client
	slots  chan struct{}

	mu   sync.Mutex
	live []bool // by index in cfg.Edges
}

// Listen takes the address; Run then serves it.
func Listen(cfg Config) (*Forwarder, error) {
	if cfg.Every <= 0 {
		cfg.Every = 200 * time.Millisecond
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = 65536
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("anycast: %w", err)
	}
	return &Forwarder{
		cfg: cfg, ln: ln, live: make([]bool, len(cfg.Edges)), slots: make(chan struct{}, cfg.MaxConns),
		health: &http.Client{Timeout: max(cfg.Every, 500*time.Millisecond), Transport: &http.Transport{MaxIdleConnsPerHost: 1}},
	}, nil
}

// Addr is where the forwarder listens.
func (f *Forwarder) Addr() net.Addr { return f.ln.Addr() }

// Run forwards until ctx ends, then cuts every connection and returns when all have ended.
func (f *Forwarder) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer f.health.CloseIdleConnections()
	defer wg.Wait()
	defer cancel()
	context.AfterFunc(ctx, func() { f.ln.Close() })
	for i := range f.cfg.Edges {
		wg.Go(func() { f.watch(ctx, i) })
	}
	for {
		conn, err := f.ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("anycast: accept: %w", err)
			}
			wait(ctx, 10*time.Millisecond) // out of descriptors: let some end
			continue
		}
		select {
		case f.slots <- struct{}{}:
		default:
			refused.WithLabelValues("full").Inc()
			cut(conn)
			continue
		}
		wg.Go(func() {
			defer func() { <-f.slots }()
			f.carry(ctx, conn)
		})
	}
}

// watch follows one edge's health.
func (f *Forwarder) watch(ctx context.Context, i int) {
	for ctx.Err() == nil {
		ok := f.healthy(ctx, f.cfg.Edges[i].Health)
		f.mu.Lock()
		changed := f.live[i] != ok
		f.live[i] = ok
		f.mu.Unlock()
		if changed && ctx.Err() == nil {
			f.cfg.Log.Info("anycast: route changed", "edge", f.cfg.Edges[i].Addr, "live", ok)
		}
		wait(ctx, f.cfg.Every)
	}
}

func (f *Forwarder) healthy(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := f.health.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.CopyN(io.Discard, resp.Body, 4<<10) // drained, so that the connection is used again
	return resp.StatusCode == http.StatusOK && (err == nil || errors.Is(err, io.EOF))
}

// carry joins a client to a live edge until either side ends.
func (f *Forwarder) carry(ctx context.Context, client net.Conn) {
	edge := f.dial(ctx)
	if edge == nil {
		refused.WithLabelValues("no live edge").Inc()
		cut(client)
		return
	}
	openConns.Inc()
	defer openConns.Dec()
	stop := context.AfterFunc(ctx, func() { cut(client); cut(edge) })
	defer stop()
	var up sync.WaitGroup
	up.Go(func() {
		if _, err := io.Copy(edge, client); err != nil {
			cut(edge) // the client broke: the edge should learn it as if there were nothing between
			return
		}
		edge.(*net.TCPConn).CloseWrite()
	})
	// When the edge ends, however, the client is to know at once: it resumes elsewhere.
	if _, err := io.Copy(client, edge); err != nil {
		cut(client)
	}
	client.Close()
	edge.Close()
	up.Wait()
}

// dial connects to a live edge at random, trying another where one refuses.
func (f *Forwarder) dial(ctx context.Context) net.Conn {
	d := net.Dialer{Timeout: dialTimeout}
	for _, i := range rand.Perm(len(f.cfg.Edges)) {
		f.mu.Lock()
		live := f.live[i]
		f.mu.Unlock()
		if !live {
			continue
		}
		if conn, err := d.DialContext(ctx, "tcp", f.cfg.Edges[i].Addr); err == nil {
			return conn
		}
	}
	return nil
}

// Live counts the edges that take connections.
func (f *Forwarder) Live() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, ok := range f.live {
		if ok {
			n++
		}
	}
	return n
}

// cut closes with a reset, which a client cannot take for an orderly end.
func cut(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
