// Package admin serves the page of one role for operators and tools, on loopback: /healthz, /readyz, /metrics, /debug/pprof/,
// /debug/check, of a core /debug/routes, and below /admin/v1/ what the role lets operators see and do. It asks the role through Probes and
// adds nothing to what these tell; it is not the API and asks nobody for a token: who can connect to loopback is an operator, but no page of
// a browser that somebody else's site sent here.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Probes are what a role can tell of itself; a nil one is always well. Each may be called at any time by any goroutine.
type Probes struct {
	Role, Name string
	Healthy    func() error // nil: no need to restart me
	Ready      func() error // nil: send me work
	Check      func() error // nil: my tables agree with each other; may take seconds
	// Routes is the table of the API, a line each: /debug/routes. nil: the role serves none, and has no such page.
	Routes func() ([]string, error)
	// Pages are the role's own, below /admin/v1/; nil: none but "self".
	Pages http.Handler
}

// Self answers GET /admin/v1/self.
type Self struct {
	Role string `json:"role"`
	Name string `json:"name"`
}

// Handler serves the page.
func Handler(p Probes) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\n\n/healthz\n/readyz\n/metrics\n/debug/pprof/\n/debug/check\n", p.Role, p.Name)
	})
	mux.HandleFunc("GET /healthz", answer(p.Healthy))
	mux.HandleFunc("GET /readyz", answer(p.Ready))
	mux.HandleFunc("GET /debug/check", answer(p.Check))
	if p.Routes != nil {
		mux.HandleFunc("GET /debug/routes", table(p.Routes))
	}
	if p.Pages != nil {
		mux.Handle("/admin/v1/", p.Pages)
	}
	mux.HandleFunc("GET /admin/v1/self", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(Self{p.Role, p.Name}) // who went away needs no answer
	})
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return guard(mux)
}

func answer(probe func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if probe != nil {
			if err := probe(); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprintln(w, err)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	}
}

func table(rows func() ([]string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list, err := rows()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		for _, row := range list {
			fmt.Fprintln(w, row)
		}
	}
}

// A Server is a page with its listener.
type Server struct {
	ln   net.Listener
	http *http.Server
}

// Listen takes the address, which must be on loopback.
func Listen(addr string, p Probes) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	if !ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
		ln.Close()
		return nil, fmt.Errorf("admin: %s is not on loopback", addr)
	}
	return &Server{ln: ln, http: &http.Server{Handler: Handler(p), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}}, nil
}

// Addr is where the page is.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}
