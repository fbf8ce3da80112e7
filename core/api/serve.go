package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core/dispatch"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

const (
	queue       = "core" // of all API cores of the region, on the hubs only
	restWorkers = 1024   // calls at once; most of them wait for an owner
	rpcWorkers  = 64

	maxHeaders     = 100
	maxHeaderBytes = 32 << 10
	maxTarget      = 8 << 10

	drain = 10 * time.Second // for calls that have begun when Run is to end
)

// Run serves REST calls and rpcs until ctx ends, then lets the calls that have begun finish.
func (s *Server) Run(ctx context.Context) error {
	// Calls outlive ctx by the drain.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	region := s.cfg.Region
	defer s.hasher.Close()
	var stops []func()
	defer func() {
		late := time.AfterFunc(drain, cancel)
		defer late.Stop()
		for _, stop := range stops {
			stop()
		}
	}()
	type part struct {
		subject string
		workers int
		answer  func(ctx context.Context, body []byte) []byte
	}
	stop, err := s.cfg.Bus.ServeCalls(relay.RESTSubject(region), queue, restWorkers,
		func(_ context.Context, body []byte, reply func([]byte)) { s.answerREST(calls, body, reply) })
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	stops = append(stops, stop)
	parts := []part{
		{relay.RPCSubject(region, "identify"), rpcWorkers, s.answerIdentify},
		{relay.RPCSubject(region, "guild"), rpcWorkers, s.answerGuild},
		{relay.RPCSubject(region, "direct"), rpcWorkers, s.answerDirect},
	}
	if s.resume != nil {
		parts = append(parts, part{relay.RPCSubject(region, "resume"), resumeWorkers, s.answerResume},
			part{relay.RPCSubject(region, "resumed"), moveWorkers, s.answerResumed}, part{relay.RPCSubject(region, "hold"), holdWorkers, s.answerHold})
	}
	for _, part := range parts {
		stop, err := s.cfg.Bus.Serve(part.subject, queue, part.workers,
			func(_ context.Context, body []byte) []byte { return part.answer(calls, body) })
		if err != nil {
			return fmt.Errorf("api: %w", err)
		}
		stops = append(stops, stop)
	}
	close(s.ready)
	s.log.Info("api serves", "region", region)
	<-ctx.Done()
	return nil
}

// answerREST answers a pb.RestCall, and all repeats of it that come meanwhile.
func (s *Server) answerREST(ctx context.Context, body []byte, reply func([]byte)) {
	var in pb.RestCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		reply(s.notUnderstood(&in, err).encode())
		return
	}
	if len(in.Id) != len(callInfo{}.id) {
		in.Id = make([]byte, len(callInfo{}.id))
		rand.Read(in.Id)
	}
	if s.inHand.take(&in, reply) {
		s.inHand.give(&in, s.makeAnswer(ctx, &in).encode())
	}
}

// makeAnswer turns a call into a request to the handler, and what the handler writes into a pb.RestAnswer.
func (s *Server) makeAnswer(ctx context.Context, in *pb.RestCall) *answer {
	ctx, cancel := s.deadline(ctx, in.DeadlineMs)
	defer cancel()
	r, err := request(ctx, in)
	if err != nil {
		return s.notUnderstood(in, err)
	}
	w := &answer{header: make(http.Header)}
	if ctx.Err() != nil { // it waited here until its edge gave it up: what is done for it now is done instead of what somebody waits for
		w.header.Set("Via", via)
		write(w, proto.ErrUnavailable.Status, proto.ErrUnavailable)
		return w
	}
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *Server) notUnderstood(in *pb.RestCall, err error) *answer {
	s.warn("call not understood", "edge "+in.Edge, err)
	w := &answer{header: make(http.Header)}
	w.header.Set("Via", via)
	write(w, http.StatusBadRequest, &proto.Error{Message: "400: Bad Request"})
	return w
}

// deadline ends ctx when the edge gives up, or after the patience of clients.
func (s *Server) deadline(ctx context.Context, ms int64) (context.Context, context.CancelFunc) {
	patience := dispatch.Patience
	if ms > 0 {
		patience = min(patience, time.UnixMilli(ms).Sub(s.cfg.Now()))
	}
	return context.WithTimeout(ctx, patience)
}

// request builds an ordinary request, within bounds.
func request(ctx context.Context, in *pb.RestCall) (*http.Request, error) {
	if len(in.Target) > maxTarget || !strings.HasPrefix(in.Target, "/") {
		return nil, fmt.Errorf("target of %d bytes", len(in.Target))
	}
	target, err := url.ParseRequestURI(in.Target)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if len(in.Method) == 0 || len(in.Method) > 16 || strings.Trim(in.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return nil, errors.New("method")
	}
	if len(in.Headers) > maxHeaders {
		return nil, fmt.Errorf("%d headers", len(in.Headers))
	}
	info := callInfo{gatewayURL: in.GatewayUrl, repeat: in.Attempt > 0}
	copy(info.id[:], in.Id)
	r := &http.Request{Method: in.Method, URL: target, RequestURI: in.Target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, len(in.Headers)), Body: readCloser{bytes.NewReader(in.Body)}, ContentLength: int64(len(in.Body)),
		RemoteAddr: in.Remote}
	size := 0
	for _, h := range in.Headers {
		if size += len(h.Name) + len(h.Value); size > maxHeaderBytes {
			return nil, errors.New("headers too large")
		}
		r.Header.Add(h.Name, h.Value)
	}
	r.Host = r.Header.Get("Host")
	return r.WithContext(context.WithValue(ctx, callKey{}, info)), nil
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// answer collects what the handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) encode() []byte {
	out := &pb.RestAnswer{Status: int32(a.status), Body: a.body.Bytes()}
	for name, values := range a.header {
		for _, v := range values {
			out.Headers = append(out.Headers, &pb.Header{Name: name, Value: v})
		}
	}
	b, err := gproto.Marshal(out)
	if err != nil { // a header that is no UTF-8: a bug
		b, _ = gproto.Marshal(&pb.RestAnswer{Status: http.StatusInternalServerError})
	}
	return b
}
