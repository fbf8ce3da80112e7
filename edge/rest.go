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
	"unicode/utf8"

	pbuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	maxBody    = 512<<10 + 4<<10 // of a request
	maxTarget  = 8 << 10         // path and query
	smallBody  = 16 << 10        // is read by whoever comes
	maxHeaders = 80              // of a request; cores take 100 with ours
	via        = "1.1 starling"  // clients take a 429 without Via for a ban by a proxy
)

// A rest forwards HTTP requests over the bus to any core of the region.
type rest struct {
	bus     *relay.Bus
	cfg     *Config
	gateway string
	places  chan struct{} // one per request under way
	uploads chan struct{} // one per body that is being read and is not small
}

func newREST(s *Server) *rest {
	return &rest{bus: s.bus, cfg: &s.cfg, gateway: s.gateway, places: make(chan struct{}, s.cfg.MaxRequests),
		uploads: make(chan struct{}, max(s.cfg.MaxRequests/4, 1))}
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
	if e := refusal(r); e != nil {
		restRequests.WithLabelValues("bad").Inc()
		writeError(w, e)
		return
	}
	// Clients that send their bodies in drops hold no place that others need, and none for ever.
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		if !f.take(w, f.uploads) {
			return
		}
		defer func() { <-f.uploads }()
	}
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
	if !f.take(w, f.places) {
		return
	}
	defer func() { <-f.places }()
	f.forward(w, r, body, deadline)
}

// take takes a place, or says that there is none.
func (f *rest) take(w http.ResponseWriter, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		restRequests.WithLabelValues("busy").Inc()
		writeError(w, proto.ErrUnavailable)
		return false
	}
}

// errBadRequest is for what is no request of the API at all.
var errBadRequest = &proto.Error{Status: http.StatusBadRequest, Message: "400: Bad Request"}

// refusal tells why a request goes to no core; nil if it may. What travels over the bus has to be UTF-8 and bounded.
func refusal(r *http.Request) *proto.Error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return proto.ErrMethodNotAllowed
	}
	headers := 0
	for _, values := range r.Header {
		headers += len(values)
	}
	if !strings.HasPrefix(r.RequestURI, "/") || len(r.RequestURI) > maxTarget || headers > maxHeaders || !utf8.ValidString(r.RequestURI) ||
		!utf8.ValidString(r.Host) {
		return errBadRequest
	}
	return nil
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
			call.Headers = append(call.Headers, &pb.Header{Name: name, Value: strings.ToValidUTF8(v, "\uFFFD")})
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

// restTry is how long a call is in one core's hands alone. What a dying core or hub has swallowed is never answered, and nobody says so.
const restTry = 2500 * time.Millisecond

// ask sends the call until a core answers or the deadline is there: again where no core listens for a moment, the connection was lost, or
// nothing came for restTry. The id is the same, so nothing is done twice.
func (f *rest) ask(ctx context.Context, call *pb.RestCall, deadline time.Time) (*pb.RestAnswer, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	tries := relay.NewTries(ctx)
	defer tries.Close()
	for {
		b, err := pbuf.Marshal(call)
		if err != nil {
			return nil, err
		}
		out, err := tries.Next(restTry, func(ctx context.Context) ([]byte, error) {
			return f.bus.Request(ctx, relay.RESTSubject(f.cfg.Region), b)
		})
		if err == nil {
			ans := new(pb.RestAnswer)
			return ans, pbuf.Unmarshal(out, ans)
		}
		call.Attempt++
		if !errors.Is(err, relay.ErrSilent) && !errors.Is(err, relay.ErrNobody) && !errors.Is(err, relay.ErrBusy) && !errors.Is(err, relay.ErrLost) {
			return nil, err
		}
		if !wait(ctx, 100*time.Millisecond) {
			return nil, err
		}
	}
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
