package api

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

var limited = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_api_limited_total",
	Help: "What was limited, by scope: user (one route), global, address, invalid (401 of an address), session_total, session_concurrency, session_delayed."}, []string{"scope"})

func init() { // so that rules see what has not happened yet
	for _, scope := range []string{"user", "global", "address", "invalid", "slow", "session_total", "session_concurrency", "session_delayed"} {
		limited.WithLabelValues(scope)
	}
}

// take counts a call against its route's limit and writes the headers of wire-compat 1.5, on 2xx as on 429.
func (s *Server) take(c *call, route, major, caller string, l core.Limit) error {
	v, err := s.limiter.Take(c.ctx(), route+"/"+major+"/"+caller, l)
	if err != nil { // chat goes on without limits
		s.warn("rate limiter does not answer", route, err)
		v = core.Verdict{Allowed: true, Remaining: l.Burst - 1}
	}
	s.limitHeaders(c.w.Header(), route, l, v)
	if v.Allowed || c.repeat {
		return nil
	}
	limited.WithLabelValues("user").Inc()
	return tooMany(v, false)
}

// takeGlobal counts a call against the limit over all routes of a user. It writes headers only where it refuses.
func (s *Server) takeGlobal(c *call, user string) error {
	v, err := s.limiter.Take(c.ctx(), "global//"+user, limitGlobal)
	if err != nil || v.Allowed || c.repeat {
		return nil // an error shows at take
	}
	return s.refuse(c, "global", limitGlobal, v)
}

// refuse answers a call beyond a limit over all routes.
func (s *Server) refuse(c *call, what string, l core.Limit, v core.Verdict) error {
	limited.WithLabelValues(what).Inc()
	h := c.w.Header()
	s.limitHeaders(h, what, l, v)
	h.Set("X-RateLimit-Scope", "global")
	h.Set("X-RateLimit-Global", "true")
	return tooMany(v, true)
}

func (s *Server) limitHeaders(h http.Header, route string, l core.Limit, v core.Verdict) {
	after := v.ResetAfter
	if !v.Allowed {
		after = v.RetryAfter // then one is allowed: clients need not wait longer
	}
	reset := s.cfg.Now().Add(after)
	h.Set("X-RateLimit-Bucket", bucketID(route))
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.Burst))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(v.Remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatFloat(float64(reset.UnixMilli())/1000, 'f', 3, 64))
	h.Set("X-RateLimit-Reset-After", strconv.FormatFloat(millis(after), 'f', 3, 64))
	h.Set("X-RateLimit-Scope", "user")
	h.Set("Date", s.cfg.Now().UTC().Format(http.TimeFormat)) // discordgo computes with it
}

func tooMany(v core.Verdict, global bool) *proto.Error {
	return &proto.Error{Status: http.StatusTooManyRequests, Message: "You are being rate limited.",
		RetryAfter: max(millis(v.RetryAfter), 0.001), Global: &global}
}

// slowHeaders says the wait of a channel's slow mode in the headers of the route, which has been counted as allowed.
func (s *Server) slowHeaders(c *call, e *proto.Error) {
	wait := time.Duration(e.RetryAfter * float64(time.Second))
	limited.WithLabelValues("slow").Inc()
	s.limitHeaders(c.w.Header(), "messages.send", core.Limit{Burst: 1, Per: wait}, core.Verdict{RetryAfter: wait})
}

// tooManyBody has exactly the three keys of wire-compat 1.5, and the code where there is one; retry_after always looks like a float.
func tooManyBody(e *proto.Error) json.RawMessage {
	if e.Code != 0 {
		return fmt.Appendf(nil, `{"message":%q,"code":%d,"retry_after":%.3f,"global":%t}`, e.Message, e.Code, e.RetryAfter, *e.Global)
	}
	return fmt.Appendf(nil, `{"message":%q,"retry_after":%.3f,"global":%t}`, e.Message, e.RetryAfter, *e.Global)
}

// millis gives seconds, rounded up to whole milliseconds.
func millis(d time.Duration) float64 {
	return float64((d+time.Millisecond-1)/time.Millisecond) / 1000
}

// bucketID is the opaque id of a limit: the same for all routes that share it.
func bucketID(route string) string {
	f := fnv.New64a()
	f.Write([]byte(route))
	return strconv.FormatUint(f.Sum64(), 16)
}
