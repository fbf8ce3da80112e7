package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/proto"
)

// via is on every answer: clients take a 429 without it for a ban by a CDN.
const via = "1.1 starling"

var answered = promauto.NewHistogramVec(prometheus.HistogramOpts{Name: "starling_api_request_seconds",
	Help: "REST calls by route and class of status.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 2.5, 10}},
	[]string{"route", "status"})

// An endpoint answers one route. Errors that are no *proto.Error become 500, or 503 where time ran out or a store is away, and are logged.
type endpoint func(c *call) (reply, error)

// A reply is a status and a body: a value to encode, bytes that are JSON already, or nil for none.
type reply struct {
	status int
	body   any
}

// A call is one request on its way through an endpoint.
type call struct {
	*http.Request
	w   http.ResponseWriter
	id  [16]byte // of the REST call: the same on every try of it
	who identity // zero on public routes

	repeat bool // of a call that an edge got no answer to: the limits have counted it
}

// ctx ends with the caller's patience.
func (c *call) ctx() context.Context { return c.Context() }

// pathID reads an id of the path.
func (c *call) pathID(param string) (proto.ID, error) {
	return parseField(param+"_id", chi.URLParam(c.Request, param))
}

// userID is pathID of {user}, where @me is the caller.
func (c *call) userID() (proto.ID, error) {
	if chi.URLParam(c.Request, "user") == "@me" {
		return c.who.User, nil
	}
	return c.pathID("user")
}

func parseField(field, value string) (proto.ID, error) {
	id, err := proto.ParseID(value)
	if err != nil {
		return 0, proto.InvalidForm(field, "NUMBER_TYPE_COERCE", fmt.Sprintf("Value %.40q is not snowflake.", value))
	}
	return id, nil
}

// frame is around everything: Via, and a panic of a handler is one failed call and not a dead core.
func (s *Server) frame(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Via", via)
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("handler panicked", "method", r.Method, "panic", p, "stack", string(debug.Stack()))
				write(w, proto.ErrInternal.Status, proto.ErrInternal)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// public routes need no token; they are limited per remote address.
func (s *Server) public(name string, l core.Limit, e endpoint) http.HandlerFunc {
	return s.measured(name, func(c *call) error {
		if err := s.take(c, name, "", remoteKey(c.RemoteAddr), l); err != nil {
			return err
		}
		return s.run(c, e)
	})
}

// private routes need a token; they are limited per user and major id, all together per user, and before the token is looked at per address.
func (s *Server) private(name, major string, l core.Limit, e endpoint) http.HandlerFunc {
	return s.measured(name, func(c *call) (err error) {
		if err := s.takeAddress(c); err != nil {
			return err
		}
		if c.who, err = s.who.check(c.ctx(), c.Header.Get("Authorization")); err != nil {
			if errors.Is(err, auth.ErrBadToken) {
				s.countInvalid(c)
				return proto.ErrUnauthorized
			}
			return fmt.Errorf("token: %w (%w)", proto.ErrUnavailable, err) // never 401: clients would throw the token away
		}
		user := c.who.User.String()
		if err := s.takeGlobal(c, user); err != nil {
			return err
		}
		var majorID proto.ID
		if major != noMajor {
			if majorID, err = c.pathID(major); err != nil {
				return err
			}
		}
		if err := s.take(c, name, majorID.String(), user, l); err != nil {
			return err
		}
		return s.run(c, e)
	})
}

func (s *Server) run(c *call, e endpoint) error {
	r, err := e(c)
	if err != nil {
		return err
	}
	write(c.w, r.status, r.body)
	return nil
}

func (s *Server) measured(name string, h func(c *call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := newCall(w, r)
		status := "2xx"
		if err := h(c); err != nil {
			e := s.asError(name, err)
			status = strconv.Itoa(e.Status/100) + "xx"
			if e.Status == http.StatusTooManyRequests {
				status = "429"
			}
			writeError(w, e)
		}
		answered.WithLabelValues(name, status).Observe(time.Since(start).Seconds())
	}
}

// asError finds what the client is told; internals stay here.
func (s *Server) asError(route string, err error) *proto.Error {
	var e *proto.Error
	switch {
	case errors.As(err, &e) && e.Status >= 400 && e.Status <= 599:
		if e.Status >= 500 && err != error(e) { // the owner's own words need no line here
			s.warn("call refused", route, err)
		}
		return e
	case errors.Is(err, auth.ErrBusy), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return proto.ErrUnavailable
	case core.Away(err):
		s.warn("call refused", route, err)
		return proto.ErrUnavailable
	}
	s.warn("call failed", route, err)
	return proto.ErrInternal
}

// warn is a line a second at most: when a store is down, every call fails. How many did is a metric.
func (s *Server) warn(what, route string, err error) {
	if now, last := time.Now().Unix(), s.warned.Load(); now != last && s.warned.CompareAndSwap(last, now) {
		s.log.Warn(what, "route", route, "err", err)
	}
}

func writeError(w http.ResponseWriter, e *proto.Error) {
	if e.RetryAfter > 0 && (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable) {
		w.Header().Set("Retry-After", strconv.Itoa(ceilSeconds(e.RetryAfter))) // an integer: a float is fatal to one client
	}
	if e.Status == http.StatusTooManyRequests && e.Global != nil {
		write(w, e.Status, tooManyBody(e))
		return
	}
	write(w, e.Status, e)
}

// write sends an answer; without a body there is no Content-Type either. The type has no charset: rule 4 of the wire.
func write(w http.ResponseWriter, status int, body any) {
	var b []byte
	switch v := body.(type) {
	case nil:
		w.WriteHeader(status)
		return
	case json.RawMessage:
		b = v
	default:
		var err error
		if b, err = json.Marshal(v); err != nil { // our own types: a bug
			panic(fmt.Sprintf("encode %T: %v", v, err))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}

// remoteKey is the address that a limit is kept for: an IPv6 site has a /64 for itself.
func remoteKey(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		port, err := netip.ParseAddrPort(remote)
		if err != nil {
			return "unknown"
		}
		addr = port.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

type callKey struct{}

// callInfo is what a REST call from an edge has beyond HTTP.
type callInfo struct {
	id         [16]byte
	gatewayURL string
	repeat     bool
}

func newCall(w http.ResponseWriter, r *http.Request) *call {
	c := &call{Request: r, w: w}
	if info, ok := r.Context().Value(callKey{}).(callInfo); ok {
		c.id, c.repeat = info.id, info.repeat
	} else {
		rand.Read(c.id[:])
	}
	return c
}
