package transport

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

// serveHTTP tells gateway connections from REST. There is no mux: paths are neither cleaned nor redirected.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.Path; (p == "/gateway" || p == "/gateway/") && isUpgrade(r) {
		s.upgrade(w, r)
		return
	}
	s.cfg.REST.ServeHTTP(w, r)
}

func isUpgrade(r *http.Request) bool {
	for _, v := range r.Header["Upgrade"] {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), "websocket") {
				return true
			}
		}
	}
	return false
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(r.Header.Get("Origin")) {
		refused.WithLabelValues("origin").Inc()
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return
	}
	if s.open.Add(1) > int64(s.cfg.MaxConns) {
		s.open.Add(-1)
		refused.WithLabelValues("full").Inc()
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	nc, rw, _, err := ws.HTTPUpgrader{Timeout: s.cfg.Handshake}.Upgrade(r, w)
	if err != nil {
		refused.WithLabelValues("handshake").Inc()
		s.open.Add(-1)
		if nc != nil {
			nc.Close()
		}
		return
	}
	// What came in behind the header is taken along; the buffers of net/http are not.
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ = rw.Reader.Peek(n)
		early = slices.Clone(early)
	}
	nc.SetDeadline(time.Time{})
	c := newWebSocket(nc, s.cfg.QueueBytes)
	if !s.add(c) {
		s.open.Add(-1)
		nc.Close()
		return
	}
	query := r.URL.Query()
	req, code := parse(query, r.RemoteAddr)
	// A goroutine of its own, so that what net/http keeps for a request can go.
	go s.serve(c, req, code, early)
}

func (s *Server) serve(c *webSocket, req Request, code proto.CloseCode, early []byte) {
	defer s.remove(c)
	defer s.open.Add(-1)
	site := Site(req.Remote)
	s.guests.come(site)
	defer s.guests.leave(site)
	if code != 0 {
		c.Close(code)
		c.serve(early, ignore{})
		return
	}
	g := connections.WithLabelValues(req.Compress.String())
	g.Inc()
	defer g.Dec()
	c.serve(early, s.cfg.Accept(c, req))
}

// parse reads the query of the gateway URL. A code says why the connection cannot be served.
func parse(q url.Values, remote string) (Request, proto.CloseCode) {
	req := Request{Version: 10}
	req.Remote, _, _ = net.SplitHostPort(remote)
	switch q.Get("v") {
	case "", "10":
	case "9":
		req.Version = 9
	default:
		return req, proto.CloseInvalidVersion
	}
	if e := q.Get("encoding"); e != "" && e != "json" {
		return req, proto.CloseDecode
	}
	switch q.Get("compress") {
	case "":
	case "zlib-stream":
		req.Compress = Zlib
	case "zstd-stream":
		req.Compress = Zstd
	default:
		return req, proto.CloseDecode
	}
	return req, 0
}

func (s *Server) allowed(origin string) bool { return AllowedOrigin(s.cfg.Origins, origin) }

// AllowedOrigin tells whether a request with the given Origin header may come in: no list or "*" allows every one, and so does no header.
func AllowedOrigin(list []string, origin string) bool {
	return origin == "" || len(list) == 0 || slices.Contains(list, "*") ||
		slices.ContainsFunc(list, func(o string) bool { return strings.EqualFold(o, origin) })
}

// ignore is the Handler of a connection that is closed from the start.
type ignore struct{}

func (ignore) OnFrame(Conn, []byte)          {}
func (ignore) OnClose(Conn, proto.CloseCode) {}
