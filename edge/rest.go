package edge

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	pbuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	maxBody   = 512<<10 + 4<<10 // of a request
	maxTarget = 8 << 10         // path and query
	via       = "1.1 starling"  // clients take a 429 without Via for a ban by a proxy
)

// A rest forwards HTTP requests over the bus to any core of the region.
type rest struct {
	bus     *relay.Bus
	cfg     *Config
	gateway string
	places  chan struct{} // one per request under way
}

func newREST(s *Server) *rest {
	return &rest{bus: s.bus, cfg: &s.cfg, gateway: s.gateway, places: make(chan struct{}, s.cfg.MaxRequests)}
}

// ServeHTTP answers everything that is no gateway connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.rest.Load().serve(w, r) }

func (f *rest) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Via", via)
	f.cors(w.Header(), r)
	if r.Method == http.MethodOptions {
		restRequests.WithLabelValues("options").Inc()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if !forwardable(r) {
		restRequests.WithLabelValues("bad").Inc()
		writeError(w, proto.ErrMethodNotAllowed)
		return
	}
	select {
	case f.places <- struct{}{}:
		defer func() { <-f.places }()
	default:
		restRequests.WithLabelValues("busy").Inc()
		writeError(w, proto.ErrUnavailable)
		return
	}
	// A client that sends its body in drops must not hold a place for ever.
	deadline := time.Now().Add(f.cfg.RESTTimeout)
	http.NewResponseController(w).SetReadDeadline(deadline)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			restRequests.WithLabelValues("too_large").Inc()
			writeError(w, proto.ErrTooLarge)
			return
		}
		restRequests.WithLabelValues("bad").Inc()
		w.Header().Set("Connection", "close")
		writeError(w, proto.ErrInvalidJSON)
		return
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	f.forward(w, r, body, deadline)
}

func forwardable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return strings.HasPrefix(r.RequestURI, "/") && len(r.RequestURI) <= maxTarget
	}
	return false
}

// forward sends the request to a core and copies the answer. The call's id becomes the command's, so a repeat to another core changes nothing.
func (f *rest) forward(w http.ResponseWriter, r *http.Request, body []byte, deadline time.Time) {
	call := &pb.RestCall{Id: make([]byte, 16), DeadlineMs: deadline.UnixMilli(), Method: r.Method, Target: r.RequestURI, Body: body,
		Edge: f.cfg.Name, GatewayUrl: f.gateway, Headers: []*pb.Header{{Name: "Host", Value: r.Host}}}
	rand.Read(call.Id)
	call.Remote, _, _ = net.SplitHostPort(r.RemoteAddr)
	for name, values := range r.Header {
		if hopByHop(name) {
			continue
		}
		for _, v := range values {
			call.Headers = append(call.Headers, &pb.Header{Name: name, Value: v})
		}
	}
	ans, err := f.ask(r.Context(), call, deadline)
	if err != nil {
		restRequests.WithLabelValues("no_answer").Inc()
		f.cfg.Log.Debug("rest: no answer", "method", r.Method, "err", err)
		writeError(w, proto.ErrUnavailable)
		return
	}
	restRequests.WithLabelValues("forwarded").Inc()
	h := w.Header()
	for _, x := range ans.Headers {
		if !hopByHop(x.Name) && x.Name != "Content-Length" {
			if x.Name == "Via" {
				h.Set(x.Name, x.Value)
			} else {
				h.Add(x.Name, x.Value)
			}
		}
	}
	status := int(ans.Status)
	if status < 200 || status > 599 {
		status = http.StatusInternalServerError
	}
	if status != http.StatusNoContent && status != http.StatusNotModified && r.Method != http.MethodHead {
		h.Set("Content-Length", strconv.Itoa(len(ans.Body)))
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent && status != http.StatusNotModified {
		w.Write(ans.Body)
	}
}

// restTry is how long one try may take. A call that a dying core or hub has swallowed is never answered, and nobody says so.
const restTry = 3 * time.Second

// ask sends the call until a core answers or the deadline is there: again where no core listens for a moment, the connection was lost, or
// nothing came for restTry. The id is the same, so nothing is done twice.
func (f *rest) ask(ctx context.Context, call *pb.RestCall, deadline time.Time) (*pb.RestAnswer, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		b, err := pbuf.Marshal(call)
		if err != nil {
			return nil, err
		}
		out, err := f.try(ctx, b)
		if err == nil {
			ans := new(pb.RestAnswer)
			return ans, pbuf.Unmarshal(out, ans)
		}
		call.Attempt++
		silent := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
		if !silent && !errors.Is(err, relay.ErrNobody) && !errors.Is(err, relay.ErrBusy) && !errors.Is(err, relay.ErrLost) {
			return nil, err
		}
		if !wait(ctx, 100*time.Millisecond) {
			return nil, err
		}
	}
}

func (f *rest) try(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, restTry)
	defer cancel()
	return f.bus.Request(ctx, relay.RESTSubject(f.cfg.Region), body)
}

// hopByHop tells headers that end at this connection (RFC 9110 7.6.1).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// writeError answers in the API's own form.
func writeError(w http.ResponseWriter, e *proto.Error) {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter))))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	json.NewEncoder(w).Encode(e)
}
